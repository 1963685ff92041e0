import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { allocate, dataRanges } from '../../src/platform/holes.ts';
import { backUp, checkAll, initRepository, restoreLatest } from '../tools/engine.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('hazards');
const GiB = 2 ** 30;
const TiB = 2 ** 40;

/** A file with holes: its data by position. */
interface SparseSpec {
  readonly sizeBytes: number;
  readonly data?: Readonly<Record<number, string>>;
  /** Bytes from the start that have storage but no content. */
  readonly reservedBytes?: number;
}

let folder: string;
let repository: string;
beforeEach(async () => {
  folder = scratch.fresh('tree');
  repository = scratch.fresh('repository');
  mkdirSync(folder);
  await initRepository(repository);
});

function makeSparse(name: string, { sizeBytes, data = {}, reservedBytes = 0 }: SparseSpec): void {
  const fd = openSync(`${folder}/${name}`, 'w');
  if (reservedBytes > 0) allocate(fd, reservedBytes);
  ftruncateSync(fd, sizeBytes);
  for (const [position, text] of Object.entries(data)) writeSync(fd, text, Number(position));
  closeSync(fd);
}

function textAt(file: string, position: number, sizeBytes: number): string {
  const fd = openSync(file, 'r');
  const bytes = Buffer.alloc(sizeBytes);
  readSync(fd, bytes, 0, sizeBytes, position);
  closeSync(fd);
  return bytes.toString();
}

async function storedBytes(place: string): Promise<number> {
  return Number((await mustRun('du', ['-s', '-B1', place])).split('\t')[0]);
}

describe('C5: a file of 1 TB with three islands of data', () => {
  test('takes little time and room, and is sparse again', async () => {
    const islands = { 0: 'first', [GiB * 300 + 12_345]: 'second', [TiB - 5]: 'third' };
    makeSparse('disk', { sizeBytes: TiB, data: islands });
    // Read byte by byte, it would not come to an end within the limit of a test.
    const { complaints } = await backUp(repository, [folder]);
    expect(complaints).toEqual([]);
    expect(await storedBytes(repository)).toBeLessThan(10_000_000);
    const target = scratch.fresh('restored');
    expect(
      (await restoreLatest(repository, target, { environment, sparse: true })).complaints,
    ).toEqual([]);
    const restored = `${target}${folder}/disk`;
    expect(statSync(restored).size).toBe(TiB);
    // What is no island is a hole: about as many blocks as before, in whole runs of 64 KiB.
    expect(statSync(restored).blocks * 512).toBeLessThan(2 ** 20);
    for (const [position, text] of Object.entries(islands)) {
      expect(textAt(restored, Number(position), text.length)).toBe(text);
    }
    const fd = openSync(restored, 'r');
    const data = dataRanges(fd, TiB);
    closeSync(fd);
    for (const { start, end } of data) {
      const isKnown = Object.keys(islands).some((at) => start <= Number(at) && Number(at) < end);
      expect(isKnown, `data in [${start}, ${end})`).toBe(true);
    }
  });

  test('that nothing can hold is named, and the rest stored', async () => {
    await mustRun('truncate', ['-s', String(2 ** 53), `${folder}/all`]);
    await mustRun('truncate', ['-s', '7E', `${folder}/more`]);
    makeSparse('too many chunks', { sizeBytes: 2 ** 51 });
    makeSparse('small', { sizeBytes: 10 });
    const { complaints, summary } = await backUp(repository, [folder]);
    expect(complaints.map((line) => line.replaceAll(`${folder}/`, ''))).toMatchInlineSnapshot(`
      [
        "all: a system call failed (call: statx, code: EOVERFLOW, path: all): EOVERFLOW: statx",
        "more: a system call failed (call: statx, code: EOVERFLOW, path: more): EOVERFLOW: statx",
        "too many chunks: the file has more chunks than a tree can list (chunksMax: 33554432)",
      ]
    `);
    for (const name of ['all', 'more']) rmSync(`${folder}/${name}`);
    expect(summary.totalFilesProcessed).toBe(1);
    expect((await checkAll(repository)).errors).toEqual([]);
  });
});

const MiB = 2 ** 20;
const shapes: Readonly<Record<string, SparseSpec>> = {
  'hole at the end': { sizeBytes: 3 * MiB, data: { 0: 'x' } },
  'hole at the start': { sizeBytes: 3 * MiB, data: { [3 * MiB - 1]: 'x' } },
  'all hole': { sizeBytes: 3 * MiB },
  'reserved beyond the end': { sizeBytes: 5, data: { 0: 'abcde' }, reservedBytes: MiB },
  'reserved, nothing written': { sizeBytes: 3 * MiB, reservedBytes: 3 * MiB },
  'island of one byte': { sizeBytes: 3 * MiB, data: { [MiB + 17]: 'x' } },
  'large, hole at the end': { sizeBytes: 60 * MiB + 1, data: { 0: 'x' } },
  'large, hole at the start': { sizeBytes: 60 * MiB + 1, data: { [60 * MiB]: 'x' } },
  'large, all hole': { sizeBytes: 60 * MiB + 1 },
  'large, reserved': { sizeBytes: 60 * MiB, reservedBytes: 60 * MiB },
  'large, island of one byte': { sizeBytes: 60 * MiB, data: { [30 * MiB + 1]: 'x' } },
  'large, islands next to the limits of chunks': {
    sizeBytes: 64 * MiB,
    data: { [MiB / 2 - 1]: 'xy', [MiB - 64]: 'x', [8 * MiB]: 'x', [32 * MiB - 1]: 'xy' },
  },
  'large, very many islands': {
    sizeBytes: 64 * MiB,
    data: Object.fromEntries(Array.from({ length: 8000 }, (_, i) => [i * 8192, `island ${i}`])),
  },
};

const hugeShapes: Readonly<Record<string, SparseSpec>> = {
  '4 GiB less one': { sizeBytes: 4 * GiB - 1, data: { [4 * GiB - 2]: 'x' } },
  '4 GiB and one': { sizeBytes: 4 * GiB + 1, data: { [4 * GiB]: 'x' } },
};

describe('C6: files with holes', () => {
  test.each([true, false])('come back with the same bytes (sparse: %s)', async (sparse) => {
    await expectSame(shapes, sparse);
  });
});

describe('C16: files about 4 GiB', () => {
  test('come back with the same bytes', async () => {
    await expectSame(hugeShapes, true);
  });
});

async function expectSame(
  specs: Readonly<Record<string, SparseSpec>>,
  sparse: boolean,
): Promise<void> {
  for (const [name, spec] of Object.entries(specs)) makeSparse(name, spec);
  expect((await backUp(repository, [folder])).complaints).toEqual([]);
  const target = scratch.fresh('restored');
  expect((await restoreLatest(repository, target, { environment, sparse })).complaints).toEqual([]);
  for (const [name, { sizeBytes, data = {} }] of Object.entries(specs)) {
    const restored = `${target}${folder}/${name}`;
    expect(statSync(restored).size, name).toBe(sizeBytes);
    // Of gigabytes what is no hole is compared: the blocks below say that all else is one.
    if (sizeBytes < GiB) await mustRun('cmp', [`${folder}/${name}`, restored]);
    for (const [position, text] of Object.entries(data).slice(0, 10)) {
      expect(textAt(restored, Number(position), text.length)).toBe(text);
    }
    if (sparse && sizeBytes >= 3 * MiB && !name.includes('very many')) {
      expect(statSync(restored).blocks * 512, name).toBeLessThan(MiB);
    }
  }
  scratch.remove(target);
}
