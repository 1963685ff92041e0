import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes } from '../base/bytes.ts';
import { PackedNames, SortedNames } from './sorted-names.ts';

const name = fc.uint8Array({ minLength: 1, maxLength: 12, max: 3 });

function sortedOf(names: readonly Uint8Array[]): SortedNames {
  const packed = new PackedNames();
  for (const each of names) packed.add(Uint8Array.of(9, ...each, 9), 1, 1 + each.length);
  return new SortedNames(packed);
}

test('packed names are sorted by their bytes, each once, and found', () => {
  const prefix = fc.uint8Array({ maxLength: 4, max: 3 });
  const property = fc.property(prefix, fc.array(name), name, (before, list, other) => {
    const names = list.map((each) => Uint8Array.of(...before, ...each));
    const sorted = sortedOf(names);
    const texts = [...new Set(names.map((each) => Buffer.from(each).toString('latin1')))];
    const expected = texts.map((text) => Buffer.from(text, 'latin1')).sort(compareBytes);
    expect(sorted.slice(0, names.length).map((each) => Buffer.from(each))).toEqual(expected);
    expect(sorted.length).toBe(expected.length);
    for (const [i, each] of expected.entries()) expect(sorted.find(each)).toBe(i);
    const found = sorted.find(other);
    expect(found).toBe(expected.findIndex((each) => compareBytes(each, other) === 0));
  });
  fc.assert(property);
});

test('there may be very many', () => {
  const names = Array.from({ length: 30_000 }, (_, i) => Buffer.from(`${(i * 7919) % 30_000}`));
  const sorted = sortedOf(names);
  expect(sorted.length).toBe(30_000);
  expect(Buffer.from(sorted.at(1)).toString()).toBe('1');
  expect(Buffer.from(sorted.at(29_999)).toString()).toBe('9999');
});
