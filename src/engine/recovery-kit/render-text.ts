import { type KitBlock, kitBlocks, kitTitle, type RecoveryKit } from './kit.ts';

const columns = 110;
const dataColumns = 76;

/** A recovery kit as plain text, at most 110 columns wide but for names and commands. */
export function recoveryKitText(kit: RecoveryKit): string {
  const date = `written on ${kit.date}`;
  const title = kitTitle + date.padStart(columns - kitTitle.length - 1);
  return `${[title, ...kitBlocks(kit).map(blockText)].join('\n\n')}\n`;
}

function blockText(block: KitBlock): string {
  switch (block.kind) {
    case 'text':
    case 'heading':
      return wrap(block.text).join('\n');
    case 'facts':
      return block.facts.map(([name, value]) => `${name.padEnd(13)} ${value}`).join('\n');
    case 'commands':
      return block.lines.map((line) => `  ${line}`).join('\n');
    case 'data':
      return pieces(block.text)
        .map((line) => `  ${line}`)
        .join('\n');
  }
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Text in lines that are typed one by one. */
export function pieces(text: string): string[] {
  return text.match(new RegExp(`.{1,${dataColumns}}`, 'g')) ?? [];
}
