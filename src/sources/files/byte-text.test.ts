import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesOf, byteTextOf, decodeRune, lowerCase, readableText } from './byte-text.ts';

it('keeps every byte', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(bytesOf(byteTextOf(bytes))).toEqual(bytes);
    }),
  );
  const long = new Uint8Array(100_000).map((_, i) => i);
  expect(bytesOf(byteTextOf(long))).toEqual(long);
});

it('decodes valid UTF-8 as everybody does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bytes = byteTextOf(text);
      const runes: number[] = [];
      for (let at = 0; at < bytes.length; ) {
        const decoded = decodeRune(bytes, at);
        runes.push(decoded >>> 3);
        at += decoded & 7;
      }
      expect(String.fromCodePoint(...runes)).toBe(text);
      expect(readableText(bytes)).toBe(text);
    }),
  );
});

it('decodes bad UTF-8 byte by byte', () => {
  const bad = 0xfffd * 8 + 1;
  for (const bytes of [
    [0x80],
    [0xc1, 0xbf],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf5],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
  ]) {
    expect(decodeRune(byteTextOf(Uint8Array.from(bytes)), 0)).toBe(bad);
  }
  expect(decodeRune('', 0)).toBe(0);
});

it('lowers character by character', () => {
  expect(readableText(lowerCase(byteTextOf('ÀÉΣ ẞ ABC')))).toBe('àéσ ß abc');
  expect(lowerCase(byteTextOf(Uint8Array.of(0x41, 0xff)))).toBe(byteTextOf('a\ufffd'));
});
