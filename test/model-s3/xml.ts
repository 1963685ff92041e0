/** What an element holds: text, or elements, or nothing. A list of names and contents keeps order and repetitions. */
export type XmlContent = string | number | boolean | readonly XmlElement[];

/** An element: its name, and what it holds. */
export type XmlElement = readonly [name: string, content: XmlContent];

const signs: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** A document as S3 writes it. */
export function writeXml(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${writeElement(root)}`;
}

function writeElement([name, content]: XmlElement): string {
  const text = Array.isArray(content)
    ? content.map(writeElement).join('')
    : String(content).replace(/[&<>"]/g, (sign) => signs[sign] ?? sign);
  return `<${name}>${text}</${name}>`;
}

/** The contents of all elements of a name. For the plain XML of requests: no CDATA, nothing of one name within itself. */
export function elementsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, 'gs'))].map(
    (match) => match[1] ?? '',
  );
}

/** The text of the first element of a name. */
export function textOf(xml: string, name: string): string | undefined {
  return elementsOf(xml, name)[0]
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replace(/&#(x?)([0-9a-fA-F]+);/g, (_, hex: string, digits: string) =>
      String.fromCodePoint(Number.parseInt(digits, hex ? 16 : 10)),
    )
    .replaceAll('&amp;', '&')
    .trim();
}
