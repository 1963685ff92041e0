import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { goMode, type NodeType, typeOfMode, unixMode } from './mode.ts';

const types: readonly NodeType[] = [
  'file',
  'dir',
  'symlink',
  'dev',
  'chardev',
  'fifo',
  'socket',
  'irregular',
];

describe('goMode', () => {
  // The examples of the format document, measured from restic.
  test.each<[NodeType, number, number]>([
    ['dir', 0o755, 2147484141],
    ['dir', 0o2750, 2151678440],
    ['dir', 0o1777, 2148532735],
    ['file', 0o4755, 8389101],
    ['symlink', 0o777, 134218239],
    ['dev', 0o644, 67109284],
    ['chardev', 0o644, 69206436],
    ['fifo', 0o644, 33554852],
    ['file', 0, 0],
  ])('of %s %o is %d', (type, permissions, expected) => {
    expect(goMode(type, permissions)).toBe(expected);
  });

  test('is undone by unixMode and typeOfMode', () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.integer({ min: 0, max: 0o7777 }), (type, bits) => {
        const mode = goMode(type, bits);
        expect(mode).toBeGreaterThanOrEqual(0);
        expect(unixMode(mode)).toBe(bits);
        expect(typeOfMode(mode)).toBe(type);
      }),
    );
  });

  test('ignores the type bits of st_mode', () => {
    expect(goMode('file', 0o100644)).toBe(0o644);
  });
});
