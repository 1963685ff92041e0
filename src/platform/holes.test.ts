import { ftruncateSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { closeFile, openFile, readAt, truncateFile, writeAt } from './files.ts';
import { b, describeSystems, type Scratch } from './fixtures/both-systems.ts';
import { allocate, dataRanges, nextDataRange, punchHole } from './holes.ts';

const mebi = 1 << 20;

describeSystems('holes', holesSuite, { onDisk: true });

function holesSuite(scratch: Scratch): void {
  const withFile = (action: (file: number) => void): void => {
    const file = openFile(scratch.bytesAt('f'), { write: true, create: true });
    try {
      action(file);
    } finally {
      closeFile(file);
    }
  };

  it('finds three islands in a terabyte (C5)', () => {
    withFile((file) => {
      const sizeBytes = 2 ** 40;
      truncateFile(file, sizeBytes);
      const islands = [0, 2 ** 39, sizeBytes - mebi];
      for (const at of islands) writeAt(file, Buffer.alloc(mebi, 1), at);
      const expected = scratch.isPortable
        ? [{ start: 0, end: sizeBytes }]
        : islands.map((start) => ({ start, end: start + mebi }));
      expect(dataRanges(file, sizeBytes)).toEqual(expected);
    });
  });

  it('covers all data, whatever the layout (C6)', () => {
    if (scratch.isPortable) return;
    withFile((file) => {
      expect(dataRanges(file, 0)).toEqual([]);
      ftruncateSync(file, 4 * mebi);
      expect(dataRanges(file, 4 * mebi)).toEqual([]);
      writeAt(file, b('x'), 2 * mebi + 5);
      const [island, ...others] = dataRanges(file, 4 * mebi);
      expect(others).toEqual([]);
      expect(island?.start).toBeLessThanOrEqual(2 * mebi + 5);
      expect(island?.end).toBeGreaterThan(2 * mebi + 5);
      expect(dataRanges(file, 2 * mebi + 6)).toEqual([{ start: island?.start, end: 2 * mebi + 6 }]);
      expect(nextDataRange(file, 3 * mebi, 4 * mebi)).toBeUndefined();
      // A file that shrank since its size was read.
      expect(dataRanges(file, 8 * mebi)).toEqual([island]);
    });
  });

  it('punches holes that read as zeros', () => {
    withFile((file) => {
      writeAt(file, Buffer.alloc(4 * mebi, 1));
      const before = statSync(scratch.at('f')).blocks;
      const isPunched = punchHole(file, mebi, 3 * mebi);
      expect(isPunched).toBe(!scratch.isPortable);
      expect(statSync(scratch.at('f')).size).toBe(4 * mebi);
      if (!isPunched) return;
      expect(statSync(scratch.at('f')).blocks).toBeLessThan(before);
      const bytes = Buffer.alloc(4 * mebi);
      expect(readAt(file, bytes, 0)).toBe(4 * mebi);
      expect(bytes.subarray(mebi, 3 * mebi).every((byte) => byte === 0)).toBe(true);
      expect(dataRanges(file, 4 * mebi)).toEqual([
        { start: 0, end: mebi },
        { start: 3 * mebi, end: 4 * mebi },
      ]);
    });
  });

  it('reserves storage without changing the size', () => {
    withFile((file) => {
      expect(allocate(file, 4 * mebi)).toBe(!scratch.isPortable);
      expect(statSync(scratch.at('f')).size).toBe(0);
      if (scratch.isPortable) return;
      expect(statSync(scratch.at('f')).blocks * 512).toBeGreaterThanOrEqual(4 * mebi);
      expect(() => allocate(file, 2 ** 50)).toThrow();
    });
  });

  it('throws for what cannot be sought', () => {
    if (scratch.isPortable) return;
    expect(() => nextDataRange(99_999, 0, 10)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'EBADF' }) }),
    );
  });
}
