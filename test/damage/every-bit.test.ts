import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { isHoldfastError } from '../../src/base/errors.ts';
import { check, type ReadData } from '../../src/engine/check.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import {
  backUp,
  initRepository,
  singleThreaded as environment,
  withRepository,
} from '../tools/engine.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { longTimeoutMs, shareOf } from './slice.ts';

const scratch = scratchFolder('every-bit');
const files: MemoryFiles = new Map();
let source = '';
let whole: Content = new Map();
/** Flips of each kind of file, unless all are asked for. */
const sampleCount = 24;

beforeAll(async () => {
  source = scratch.fresh('source');
  mkdirSync(source);
  const backend = new MemoryBackend(files);
  await initRepository(backend);
  for (let file = 0; file < 7; file++) {
    writeFileSync(join(source, `bytes ${file}`), pseudoRandom(26_000, file + 1));
  }
  writeFileSync(join(source, 'text'), 'some text\n'.repeat(40));
  await backUp(backend, ['.'], {
    environment,
    // Several packs: reading one again costs less than reading all.
    packSizeBytes: 30_000,
    options: { workerCount: 1 },
    source: { workingDirectory: source },
  });
  whole = contentOf(source);
});

interface Flip {
  readonly key: string;
  readonly byte: number;
  readonly bit: number;
}

/** Every bit of the files of a kind. */
function* bitsOf(type: string): Generator<Flip> {
  for (const [key, bytes] of files) {
    if (key.split('/')[0] !== type) continue;
    for (let byte = 0; byte < bytes.byteLength; byte++) {
      for (let bit = 0; bit < 8; bit++) yield { key, byte, bit };
    }
  }
}

const monitor = { problem: () => {}, note: () => {}, progress: () => {}, phase: () => {} };

/** Whether `check --read-data` finds something: of packs only those that begin as the one that was hit are read. */
async function isFound(repository: Repository, { key, byte }: Flip): Promise<boolean> {
  const [type, name = ''] = key.split('/');
  const part = {
    kind: 'part',
    part: Number.parseInt(name.slice(0, 2), 16) + 1,
    total: 256,
  } as const;
  const readData: ReadData = type === 'pack' && byte % 64 > 0 ? part : { kind: 'all' };
  const { errorCount } = await check(repository, { readData }, { environment, monitor });
  return errorCount > 0;
}

/** Restores the newest snapshot. @returns whether it is whole and nothing was said; throws for wrong bytes */
async function isRestored(repository: Repository): Promise<boolean> {
  const target = scratch.fresh('target');
  let problemCount = 0;
  const counting = { ...monitor, problem: () => problemCount++ };
  const onProblem = counting.problem;
  try {
    const snapshots = await loadSnapshots(repository, { onUnreadable: tellUnreadable(counting) });
    const index = await loadIndex(repository, { onProblem });
    const snapshot = snapshots.at(-1);
    if (!snapshot) return false;
    const options = { overwrite: 'always', workerCount: 1 } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    const indexed = new IndexedRepository(repository, index);
    await restore(indexed, request, { environment, monitor: counting });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    problemCount++;
  }
  const found = existsSync(target) ? contentOf(target) : new Map<string, Buffer>();
  scratch.remove(target);
  for (const [name, bytes] of found) {
    if (name.endsWith(Buffer.from(markName).toString())) continue;
    if (!whole.get(name)?.equals(bytes)) throw new Error(`${name} came back with wrong bytes`);
  }
  return problemCount === 0 && found.size === whole.size;
}

/** Flips a bit, judges, and flips it back. */
async function tryFlip(opened: Repository | undefined, flip: Flip): Promise<void> {
  const bytes = files.get(flip.key) ?? new Uint8Array();
  const mask = 1 << flip.bit;
  bytes[flip.byte] = (bytes[flip.byte] ?? 0) ^ mask;
  const judge = async (repository: Repository): Promise<void> => {
    const wasFound = await isFound(repository, flip);
    // Of each byte one bit is restored, too; and whatever check does not find must be harmless.
    const restores = wasFound && flip.bit !== (flip.byte & 7) ? undefined : isRestored(repository);
    if (!((await restores) ?? true) && !wasFound) throw new Error('neither found nor harmless');
  };
  try {
    if (opened) await judge(opened);
    else await withRepository(new MemoryBackend(files), { environment }, judge);
  } catch (error) {
    // A repository that does not open gives nothing back, and says so.
    if (opened || !isHoldfastError(error)) throw error;
  } finally {
    bytes[flip.byte] = (bytes[flip.byte] ?? 0) ^ mask;
  }
}

function chosenOf(type: string): readonly Flip[] {
  const all = [...bitsOf(type)];
  const share = shareOf(all);
  if (share) return share;
  const flips: Flip[] = [];
  for (const seed of seedsOf(`bits of ${type}`)) {
    for (const number of new Uint32Array(pseudoRandom(2 * sampleCount, seed).buffer)) {
      const flip = all[number % all.length];
      if (flip) flips.push(flip);
    }
  }
  return flips;
}

test.each(['config', 'key', 'snapshot', 'index', 'pack'])(
  'any bit of a %s that is flipped is found by check --read-data, and no wrong byte is restored',
  async (type) => {
    const flips = chosenOf(type);
    const failures: string[] = [];
    // What opening reads is opened each time.
    const isOpened = type !== 'config' && type !== 'key';
    const tryAll = async (opened?: Repository): Promise<void> => {
      for (const flip of flips) {
        await tryFlip(opened, flip).catch((error: unknown) => {
          failures.push(`${flip.key}, byte ${flip.byte}, bit ${flip.bit}: ${String(error)}`);
        });
      }
    };
    if (isOpened) await withRepository(new MemoryBackend(files), { environment }, tryAll);
    else await tryAll();
    const totals = { operation: type, runs: flips.length, failures: failures.length };
    console.log(JSON.stringify({ suite: 'damage-bits', ...totals }));
    expect(failures).toEqual([]);
    expect(flips.length).toBeGreaterThan(0);
  },
  longTimeoutMs,
);
