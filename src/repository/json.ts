import { unreachable } from '../base/assert.ts';
import { foldKey, JsonKeys } from './json-keys.ts';
import { type JsonLimits, JsonReader } from './json-reader.ts';

export {
  type JsonKind,
  type JsonLimits,
  JsonReader,
  endOfObject,
  unknownKey,
} from './json-reader.ts';
export { JsonWriter, escapeGoString } from './json-writer.ts';
export { JsonKeys };

/** A parsed value. Objects are maps, so that no key can reach a prototype; integers are exact. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonValue[]
  | Map<string, JsonValue>;

/**
 * Parses a small document as a whole. For large ones use `JsonReader`, which builds nothing.
 *
 * Of keys that are the same text the last wins and stands last; keys that differ in case stay apart, see
 * `getField`.
 * @throws JSON_INVALID
 */
export function parseJsonDocument(bytes: Uint8Array, limits: JsonLimits = {}): JsonValue {
  const reader = new JsonReader(bytes, limits);
  const value = parseValue(reader);
  reader.end();
  return value;
}

/**
 * The value of a key as Go would take it: of all keys that are `name` but for case, the last one.
 * `name` is ASCII.
 */
export function getField(
  object: ReadonlyMap<string, JsonValue>,
  name: string,
): JsonValue | undefined {
  const wanted = foldKey(name);
  let value: JsonValue | undefined;
  for (const [key, candidate] of object) {
    if (key === name || foldKey(key) === wanted) value = candidate;
  }
  return value;
}

/** The depth limit of the reader bounds the recursion. */
function parseValue(reader: JsonReader): JsonValue {
  const kind = reader.peek();
  switch (kind) {
    case 'object':
      return parseObject(reader);
    case 'array': {
      const items: JsonValue[] = [];
      reader.beginArray();
      while (reader.nextElement()) items.push(parseValue(reader));
      return items;
    }
    case 'string':
      return reader.readText();
    case 'boolean':
      return reader.readBoolean();
    case 'null':
      reader.tryNull();
      return null;
    case 'number':
      return reader.readNumber();
    default:
      return unreachable(kind);
  }
}

function parseObject(reader: JsonReader): Map<string, JsonValue> {
  const object = new Map<string, JsonValue>();
  reader.beginObject();
  for (let key = reader.nextKeyText(); key !== undefined; key = reader.nextKeyText()) {
    object.delete(key);
    object.set(key, parseValue(reader));
  }
  return object;
}
