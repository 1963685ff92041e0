import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBytes } from '../base/bytes.ts';
import { sortByName } from './sort-names.ts';

const named = (names: readonly Uint8Array[]): { name: Uint8Array; at: number }[] =>
  names.map((name, at) => ({ name, at }));

/** Names over few letters, so that prefixes and equal names are common. */
const nameOf = fc
  .array(fc.constantFrom(0x01, 0x2f + 1, 0x61, 0x62, 0xc3, 0xff), { minLength: 1, maxLength: 12 })
  .map((bytes) => Uint8Array.from(bytes));

describe('sortByName', () => {
  it('sorts as Buffer.compare does and keeps the first of equal names', () => {
    fc.assert(
      fc.property(fc.array(nameOf, { maxLength: 60 }), (names) => {
        const sorted = sortByName(named(names));
        const hex = names.toSorted(compareBytes).map((name) => Buffer.from(name).toString('hex'));
        const expected = [...new Set(hex)];
        expect(sorted.map(({ name }) => Buffer.from(name).toString('hex'))).toEqual(expected);
        for (const { name, at } of sorted) {
          expect(names.findIndex((other) => Buffer.compare(other, name) === 0)).toBe(at);
        }
      }),
    );
  });

  it('tells names apart that differ only after a long common part', () => {
    const names = ['prefix-000000b', 'prefix-000000a', 'prefix-000000', 'prefix-0000001234567z'];
    expect(sortByName(named(names.map((n) => Buffer.from(n)))).map((e) => e.at)).toEqual([
      2, 3, 1, 0,
    ]);
  });

  it('leaves none and one alone', () => {
    expect(sortByName([])).toEqual([]);
    const one = named([Buffer.from('x')]);
    expect(sortByName(one)).toBe(one);
  });
});
