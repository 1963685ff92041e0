import { ftruncateSync, openSync, closeSync, mkdirSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  decodePackHeader,
  readPackedBlobs,
  readPackHeader,
} from '../../src/repository/pack-header.ts';
import { storePack, testRepository } from '../../src/repository/index-test-support.ts';
import { LocalBackend } from '../../src/storage/local/local-backend.ts';
import { systemEnvironment } from '../../src/base/environment.ts';
import { checkAll } from '../tools/engine.ts';
import { HostileRepository } from '../tools/hostile-repository.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { codeOf } from './bed.ts';

/** Hazard D1: packs of any shape give a typed error, read no more than a header, and name nothing that is not there. */

const scratch = scratchFolder('hostile-packs');
const { sealer } = testRepository();

/** A pack with any header and any length at its end. */
function packOf(blobs: Uint8Array, header: Uint8Array, length?: number): Uint8Array {
  const sealed = sealer.seal(header);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(length ?? sealed.length);
  return Buffer.concat([blobs, sealed, end]);
}

function entryOf(type: number, length: number, plainLength?: number): Buffer {
  const entry = Buffer.alloc(plainLength === undefined ? 37 : 41, 7);
  entry[0] = type;
  entry.writeUInt32LE(length, 1);
  if (plainLength !== undefined) entry.writeUInt32LE(plainLength, 5);
  return entry;
}

/** Reads a header in both ways; both must give the same. */
async function judge(pack: Uint8Array): Promise<string> {
  let readBytes = 0;
  const get = async ({ start, end }: { start: number; end: number }): Promise<Uint8Array> => {
    expect(start >= 0 && end <= pack.length).toBe(true);
    readBytes += end - start;
    return pack.subarray(start, end);
  };
  const whole = await codeOf(() => readPackedBlobs(pack, sealer));
  const part = await codeOf(() => readPackHeader(get, pack.length, sealer));
  expect(part).toBe(whole);
  expect(readBytes).toBeLessThanOrEqual(2 * pack.length);
  return whole;
}

const room = new Uint8Array(100);
const good = entryOf(0, 100);

describe('the length of a header that is', () => {
  test.each([0, 1, 31, 68, 70, 2 ** 24, 2 ** 24 + 1, 2 ** 31, 2 ** 32 - 1])(
    '%i is damage',
    async (length) => {
      expect(await judge(packOf(room, good, length))).toBe('PACK_DAMAGED');
    },
  );

  test('right is none', async () => {
    expect(await judge(packOf(room, good))).toBe('none');
  });
});

describe('a file of', () => {
  test.each([0, 1, 4, 36, 72])('%i bytes is damage', async (sizeBytes) => {
    expect(await judge(new Uint8Array(sizeBytes))).toBe('PACK_DAMAGED');
  });

  test('4 GiB that is nearly all hole is damage after a few hundred bytes', async () => {
    const root = scratch.fresh('sparse');
    const name = 'ab'.repeat(32);
    mkdirSync(path.join(root, 'data/ab'), { recursive: true });
    for (const length of [0, 32, 100, 2 ** 24, 2 ** 32 - 1]) {
      const file = openSync(path.join(root, 'data/ab', name), 'w');
      ftruncateSync(file, 2 ** 32 + 4);
      const end = Buffer.alloc(4);
      end.writeUInt32LE(length);
      writeSync(file, end, 0, 4, 2 ** 32);
      closeSync(file);
      const backend = new LocalBackend(root, { environment: systemEnvironment });
      const handle = { type: 'pack', name } as const;
      const { sizeBytes } = await backend.stat(handle);
      let readBytes = 0;
      const read = readPackHeader(
        (range) => {
          readBytes += range.end - range.start;
          return backend.get(handle, range);
        },
        sizeBytes,
        sealer,
      );
      await expect(read).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
      expect(readBytes).toBeLessThanOrEqual((1 << 24) + 1024);
      await backend.close();
    }
  });
});

describe('blobs that', () => {
  test.each([
    ['overlap the header', [entryOf(0, 101)]],
    ['leave a gap', [entryOf(0, 99)]],
    ['are beyond the file', [entryOf(0, 2 ** 32 - 1)]],
    [
      'add up to more than 2^32',
      [entryOf(0, 2 ** 32 - 1), entryOf(0, 2 ** 32 - 1), entryOf(0, 102)],
    ],
    ['are shorter than their seal', [entryOf(0, 31), entryOf(0, 69)]],
    ['are empty', [entryOf(0, 0), entryOf(0, 100)]],
    ['are compressed to nothing', [entryOf(2, 100, 0)]],
    ['end within an entry', [good, Buffer.alloc(10)]],
    ['are followed by other bytes', [good, Buffer.alloc(1, 0xff)]],
    ['are none', []],
  ])('%s are damage', async (_, entries) => {
    expect(await judge(packOf(room, Buffer.concat(entries)))).toBe('PACK_DAMAGED');
  });

  test('are of any type but the four are damage', () => {
    for (let type = 0; type < 256; type++) {
      const entry = type < 4 && type >= 2 ? entryOf(type, 100, 5) : entryOf(type, 100);
      const decode = (): unknown => decodePackHeader(entry, 100);
      if (type < 4) expect(decode).not.toThrow();
      else expect(decode).toThrow(expect.objectContaining({ code: 'PACK_DAMAGED' }));
    }
  });

  test('have the same id twice are two blobs', () => {
    const header = Buffer.concat([entryOf(0, 40), entryOf(0, 60)]);
    const blobs = [...decodePackHeader(header, 100).iterate()];
    expect(blobs.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 40],
      [40, 60],
    ]);
  });
});

test('junk before, within and behind a pack is damage', async () => {
  const pack = await storePack(testRepository(), 'data', [Buffer.from('some content')]);
  const bytes = pack.bytes.slice();
  expect(await judge(bytes)).toBe('none');
  const junk = Buffer.from('junk');
  const middle = Buffer.concat([bytes.subarray(0, 50), junk, bytes.subarray(50)]);
  for (const broken of [Buffer.concat([bytes, junk]), Buffer.concat([junk, bytes]), middle]) {
    expect(await judge(broken)).toBe('PACK_DAMAGED');
  }
});

test('check names a pack whose header says other than the index, though every seal is right', async () => {
  const location = scratch.fresh('repository');
  const hostile = await HostileRepository.create(location);
  const blob = hostile.blob('data', 'content');
  const tree = hostile.tree(`{"name":"a","type":"file","content":["${blob}"],"size":7}`);
  const packs = await hostile.store({
    header: (header) => header.map((byte, at) => (at > 20 ? byte ^ 1 : byte)),
  });
  await hostile.snapshot(tree);
  const result = await checkAll(location);
  expect(result.errorCount).toBeGreaterThan(0);
  const names: string[] = packs.map(({ id }) => Buffer.from(id).toString('hex'));
  expect([...result.brokenPacks].toSorted()).toEqual(names.toSorted());
});
