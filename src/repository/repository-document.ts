import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Id } from './id.ts';
import { JsonReader, type JsonWriter } from './json.ts';
import { foldKey } from './json-keys.ts';
import { parseTime } from './time-format.ts';

/** A field that this program does not know, kept so that rewriting a document does not lose it. */
export interface UnknownField {
  readonly key: string;
  /** The JSON value as written. */
  readonly value: Uint8Array;
}

interface Field {
  readonly key: string;
  readonly folded: string;
  /** View of the document. */
  readonly raw: Uint8Array;
}

/** Documents have below 20 fields; unknown ones may be added by later versions. */
const fieldCountMax = 1000;

/** Paths, excludes or tags of one snapshot. */
const elementCountMax = 4_000_000;

/** The first byte of `null`, which no other value begins with. */
const nullMark = 0x6e;

const idPattern = /^[0-9a-fA-F]{64}$/;
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The fields of one small JSON object (key file, config, snapshot, lock), read with Go's rules: keys match without
 * regard to case, the last of several wins, `null` is as good as absent. Values are checked when they are asked for;
 * nothing of the document becomes a property name.
 *
 * Every method throws JSON_INVALID, naming the field, for a value of the wrong kind.
 */
export class DocumentFields {
  readonly #fields: readonly Field[];

  constructor(reader: JsonReader) {
    const fields: Field[] = [];
    reader.beginObject();
    for (let key = reader.nextKeyText(); key !== undefined; key = reader.nextKeyText()) {
      if (fields.length >= fieldCountMax) {
        throw reader.error(`has an object of more than ${fieldCountMax} fields`);
      }
      fields.push({ key, folded: foldKey(key), raw: reader.readRaw() });
    }
    this.#fields = fields;
  }

  /** `value`, which is the field `name`. @throws JSON_INVALID when it is absent */
  required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw invalid(name, 'is missing');
    return value;
  }

  text(name: string): string | undefined {
    return this.#reader(name)?.readText();
  }

  boolean(name: string): boolean | undefined {
    return this.#reader(name)?.readBoolean();
  }

  /** An integer of at least 0 and at most `max`. */
  integer(name: string, max: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.#reader(name)?.readInteger();
    if (value === undefined) return undefined;
    if (typeof value === 'bigint' || value < 0 || value > max)
      throw invalid(name, 'is out of range');
    return value;
  }

  /** An id, lower-case. */
  id(name: string): Id | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!idPattern.test(text)) throw invalid(name, 'is not an id');
    return text.toLowerCase();
  }

  time(name: string): Timestamp | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseTime(text);
  }

  /** Bytes written as padded base64. */
  bytes(name: string): Uint8Array<ArrayBuffer> | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!base64Pattern.test(text)) throw invalid(name, 'is not base64');
    return Uint8Array.from(Buffer.from(text, 'base64'));
  }

  /** A list of texts; a `null` in it is an empty text, as in Go. */
  texts(name: string): string[] | undefined {
    const reader = this.#reader(name);
    if (!reader) return undefined;
    const texts: string[] = [];
    reader.beginArray();
    while (reader.nextElement()) {
      if (texts.length >= elementCountMax) throw invalid(name, 'has too many elements');
      texts.push(reader.tryNull() ? '' : reader.readText());
    }
    return texts;
  }

  object(name: string): DocumentFields | undefined {
    const reader = this.#reader(name);
    return reader && new DocumentFields(reader);
  }

  /** What is not among `names`, in the order of the document. */
  unknown(names: readonly string[]): UnknownField[] {
    const known = new Set(names.map(foldKey));
    return this.#fields
      .filter((field) => !known.has(field.folded))
      .map((field) => ({ key: field.key, value: Uint8Array.from(field.raw) }));
  }

  #reader(name: string): JsonReader | undefined {
    const folded = foldKey(name);
    const field = this.#fields.findLast(
      (candidate) => candidate.folded === folded && candidate.raw[0] !== nullMark,
    );
    return field && new JsonReader(field.raw);
  }
}

/**
 * Parses a document that is one JSON object.
 * @throws JSON_INVALID; also above `sizeBytesMax`
 */
export function parseDocument(bytes: Uint8Array, sizeBytesMax: number): DocumentFields {
  const reader = new JsonReader(bytes, { sizeBytesMax });
  const fields = new DocumentFields(reader);
  reader.end();
  return fields;
}

/** Writes fields as they were read, each with a comma before it. */
export function writeUnknownFields(writer: JsonWriter, fields: readonly UnknownField[]): void {
  for (const field of fields) {
    writer.ascii(',');
    writer.string(field.key);
    writer.ascii(':');
    writer.raw(field.value);
  }
}

function invalid(name: string, what: string): HoldfastError {
  return new HoldfastError('JSON_INVALID', {
    message: `the field "${name}" of a JSON document ${what}`,
  });
}
