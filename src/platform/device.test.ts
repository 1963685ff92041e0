import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeDevice, splitDevice } from './device.ts';

describe('makeDevice', () => {
  it.each([
    [0, 0, 0],
    [8, 1, 0x801],
    [253, 0, 0xfd00],
    [0, 27, 27],
    [259, 300, 0x11032c],
    [0xfff, 0xfffff, 0xff_ff_ff_ff],
    [0x1000, 0, 0x1000_0000_0000],
    [1, 0x100000, 0x1_0000_0100],
  ])('encodes %i:%i as glibc', (major, minor, expected) => {
    expect(makeDevice(major, minor)).toBe(expected);
  });

  it('is a bigint only where no number is exact', () => {
    expect(makeDevice(0x1fffff, 0xffffffff)).toBe(2 ** 53 - 1);
    expect(makeDevice(0xffffffff, 0xffffffff)).toBe(0xffff_ffff_ffff_ffffn);
    expect(makeDevice(0x200000, 0)).toBe(0x20000000000000n);
  });

  it('is undone by splitDevice', () => {
    const number = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(number, number, (major, minor) => {
        expect(splitDevice(makeDevice(major, minor))).toEqual({ major, minor });
      }),
    );
  });
});
