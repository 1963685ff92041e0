import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { JsonWriter, escapeGoString } from './json.ts';
import { anyText } from './json-test-support.ts';

function written(write: (writer: JsonWriter) => void): string {
  const writer = new JsonWriter(1);
  write(writer);
  return Buffer.from(writer.finish()).toString('utf8');
}

describe('string', () => {
  test.each<[string, string]>([
    ['plain /', 'plain /'],
    ['"\\', '\\"\\\\'],
    ['\b\f\n\r\t', '\\b\\f\\n\\r\\t'],
    ['\u0000\u001f\u007f', '\\u0000\\u001f\u007f'],
    ['<>&', '\\u003c\\u003e\\u0026'],
    ['\u2028\u2029\u202a\u2027', '\\u2028\\u2029\u202a\u2027'],
    ['\ufffd\u{1f600}', '\ufffd\u{1f600}'],
    ['\ud800', '\ufffd'],
  ])('of %j', (text, expected) => {
    expect(written((writer) => writer.string(text))).toBe(`"${expected}"`);
  });

  test('writes each byte that is not UTF-8 as an escape', () => {
    const bytes = [0x61, 0xff, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xe2, 0x80, 0xf5, 0x62];
    expect(Buffer.from(escapeGoString(Uint8Array.from(bytes))).toString()).toBe(
      `a${'\\ufffd'.repeat(9)}b`,
    );
  });

  test('is JSON.stringify but for the five characters that Go escapes', () => {
    const html = /[<>&\u2028\u2029]/g;
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = JSON.stringify(text).replace(
          html,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(written((writer) => writer.string(text))).toBe(expected);
      }),
    );
  });
});

describe('numbers, hex and base64', () => {
  test('are those of String and Buffer', () => {
    const integer = fc.oneof(
      fc.maxSafeInteger(),
      fc.nat(),
      fc.constantFrom(0, 9, 10, 99, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    );
    fc.assert(
      fc.property(integer, fc.uint8Array({ maxLength: 40 }), (value, bytes) => {
        expect(written((writer) => writer.integer(value))).toBe(String(value));
        expect(written((writer) => writer.hex(bytes))).toBe(Buffer.from(bytes).toString('hex'));
        expect(written((writer) => writer.base64(bytes))).toBe(
          Buffer.from(bytes).toString('base64'),
        );
      }),
    );
  });

  test('refuses a number that is not exact', () => {
    for (const value of [1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new JsonWriter().integer(value)).toThrow('JSON integer is exact');
    }
  });
});

describe('finish', () => {
  test('gives every byte once, however large the pieces are', () => {
    const sizes = fc.array(fc.nat({ max: 300 }), { maxLength: 60 });
    fc.assert(
      fc.property(sizes, fc.constantFrom(1, 16, 256, 4096), (lengths, pieceSizeBytes) => {
        const writer = new JsonWriter(8, pieceSizeBytes);
        for (let round = 0; round < 2; round++) {
          for (const [i, length] of lengths.entries()) {
            writer.raw(new Uint8Array(length).fill(i));
          }
          const expected = Buffer.concat(lengths.map((length, i) => Buffer.alloc(length, i)));
          expect(Buffer.compare(writer.finish(), expected)).toBe(0);
        }
      }),
    );
  });

  test('gives arrays that later writing does not change', () => {
    const large = new Uint8Array(5 * 1024 * 1024).fill(7);
    const writer = new JsonWriter();
    for (const bytes of [large, large.subarray(0, 10)]) {
      writer.raw(bytes);
      const result = writer.finish();
      writer.raw(new Uint8Array(bytes.length).fill(9));
      writer.reset();
      expect(result.byteLength).toBe(bytes.byteLength);
      expect(Buffer.compare(result, bytes)).toBe(0);
    }
  });

  test('gives nothing after a reset', () => {
    const writer = new JsonWriter(1, 4);
    writer.ascii('dropped text');
    writer.reset();
    expect(writer.finish().byteLength).toBe(0);
  });
});
