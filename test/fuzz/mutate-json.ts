import { Buffer } from 'node:buffer';
import { mutateBytes } from './mutate-bytes.ts';
import type { FuzzRandom } from './random.ts';

/** A JSON document as it is written: keys may come twice, and scalars are any text, also what is no JSON. */
export type JsonText = JsonScalar | JsonList | JsonFields;

interface JsonScalar {
  readonly kind: 'scalar';
  text: string;
}

interface JsonList {
  readonly kind: 'list';
  items: JsonText[];
}

interface JsonFields {
  readonly kind: 'fields';
  /** Key as written, without its quotes. */
  fields: { key: string; value: JsonText }[];
}

/** Numbers that parsers get wrong. */
export const hostileNumbers: readonly string[] = [
  '-1',
  '-0',
  '0',
  '1.5',
  '1e3',
  '1e400',
  '-1e400',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '-9223372036854775809',
  '00',
  '1.',
  '.5',
  'NaN',
  '0x10',
  '9'.repeat(400),
];

/** Strings as written that parsers get wrong. */
export const hostileStrings: readonly string[] = [
  '""',
  '"."',
  '".."',
  '"a/b"',
  '"/etc/passwd"',
  '"../../escape"',
  '"C:\\\\x"',
  '"..\\\\x"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\x"',
  '"\\u12"',
  '"\u0007"',
  '"\\u001b[31m"',
  '"\uFEFF"',
  '"__proto__"',
  '"constructor"',
  '"0000-00-00T00:00:00Z"',
  '"9999-12-31T23:59:59.999999999-23:59"',
  '"0000-01-01T00:00:00+23:59"',
  '"1000000-01-01T00:00:00Z"',
  '"2026-02-30T00:00:00Z"',
  `"${'0'.repeat(64)}"`,
  `"${'f'.repeat(63)}"`,
  `"${'A'.repeat(64)}"`,
  '"AAAA"',
  '"AA=A"',
  '"file"',
  '"dir"',
  '"symlink"',
  '"tree"',
  '"data"',
];

const hostileKeys: readonly string[] = ['__proto__', 'constructor', 'toString', '', 'ſize', 'ID'];

/** Takes a valid document apart. For the seeds of mutation only: it believes what it reads. */
export function parseJsonText(text: string): JsonText {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs) ?? [];
  let at = 0;
  const value = (): JsonText => {
    const token = tokens[at++] ?? 'null';
    if (token === '[') {
      const items: JsonText[] = [];
      while (at < tokens.length && tokens[at] !== ']') {
        items.push(value());
        if (tokens[at] === ',') at++;
      }
      at++;
      return { kind: 'list', items };
    }
    if (token !== '{') return { kind: 'scalar', text: token };
    const fields: JsonFields['fields'] = [];
    while (at < tokens.length && tokens[at] !== '}') {
      const key = (tokens[at++] ?? '').slice(1, -1);
      at++;
      fields.push({ key, value: value() });
      if (tokens[at] === ',') at++;
    }
    at++;
    return { kind: 'fields', fields };
  };
  return value();
}

/** Writes a document; `space` stands after every bracket, comma and colon. */
export function formatJsonText(json: JsonText, space = ''): string {
  if (json.kind === 'scalar') return json.text;
  const parts =
    json.kind === 'list'
      ? json.items.map((item) => formatJsonText(item, space))
      : json.fields.map(({ key, value }) => `"${key}":${space}${formatJsonText(value, space)}`);
  const [open, close] = json.kind === 'list' ? ['[', ']'] : ['{', '}'];
  return `${open}${space}${parts.join(`,${space}`)}${close}`;
}

/** Changes the structure of a JSON document at a few places, at times its bytes as well. */
export function mutateJson(source: Uint8Array, random: FuzzRandom): Uint8Array<ArrayBuffer> {
  if (random.oneIn(5)) return mutateBytes(source, random);
  const root: JsonList = { kind: 'list', items: [parseJsonText(Buffer.from(source).toString())] };
  for (let count = 1 + random.small(3); count > 0; count--) mutateNode(root, random);
  const space = random.oneIn(4) ? random.pick([' ', '\n\t', '  ']) : '';
  let text = root.items.map((item) => formatJsonText(item, space)).join('');
  if (random.oneIn(50)) text = `\uFEFF${text}`;
  const bytes = Uint8Array.from(Buffer.from(text));
  return random.oneIn(20) ? mutateBytes(bytes, random) : bytes;
}

/** Every place of a document that can be changed. */
function places(json: JsonText, found: (JsonList | JsonFields)[] = []): (JsonList | JsonFields)[] {
  if (json.kind === 'scalar' || found.length > 2000) return found;
  found.push(json);
  const below = json.kind === 'list' ? json.items : json.fields.map(({ value }) => value);
  for (const item of below) places(item, found);
  return found;
}

function mutateNode(root: JsonList, random: FuzzRandom): void {
  const all = places(root);
  const place = random.pick(all);
  if (place.kind === 'list') mutateList(place, all, random);
  else mutateFields(place, all, random);
}

type Places = readonly (JsonList | JsonFields)[];

function mutateList(list: JsonList, all: Places, random: FuzzRandom): void {
  const at = random.below(list.items.length);
  const item = list.items[at];
  switch (random.below(6)) {
    case 0:
      list.items.splice(at, 1);
      return;
    case 1:
      if (item) list.items.splice(at, 0, ...repeated(item, random));
      return;
    case 2:
      list.items.push(anyValue(all, random));
      return;
    case 3:
      list.items.reverse();
      return;
    default:
      list.items[at] = item ? changed(item, all, random) : anyValue(all, random);
  }
}

function mutateFields(object: JsonFields, all: Places, random: FuzzRandom): void {
  const at = random.below(object.fields.length);
  const field = object.fields[at];
  if (!field) {
    object.fields.push({ key: random.pick(hostileKeys), value: anyValue(all, random) });
    return;
  }
  switch (random.below(8)) {
    case 0:
      object.fields.splice(at, 1);
      return;
    case 1:
      object.fields.push({ key: field.key, value: changed(field.value, all, random) });
      return;
    case 2:
      object.fields.splice(at, 0, {
        key: random.pick(hostileKeys),
        value: anyValue(all, random),
      });
      return;
    case 3:
      object.fields[at] = { key: otherKey(field.key, random), value: field.value };
      return;
    default:
      object.fields[at] = { key: field.key, value: changed(field.value, all, random) };
  }
}

function otherKey(key: string, random: FuzzRandom): string {
  switch (random.below(4)) {
    case 0:
      return key.toUpperCase();
    case 1:
      return key.replace(/[a-z]/, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
    case 2:
      return key.replace('s', 'ſ').replace('k', '\u212a');
    default:
      return random.pick(hostileKeys);
  }
}

/** Mostly few; at times very many, as long as the document stays small. */
function repeated(item: JsonText, random: FuzzRandom): JsonText[] {
  const count = random.oneIn(20) ? 2000 : 1 + random.small(20);
  const fitting = Math.ceil(100_000 / formatJsonText(item).length);
  return Array.from({ length: Math.min(count, fitting) }, () => item);
}

function changed(value: JsonText, all: Places, random: FuzzRandom): JsonText {
  if (value.kind !== 'scalar' || random.oneIn(4)) {
    return random.oneIn(3) ? nested(value, random) : anyValue(all, random);
  }
  const { text } = value;
  if (!text.startsWith('"') || random.oneIn(3)) return anyValue(all, random);
  const at = 1 + random.below(text.length - 1);
  const piece = random.pick([
    '\\u0000',
    '/',
    '..',
    '\\n',
    'é',
    '\uFFFD',
    '\\',
    '0',
    'x'.repeat(300),
  ]);
  const inner = `${text.slice(1, at)}${piece}${text.slice(at + random.small(2), -1)}`;
  return { kind: 'scalar', text: `"${inner}"` };
}

function nested(value: JsonText, random: FuzzRandom): JsonText {
  let result = value;
  const depth = random.oneIn(4) ? 60 + random.below(10) : random.small(5);
  for (let i = 0; i < depth; i++) {
    result = random.oneIn(2)
      ? { kind: 'list', items: [result] }
      : { kind: 'fields', fields: [{ key: 'a', value: result }] };
  }
  return result;
}

function anyValue(all: Places, random: FuzzRandom): JsonText {
  switch (random.below(6)) {
    case 0:
    case 1:
      return { kind: 'scalar', text: random.pick(hostileNumbers) };
    case 2:
    case 3:
      return { kind: 'scalar', text: random.pick(hostileStrings) };
    case 4: {
      const scalars = ['null', 'true', 'false', '[]', '{}', '[null]', '"', 'nul'];
      return { kind: 'scalar', text: random.pick(scalars) };
    }
    default:
      // A copy: a document must not contain itself.
      return parseJsonText(formatJsonText(random.pick(all)).slice(0, 20_000));
  }
}

/** The same document with a space after every bracket, comma and colon that is not within a string. */
export function spaced(json: Uint8Array): Uint8Array<ArrayBuffer> {
  const result: number[] = [];
  let isString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i] ?? 0;
    result.push(byte);
    if (isString && byte === 0x5c && i + 1 < json.length) result.push(json[++i] ?? 0);
    else if (byte === 0x22) isString = !isString;
    else if (!isString && '[{,:'.includes(String.fromCharCode(byte))) result.push(0x20);
  }
  return Uint8Array.from(result);
}
