import { expect, test } from 'vitest';
import { areStorable, storableAttributes } from './storable-attributes.ts';

function attribute(name: Uint8Array) {
  return { name, value: new Uint8Array(1) };
}

test('keeps what is text, byte order marks too', () => {
  const fine = ['user.a', 'user.\u00e9', '\ufeffuser', 'user.\u{10ffff}'].map((name) =>
    attribute(Buffer.from(name)),
  );
  expect(storableAttributes(fine)).toBe(fine);
  expect(areStorable(fine)).toBe(true);
  expect(areStorable([])).toBe(true);
});

test.each([[[0xff]], [[0x61, 0xc3]], [[0xed, 0xa0, 0x80]], [[0xc0, 0xaf]]])(
  'leaves out what is not: %o',
  (bytes) => {
    const fine = attribute(Buffer.from('user.a'));
    const all = [attribute(Uint8Array.from(bytes)), fine];
    expect(storableAttributes(all)).toEqual([fine]);
    expect(areStorable(all)).toBe(false);
  },
);
