import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { randomBytes, systemRandom } from '../../base/random.ts';
import { HoldfastError } from '../../base/errors.ts';
import { referenceCuts } from '../../kernels/chunker-reference.ts';
import { ChunkScanner, chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { parsePolynomial } from '../../kernels/polynomial.ts';
import { Sealer } from '../../kernels/seal.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { readStatus } from '../../platform/status.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { PackBuilder } from '../../repository/pack.ts';
import { ChunkSink, IdList } from '../packs/chunk-sink.ts';
import { FileReader, type ListedFile } from './file-reader.ts';

const polynomial = parsePolynomial('3da3358b4dc173');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-reader-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A reader whose packs are full with each chunk, so that `onChunk` is called amid a file. */
function readerOf(onChunk: () => void = () => {}): FileReader {
  const key = {
    encrypt: randomBytes(systemRandom, 32),
    macK: randomBytes(systemRandom, 16),
    macR: randomBytes(systemRandom, 16),
  };
  const builder = (): PackBuilder =>
    new PackBuilder({
      version: 2,
      sealer: new Sealer(key, systemRandom),
      compression: 'auto',
      targetSizeBytes: 1,
      maxBlobSizeBytes: chunkSizeBytesMax,
    });
  const builders = { data: builder(), tree: builder() };
  const sink = new ChunkSink(BlobIndex.create(), builders, onChunk);
  return new FileReader(new ChunkScanner(polynomial, 2 * chunkSizeBytesMax), sink);
}

function at(name: string): string {
  return path.join(folder, name);
}

function listed(name: string): ListedFile {
  const status = readStatus(Buffer.from(at(name)));
  return {
    path: Buffer.from(at(name)),
    inode: status.inode,
    device: status.device,
    sizeBytes: status.sizeBytes,
    mtimeSeconds: status.mtime.seconds,
    mtimeNanoseconds: status.mtime.nanoseconds,
    ctimeSeconds: status.ctime.seconds,
    ctimeNanoseconds: status.ctime.nanoseconds,
  };
}

/** Bytes that differ everywhere, so that no two chunks are equal. */
function noise(sizeBytes: number): Uint8Array {
  return randomBytes(systemRandom, sizeBytes);
}

function idsOf(content: Uint8Array): Uint8Array {
  let start = 0;
  const ids = referenceCuts(content, polynomial).map((end) => {
    const id = sha256(content.subarray(start, end));
    start = end;
    return id;
  });
  return Buffer.concat(ids);
}

describe('FileReader', () => {
  test.each([0, 1, 63, 524_287, 524_288, 524_289, 8_388_608, 8_388_609, 17_000_000])(
    'cuts a file of %i bytes as the reference does',
    (sizeBytes) => {
      const content = noise(sizeBytes);
      writeFileSync(at('file'), content);
      const ids = new IdList();
      ids.append(new Uint8Array(32));
      expect(readerOf().read(listed('file'), ids)).toEqual({ sizeBytes, changing: false });
      expect(Buffer.compare(ids.toBytes(1), idsOf(content))).toBe(0);
    },
  );

  test('cuts zeros and periodic content as the reference does', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 1 << 20 }),
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.integer({ min: 1, max: 9_000_000 }),
      (period, sizeBytes, zerosFrom) => {
        const unit = noise(Math.min(period, 5000));
        const content = Buffer.alloc(sizeBytes, unit).fill(0, zerosFrom);
        writeFileSync(at('file'), content);
        const ids = new IdList();
        readerOf().read(listed('file'), ids);
        expect(Buffer.compare(ids.toBytes(), idsOf(content))).toBe(0);
      },
    );
    fc.assert(property, { numRuns: 8 });
  });

  test('reads again what changed while it was read', () => {
    writeFileSync(at('file'), noise(1_000_000));
    const before = listed('file');
    const final = noise(1_200_000);
    let calls = 0;
    const reader = readerOf(() => {
      if (calls++ === 0) writeFileSync(at('file'), final);
    });
    const ids = new IdList();
    const read = reader.read(before, ids);
    expect(read).toMatchObject({ sizeBytes: 1_200_000, changing: false });
    expect(read.now?.status.sizeBytes).toBe(1_200_000);
    expect(Buffer.compare(ids.toBytes(), idsOf(final))).toBe(0);
  });

  test('says so if it changed three times over, and stores the last', () => {
    writeFileSync(at('file'), noise(600_000));
    const contents = [noise(700_000), noise(800_000), noise(900_000), noise(1_000_000)];
    let calls = 0;
    const reader = readerOf(() => writeFileSync(at('file'), contents[calls++] ?? noise(1)));
    const ids = new IdList();
    const read = reader.read(listed('file'), ids);
    expect(read.changing).toBe(true);
    expect(ids.count).toBeGreaterThan(0);
    expect(read.now?.status.sizeBytes).not.toBe(statSync(at('file')).size);
  });

  test('does not call a torn file unchanged the next time', () => {
    writeFileSync(at('file'), noise(600_000));
    let calls = 0;
    const reader = readerOf(() => {
      writeFileSync(at('file'), noise(600_000));
      utimesSync(at('file'), ++calls, calls);
    });
    const read = reader.read(listed('file'), new IdList());
    expect(read.changing).toBe(true);
    const { mtimeSeconds, sizeBytes } = listed('file');
    expect(read.sizeBytes).toBe(sizeBytes);
    expect(read.now?.status.mtime.seconds).not.toBe(mtimeSeconds);
  });

  test('sees a change that leaves size and modification time alone', () => {
    writeFileSync(at('file'), noise(600_000));
    const { atime, mtime } = statSync(at('file'));
    let calls = 0;
    const final = noise(600_000);
    const reader = readerOf(() => {
      if (calls++ > 0) return;
      writeFileSync(at('file'), final);
      utimesSync(at('file'), atime, mtime);
    });
    const ids = new IdList();
    expect(reader.read(listed('file'), ids).changing).toBe(false);
    expect(Buffer.compare(ids.toBytes(), idsOf(final))).toBe(0);
  });

  test('ends for a file that grows faster than it is read', () => {
    writeFileSync(at('file'), noise(600_000));
    const more = noise(9_000_000);
    const reader = readerOf(() => appendFileSync(at('file'), more));
    const read = reader.read(listed('file'), new IdList());
    expect(read.changing).toBe(true);
    expect(read.sizeBytes).toBeGreaterThan(600_000);
  });

  test('stores what is left of a file that is cut off', () => {
    writeFileSync(at('file'), noise(9_000_000));
    let sizeBytes = 9_000_000;
    const reader = readerOf(() =>
      truncateSync(at('file'), (sizeBytes = Math.floor(sizeBytes / 2))),
    );
    const read = reader.read(listed('file'), new IdList());
    expect(read.changing).toBe(true);
    expect(read.now?.status.sizeBytes).toBeGreaterThan(statSync(at('file')).size);
  });

  test('takes the file that replaced the listed one, with its own status and attributes', () => {
    writeFileSync(at('file'), 'old');
    const old = listed('file');
    writeFileSync(at('new'), 'newer');
    renameSync(at('new'), at('file'));
    const read = readerOf().read(old, new IdList());
    expect(read).toMatchObject({ sizeBytes: 5, changing: false, now: { attributes: [] } });
    expect(read.now?.status.inode).toBe(statSync(at('file')).ino);
  });

  test('packs nothing of a file in another directory, however alike', () => {
    mkdirSync(at('folder'));
    writeFileSync(at('folder/file'), 'own');
    const { inode, device } = readStatus(Buffer.from(at('folder')));
    const asked = { ...listed('folder/file'), directory: { inode, device } };
    renameSync(at('folder'), at('before'));
    mkdirSync(at('folder'));
    writeFileSync(at('folder/file'), 'not');
    utimesSync(at('folder/file'), asked.mtimeSeconds, asked.mtimeSeconds);
    let chunks = 0;
    expect(() => readerOf(() => chunks++).read(asked, new IdList())).toThrow(
      expect.objectContaining({ code: 'SOURCE_FAILED' }) as HoldfastError,
    );
    expect(chunks).toBe(0);
  });

  test('follows no link, waits for no pipe, reads no directory', () => {
    writeFileSync(at('file'), 'secret');
    const asked = listed('file');
    const replace = [
      () => symlinkSync('secret', at('file')),
      () => expect(spawnSync('mkfifo', [at('file')]).status).toBe(0),
      () => mkdirSync(at('file')),
    ];
    for (const make of replace) {
      rmSync(at('file'), { recursive: true });
      make();
      expect(() => readerOf().read(asked, new IdList())).toThrow(
        expect.objectContaining({ code: 'SOURCE_FAILED' }) as HoldfastError,
      );
    }
    rmSync(at('file'), { recursive: true });
    expect(() => readerOf().read(asked, new IdList())).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }) as HoldfastError,
    );
  });

  test('reads files that do not know their size', () => {
    for (const name of ['/proc/version', '/proc/self/mountinfo', '/sys/kernel/notes']) {
      const status = readStatus(Buffer.from(name));
      const file = { ...listed('.'), ...status, path: Buffer.from(name) };
      const read = readerOf().read(file, new IdList());
      expect(read.changing).toBe(false);
      expect(read.sizeBytes).toBeGreaterThan(0);
    }
  });
});
