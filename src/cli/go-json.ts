/** What can be written as one line of JSON output. Keys with undefined are left out. */
export type JsonOutput =
  | null
  | boolean
  | number
  | bigint
  | string
  | RawJson
  | readonly JsonOutput[]
  | { readonly [key: string]: JsonOutput | undefined };

/** Text that is JSON already, such as a document of the repository. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const escapes: Readonly<Record<string, string>> = {
  '<': String.raw`\u003c`,
  '>': String.raw`\u003e`,
  '&': String.raw`\u0026`,
  '\u2028': String.raw`\u2028`,
  '\u2029': String.raw`\u2029`,
};

/** A string as Go's `encoding/json` writes it, with its quotes. */
function goString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(/[<>&\u2028\u2029]/g, (c) => escapes[c] ?? c);
}

/** A value as Go's `encoding/json` writes it: no spaces, keys in the given order. */
export function goJson(value: JsonOutput): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return goNumber(value);
  if (typeof value === 'string') return goString(value);
  if (value instanceof RawJson) return value.text;
  if (isList(value)) return `[${value.map(goJson).join(',')}]`;
  const fields: string[] = [];
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${goString(key)}:${goJson(field)}`);
  }
  return `{${fields.join(',')}}`;
}

// Array.isArray does not narrow readonly arrays.
function isList(value: object): value is readonly JsonOutput[] {
  return Array.isArray(value);
}

/** Go writes floats below 1e-6 and from 1e21 on with an exponent of at least one digit, as JavaScript does. */
function goNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : '0';
}

/** Indents a JSON text as Go's `MarshalIndent(…, "", "  ")` does, without touching its tokens. */
export function indentJson(text: string): string {
  let result = '';
  let depth = 0;
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    if (token === '}' || token === ']') {
      depth--;
      result += /[{[]$/.test(result) ? token : `\n${'  '.repeat(depth)}${token}`;
    } else {
      if (/[{[]$/.test(result) && !result.endsWith('"')) result += `\n${'  '.repeat(depth)}`;
      if (token === ',') result += `,\n${'  '.repeat(depth)}`;
      else if (token === ':') result += ': ';
      else result += token;
      if (token === '{' || token === '[') depth++;
    }
  }
  return result;
}
