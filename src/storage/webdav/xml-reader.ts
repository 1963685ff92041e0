/** What an XML document holds, as it comes. Names have their namespace before them: `{DAV:}href`. */
export interface XmlHandler {
  open(name: string): void;
  /** Of one element, perhaps in several pieces. */
  text(text: string): void;
  close(name: string): void;
}

/** What is wrong with a document. */
export class XmlError extends Error {}

const tokenLengthMax = 64 << 10;
const depthMax = 64;

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

interface Element {
  readonly qualifiedName: string;
  readonly name: string;
  /** Namespaces by prefix. */
  readonly spaces: ReadonlyMap<string, string>;
}

/**
 * Reads XML piece by piece, in bounded memory: what WebDAV needs of it. Definitions of one's own (DOCTYPE) are refused, and with
 * them all entities but the five of XML.
 *
 * @see https://www.w3.org/TR/xml-names/
 */
export class XmlReader {
  readonly #handler: XmlHandler;
  readonly #decoder: TextDecoder = new TextDecoder('utf-8', { fatal: true });
  readonly #open: Element[] = [];
  #rest = '';
  #isDone = false;

  constructor(handler: XmlHandler) {
    this.#handler = handler;
  }

  /** @throws XmlError */
  push(chunk: Uint8Array): void {
    this.#rest += this.#decode(chunk, true);
    let at = 0;
    for (;;) {
      const next = this.#readToken(at);
      if (next === undefined) break;
      at = next;
    }
    this.#rest = this.#rest.slice(at);
    if (this.#rest.length > tokenLengthMax) throw new XmlError('a part of it is too long');
  }

  /** To be called after the last byte. @throws XmlError if the document is not at its end */
  end(): void {
    this.#decode(new Uint8Array(), false);
    if (!this.#isDone || this.#rest.trim() !== '') throw new XmlError('it is cut off');
  }

  #decode(chunk: Uint8Array, stream: boolean): string {
    try {
      return this.#decoder.decode(chunk, { stream });
    } catch {
      throw new XmlError('it is not UTF-8');
    }
  }

  /** Reads the token at `at`; its end, or undefined if it is not all there. */
  #readToken(at: number): number | undefined {
    const text = this.#rest;
    if (at >= text.length) return undefined;
    if (text[at] !== '<') return this.#readText(at);
    if (text.startsWith('<?', at)) return endOf(text, '?>', at);
    if (text.startsWith('<!--', at)) return endOf(text, '-->', at);
    if (text.startsWith('<![CDATA[', at)) {
      const end = endOf(text, ']]>', at);
      if (end !== undefined) this.#say(text.slice(at + 9, end - 3));
      return end;
    }
    // Perhaps the begin of one of the two above.
    if (text.startsWith('<!', at)) {
      if (text.length - at < 9 && /^<!(?:-|\[[CDAT]*)?$/.test(text.slice(at))) return undefined;
      throw new XmlError('it has definitions of its own');
    }
    const end = tagEnd(text, at);
    if (end !== undefined) this.#readTag(text.slice(at + 1, end - 1));
    return end;
  }

  #readText(at: number): number | undefined {
    const text = this.#rest;
    const end = text.indexOf('<', at);
    if (end < 0) return undefined;
    this.#say(decodeEntities(text.slice(at, end)));
    return end;
  }

  #say(text: string): void {
    if (text.length > tokenLengthMax) throw new XmlError('a part of it is too long');
    if (this.#open.length > 0) this.#handler.text(text);
    else if (text.replace(/^\uFEFF/, '').trim() !== '') throw new XmlError('it is no XML');
  }

  #readTag(tag: string): void {
    if (tag.startsWith('/')) {
      const element = this.#open.pop();
      if (element?.qualifiedName !== tag.slice(1).trimEnd()) {
        throw new XmlError('its elements do not fit');
      }
      this.#close(element);
      return;
    }
    if (this.#isDone) throw new XmlError('something follows it');
    const isEmpty = tag.endsWith('/');
    const body = isEmpty ? tag.slice(0, -1) : tag;
    const match = /^[^\s"'=<>]+/.exec(body);
    if (!match) throw new XmlError('it is no XML');
    const element = this.#element(match[0], body.slice(match[0].length));
    if (this.#open.length === depthMax) throw new XmlError('it is too deep');
    this.#handler.open(element.name);
    if (isEmpty) this.#close(element);
    else this.#open.push(element);
  }

  #close({ name }: Element): void {
    this.#handler.close(name);
    if (this.#open.length === 0) this.#isDone = true;
  }

  #element(qualifiedName: string, attributes: string): Element {
    let spaces = this.#open.at(-1)?.spaces ?? new Map<string, string>();
    for (const match of attributes.matchAll(
      /(?:^|\s)xmlns(?::([^\s=]+))?\s*=\s*(?:"([^"]*)"|'([^']*)')/g,
    )) {
      const [, prefix = '', double, single = ''] = match;
      spaces = new Map(spaces).set(prefix, decodeEntities(double ?? single));
    }
    const colon = qualifiedName.indexOf(':');
    const space = spaces.get(qualifiedName.slice(0, Math.max(colon, 0))) ?? '';
    return { qualifiedName, name: `{${space}}${qualifiedName.slice(colon + 1)}`, spaces };
  }
}

function endOf(text: string, mark: string, from: number): number | undefined {
  const found = text.indexOf(mark, from);
  return found < 0 ? undefined : found + mark.length;
}

/** After the `>` of a tag: one in quotes is part of a value. */
function tagEnd(text: string, from: number): number | undefined {
  let quote = '';
  for (let i = from; i < text.length; i++) {
    const c = text[i] ?? '';
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '>') return i + 1;
  }
  return undefined;
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-z]+));|&/g, (_, ...parts) => {
    const [hex, decimal, name]: (string | undefined)[] = parts;
    if (name !== undefined && entities[name] !== undefined) return entities[name];
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    if (!(code > 0 && code <= 0x10ffff)) throw new XmlError('it has a reference to nothing');
    return String.fromCodePoint(code);
  });
}
