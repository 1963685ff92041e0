import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import {
  endOfObject,
  getField,
  JsonKeys,
  type JsonLimits,
  JsonReader,
  type JsonValue,
  parseJsonDocument,
  unknownKey,
} from './json.ts';
import { anyJson } from './json-test-support.ts';

/** What broken documents are made of. */
const pieces =
  '{ } [ ] , : " \\ u 0 12 - . e + null true false "a" "a": \\u00e \u0001 \u00e9 \ufeff \0'
    .split(' ')
    .concat(' ', '\n');

const invalid = expect.objectContaining({ code: 'JSON_INVALID' });

function parse(text: string | Uint8Array, limits?: JsonLimits): JsonValue {
  return parseJsonDocument(typeof text === 'string' ? Buffer.from(text) : text, limits);
}

function reader(text: string | Uint8Array): JsonReader {
  return new JsonReader(typeof text === 'string' ? Buffer.from(text) : text);
}

/** A parsed document as `JSON.parse` gives it. */
function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  }
  if (value === 0) return 0;
  return typeof value === 'bigint' ? Number(value) : value;
}

/** `undefined` if the document is not JSON. */
function oracle(text: string): unknown {
  try {
    // An integer -0 is 0 here.
    return JSON.parse(text, (_, value: unknown) => (value === 0 ? 0 : value));
  } catch {
    return undefined;
  }
}

describe('parseJsonDocument', () => {
  test('gives maps, exact integers and text', () => {
    expect(
      parse(' {"a":[1,2.5,-3,1e3,18446744073709551615,"x\\u00e9\\ud83d\\ude00\\/"],"b":{}} \r\n\t'),
    ).toEqual(
      new Map<string, JsonValue>([
        ['a', [1, 2.5, -3, 1000, 18446744073709551615n, 'x\u00e9\u{1f600}/']],
        ['b', new Map()],
      ]),
    );
    expect(parse('9007199254740991')).toBe(9007199254740991);
    expect(parse('9007199254740993')).toBe(9007199254740993n);
    expect(parse('-9223372036854775808')).toBe(-9223372036854775808n);
    expect(parse('000'.replace('000', '-0'))).toBe(0);
  });

  test('agrees with JSON.parse on any value', () => {
    fc.assert(
      fc.property(anyJson, (text) => {
        expect(plain(parse(text))).toEqual(oracle(text));
      }),
    );
  });

  test('agrees with JSON.parse on what is no JSON', () => {
    const piece = fc.constantFrom(...pieces);
    const text = fc.array(piece, { maxLength: 12 }).map((list) => list.join(''));
    fc.assert(
      fc.property(text, (value) => {
        const expected = oracle(value);
        if (expected === undefined) expect(() => parse(value)).toThrow(invalid);
        else expect(plain(parse(value))).toEqual(expected);
        if (expected === undefined) expect(() => skip(value)).toThrow(invalid);
        else skip(value);
      }),
      { numRuns: 2000 },
    );
  });

  test('throws nothing but JSON_INVALID, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
          expect(error).toEqual(invalid);
        }
      }),
    );
  });

  test('replaces what is not UTF-8 as Go does: each byte, and each lone surrogate', () => {
    const bytes = Buffer.concat([
      Buffer.from('["'),
      Buffer.from([0x61, 0xff, 0xed, 0xa0, 0x80, 0xe2, 0x82]),
      Buffer.from('\\ud800\\udc00\\udc00\\ud800\\u0041\\ud800"]'),
    ]);
    expect(parse(bytes)).toEqual([`a${'\ufffd'.repeat(6)}\u{10000}\ufffd\ufffdA\ufffd`]);
  });

  test('keeps hostile keys out of every prototype', () => {
    const value = parse('{"__proto__":{"isAdmin":true},"constructor":1,"toString":null}');
    expect(value).toBeInstanceOf(Map);
    expect([...(value as Map<string, JsonValue>).keys()]).toEqual([
      '__proto__',
      'constructor',
      'toString',
    ]);
    expect(Object.hasOwn(Object.prototype, 'isAdmin')).toBe(false);
  });

  test('limits depth, sizes and numbers', () => {
    expect(parse(nested(64))).toHaveLength(1);
    for (const depth of [65, 1_000_000]) {
      expect(() => parse(nested(depth))).toThrow('nested deeper than 64');
      expect(() => skip(nested(depth))).toThrow('nested deeper than 64');
      expect(() => parse('{"a":'.repeat(depth))).toThrow('nested deeper than 64');
    }
    expect(() => parse('[1]', { sizeBytesMax: 2 })).toThrow('larger than 2 bytes');
    expect(() => parse('"abc"', { stringSizeBytesMax: 2 })).toThrow('longer than 2 bytes');
    for (const text of ['1e400', '-1e400', '1'.repeat(65), `1.${'1'.repeat(1000)}`]) {
      expect(() => parse(text)).toThrow(invalid);
      skip(text);
    }
  });
});

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

function base64ToHex(text: string): string {
  return Buffer.from(reader(`"${text}"`).readBase64()).toString('hex');
}

function skip(text: string): void {
  const json = reader(text);
  json.skipValue();
  json.end();
}

describe('getField', () => {
  test('ignores case, and the last one wins', () => {
    const object = parse('{"Size":1,"size":2,"SIZE":3,"other":4,"\u017fize":5}');
    expect(object).toBeInstanceOf(Map);
    expect(getField(object as Map<string, JsonValue>, 'size')).toBe(5);
    expect(getField(object as Map<string, JsonValue>, 'none')).toBeUndefined();
    const again = parse('{"a":1,"A":2,"a":3}');
    expect(getField(again as Map<string, JsonValue>, 'a')).toBe(3);
  });
});

describe('JsonReader', () => {
  const keys = new JsonKeys(['name', 'size', 'k']);

  function keysOf(text: string): number[] {
    const json = reader(text);
    const found: number[] = [];
    json.beginObject();
    for (let key = json.nextKey(keys); key !== endOfObject; key = json.nextKey(keys)) {
      found.push(key);
      json.skipValue();
    }
    json.end();
    return found;
  }

  test('finds keys in any order, case, escaping and spacing', () => {
    expect(keysOf('{}')).toEqual([]);
    expect(keysOf('{"size":1,"name":2,"size":3}')).toEqual([1, 0, 1]);
    expect(keysOf(' { "size" : [1 , {"name":1}] , "NAME" :2 } ')).toEqual([1, 0]);
    expect(keysOf('{"n\\u0061me":1,"\u212a":2,"\\u017fIZE":3}')).toEqual([0, 2, 1]);
    expect(keysOf(`{"nam":1,"names":2,"":3,"${'x'.repeat(300)}":4}`)).toEqual(
      Array(4).fill(unknownKey),
    );
  });

  test('is strict about commas and colons', () => {
    for (const text of [
      '{,}',
      '{"k":1,}',
      '{"k" 1}',
      '{"k":1 "k":2}',
      '{"k"}',
      '{k:1}',
      '{"k":}',
    ]) {
      expect(() => keysOf(text)).toThrow(invalid);
    }
    const json = reader('[,1]');
    json.beginArray();
    json.nextElement();
    expect(() => json.readInteger()).toThrow(invalid);
  });

  test('says what it wanted and where', () => {
    const json = reader('{"k":"text"}');
    json.beginObject();
    json.nextKey(keys);
    expect(() => json.readInteger()).toThrow(
      expect.objectContaining({
        message: 'a JSON document does not have an integer where one must be',
        details: { offset: 5 },
      }),
    );
  });

  test.each(['1.0', '1e2', '01', '-', '+1', '""', 'null', '-01'])(
    'takes %s for no integer',
    (text) => {
      expect(() => reader(text).readInteger()).toThrow(invalid);
    },
  );

  test('reads hex of the right length only', () => {
    const target = new Uint8Array(4);
    expect(reader('"00fFa1"').readHexInto(target, 1, 3)).toBe(true);
    expect([...target]).toEqual([0, 0x00, 0xff, 0xa1]);
    for (const text of ['"00ff"', '"00ffa100"', '"00ffg1"', '"\\u00300fa1"', '"00 fa1"']) {
      const json = reader(`[${text},7]`);
      json.beginArray();
      json.nextElement();
      expect(json.readHexInto(target, 0, 3)).toBe(false);
      // The reader goes on behind the string.
      json.nextElement();
      expect(json.readInteger()).toBe(7);
    }
    expect(() => reader('7').readHexInto(target, 0, 3)).toThrow(invalid);
    expect(() => reader('"00ff').readHexInto(target, 0, 3)).toThrow(invalid);
  });

  test('reads base64 as Go does', () => {
    expect(base64ToHex('')).toBe('');
    expect(base64ToHex('AP8=')).toBe('00ff');
    expect(base64ToHex('+/+/')).toBe('fbffbf');
    expect(base64ToHex('A\\nP8\\r\\u003d')).toBe('00ff');
    for (const text of ['A', 'AA', 'AAA', 'AP8', '====', 'A===', 'AA=A', 'A P8', '-_-_', 'AAAA=']) {
      expect(() => base64ToHex(text)).toThrow(invalid);
    }
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(base64ToHex(text)).toBe(Buffer.from(bytes).toString('hex'));
      }),
    );
  });

  test('recognises a string that repeats, only if it is the same to the last byte', () => {
    const raw = Buffer.from('abc');
    expect(reader('"abc"').trySame(raw)).toBe(true);
    for (const text of ['"abcd"', '"ab"', '"abd"', '"abc', 'null', ' "abc"']) {
      expect(reader(text).trySame(raw)).toBe(false);
    }
  });

  test('gives raw values as written', () => {
    const json = reader('{"k": {"z" : [1, 2.50, "\\u0041"]} ,"name":1}');
    json.beginObject();
    json.nextKey(keys);
    expect(Buffer.from(json.readRaw()).toString()).toBe('{"z" : [1, 2.50, "\\u0041"]}');
  });

  test('refuses to be used out of order', () => {
    const json = reader('{"k":1}');
    json.beginObject();
    expect(() => json.readInteger()).toThrow('a JSON value is expected here');
    json.nextKey(keys);
    expect(() => json.nextKey(keys)).toThrow('the JSON value before was read');
    expect(() => json.end()).toThrow('was read to its end');
  });

  test('gives null, booleans and bytes', () => {
    const json = reader('[null,true,false,"\\u00e9","z"]');
    json.beginArray();
    json.nextElement();
    expect(json.tryNull()).toBe(true);
    json.nextElement();
    expect(json.tryNull()).toBe(false);
    expect(json.readBoolean()).toBe(true);
    json.nextElement();
    expect(json.readBoolean()).toBe(false);
    json.nextElement();
    expect([...json.readBytes()]).toEqual([0xc3, 0xa9]);
    json.nextElement();
    expect(json.readText()).toBe('z');
    expect(json.nextElement()).toBe(false);
    json.end();
  });
});
