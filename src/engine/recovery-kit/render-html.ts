import { type KitBlock, kitBlocks, kitTitle, type RecoveryKit } from './kit.ts';
import { pieces } from './render-text.ts';

const style = `
body { font: 11pt/1.4 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #000; background: #fff; }
h1 { font-size: 16pt; margin-bottom: 0; }
h2 { font-size: 11pt; margin: 1.2em 0 0.2em; break-after: avoid; }
p { margin: 0.3em 0; }
th { text-align: left; padding-right: 1.5em; font-weight: normal; vertical-align: top; }
td, pre { font: 10pt/1.4 monospace; overflow-wrap: anywhere; }
td.password { font-size: 14pt; font-weight: bold; }
pre { white-space: pre-wrap; border-left: 2pt solid #999; padding-left: 0.8em; margin: 0.4em 0; break-inside: avoid; }
@page { margin: 15mm; }`;

/** A recovery kit as a page that any browser shows and prints. It loads nothing. */
export function recoveryKitHtml(kit: RecoveryKit): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Holdfast recovery kit</title>
<style>${style}
</style>
</head>
<body>
<h1>${kitTitle}</h1>
<p>written on ${escape(kit.date)}</p>
${kitBlocks(kit).map(blockHtml).join('\n')}
</body>
</html>
`;
}

function blockHtml(block: KitBlock): string {
  switch (block.kind) {
    case 'text':
      return `<p>${escape(block.text)}</p>`;
    case 'heading':
      return `<h2>${escape(block.text)}</h2>`;
    case 'facts':
      return `<table>\n${block.facts.map(factHtml).join('\n')}\n</table>`;
    case 'commands':
      return `<pre>${block.lines.map(escape).join('\n')}</pre>`;
    case 'data':
      return `<pre>${pieces(block.text).map(escape).join('\n')}</pre>`;
  }
}

function factHtml([name, value]: readonly [string, string]): string {
  const mark = name === 'Password' ? ' class="password"' : '';
  return `<tr><th>${escape(name)}</th><td${mark}>${escape(value)}</td></tr>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign);
}
