import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isHoldfastError } from '../../src/base/errors.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import {
  loadSnapshots,
  type StoredSnapshot,
  tellUnreadable,
} from '../../src/repository/snapshots.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import {
  backUp,
  checkAll,
  initRepository,
  singleThreaded as environment,
  withRepository,
} from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf, testScale } from '../tools/seeds.ts';

const scratch = scratchFolder('damage');
/** The whole repository: two snapshots of a folder, the second with a file more. */
const pristine: MemoryFiles = new Map();
/** What each snapshot holds, by path: oldest first. */
const contents: ReadonlyMap<string, Buffer>[] = [];
let source = '';

beforeAll(async () => {
  source = scratch.fresh('source');
  mkdirSync(join(source, 'sub/deep'), { recursive: true });
  writeFileSync(join(source, 'text'), 'some text\n'.repeat(50));
  writeFileSync(join(source, 'sub/bytes'), pseudoRandom(20_000, 1));
  writeFileSync(join(source, 'sub/deep/empty'), '');
  const backend = new MemoryBackend(pristine);
  // One thread makes the same packs in every run.
  const settings = { environment, options: { workerCount: 1 } };
  await initRepository(backend);
  await backUp(backend, [source], settings);
  contents.push(contentOf(source));
  writeFileSync(join(source, 'sub/deep/more'), pseudoRandom(9_000, 2));
  await backUp(backend, [source], settings);
  contents.push(contentOf(source));
});

function contentOf(root: string): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    // A restore that an error ended leaves its mark.
    if (name === Buffer.from(markName).toString()) continue;
    if (statSync(join(root, name)).isFile()) found.set(name, readFileSync(join(root, name)));
  }
  return found;
}

const deaf = { problem: () => {}, note: () => {}, progress: () => {} };

/** What came of an operation: `ok`, or what it says. */
type Outcome = string;

interface Outcomes {
  readonly check: Outcome;
  /** Of each snapshot that is found: `whole`, or how many files are missing. */
  readonly restore: Outcome;
}

/** Checks and restores a repository. Throws if a file came back with wrong bytes, or less than all with no problem. */
async function outcomesOf(files: MemoryFiles): Promise<Outcomes> {
  const backend = new MemoryBackend(files);
  return { check: await checkOutcome(backend), restore: await restoreOutcome(backend) };
}

async function checkOutcome(backend: MemoryBackend): Promise<Outcome> {
  try {
    const result = await checkAll(backend, { kind: 'all' }, environment);
    const { errors, affectedFiles, affectedSnapshots, hints } = result;
    if (errors.length === 0) return hints.length === 0 ? 'ok' : 'ok with hints';
    const kinds = new Set(errors.map((error) => error.replace(/ .*/, '')));
    const where = `${affectedSnapshots.length} snapshots, ${affectedFiles.length} paths`;
    return `${[...kinds].toSorted().join('+')}: ${where}`;
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return error.code;
  }
}

/** As the command does: what cannot be read of the index and the snapshots is told, the rest is used. */
async function restoreOutcome(backend: MemoryBackend): Promise<Outcome> {
  try {
    return await withRepository(backend, { environment }, async (repository) => {
      let problemCount = 0;
      const monitor = { ...deaf, problem: () => problemCount++ };
      const snapshots = await loadSnapshots(repository, { onUnreadable: tellUnreadable(monitor) });
      const index = await loadIndex(repository, { onProblem: monitor.problem });
      const indexed = new IndexedRepository(repository, index);
      const outcomes: string[] = [];
      for (const snapshot of snapshots) outcomes.push(await restoreOne(indexed, snapshot));
      if (problemCount > 0) outcomes.push('with problems');
      return outcomes.join(', ') || 'no snapshot';
    });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return error.code;
  }
}

/** Restores a snapshot. Throws if a file comes back with wrong bytes, or if files are missing and nothing is said. */
async function restoreOne(indexed: IndexedRepository, snapshot: StoredSnapshot): Promise<Outcome> {
  const target = scratch.fresh('target');
  const options = { overwrite: 'always', workerCount: 1, subfolder: source } as const;
  const request = { snapshot, target: Buffer.from(target), options };
  let problemCount: number;
  try {
    ({ problemCount } = await restore(indexed, request, { environment, monitor: deaf }));
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return error.code;
  }
  const found = contentOf(target);
  const largest = contents.at(-1) ?? new Map<string, Buffer>();
  for (const [name, content] of found) {
    if (!largest.get(name)?.equals(content)) throw new Error(`${name} came back with wrong bytes`);
  }
  const isWhole = contents.some((expected) => expected.size === found.size);
  if (problemCount === 0 && !isWhole) throw new Error('files are missing, and nothing is said');
  return problemCount === 0 ? 'whole' : `${found.size} files`;
}

function copyOf(files: MemoryFiles): MemoryFiles {
  return new Map([...files].map(([key, bytes]) => [key, bytes.slice()]));
}

/** Keys of the files of a kind, oldest first; packs by what they hold. */
function keysOf(kind: string): string[] {
  const type = kind.replace(/ .*/, '');
  const keys = [...pristine.keys()].filter((key) => key.split('/')[0] === type);
  if (type !== 'pack') return keys;
  // The packs of file content are larger here than those of trees.
  return keys.filter((key) => sizeOf(key) < 8_000 === (kind === 'pack (trees)'));
}

function sizeOf(key: string): number {
  return pristine.get(key)?.byteLength ?? 0;
}

function flip(bytes: Uint8Array, at: number, bit: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}

type Damage = (files: MemoryFiles, keys: readonly string[]) => void;

const damages: Readonly<Record<string, Damage>> = {
  flip: (files, [first = '']) => {
    const bytes = files.get(first);
    if (bytes) flip(bytes, bytes.byteLength >> 1, 4);
  },
  truncate: (files, [first = '']) => {
    const bytes = files.get(first);
    if (bytes) files.set(first, bytes.slice(0, bytes.byteLength >> 1));
  },
  empty: (files, [first = '']) => files.set(first, new Uint8Array()),
  zero: (files, [first = '']) => files.get(first)?.fill(0),
  delete: (files, [first = '']) => files.delete(first),
  swap: (files, [first = '', second = '']) => {
    const [a, b] = [files.get(first), files.get(second)];
    if (a && b) files.set(first, b).set(second, a);
  },
  duplicate: (files, [first = '']) => {
    const bytes = files.get(first);
    if (bytes) files.set(first.replace(/[0-9a-f]{64}/, 'ab'.repeat(32)), bytes.slice());
  },
  foreign: (files, [first = '']) => {
    files.set(first.replace(/[0-9a-f]{64}/, 'cd'.repeat(32)), Buffer.from('not one of ours'));
  },
};

describe('damage', () => {
  afterAll(() => scratch.remove(scratch.path));

  test('to nothing leaves everything whole', async () => {
    expect(await outcomesOf(copyOf(pristine))).toEqual({ check: 'ok', restore: 'whole, whole' });
  });

  const kinds = ['config', 'key', 'snapshot', 'index', 'pack (trees)', 'pack (data)'];
  test.each(kinds)('to a file of kind %s is told, and restores no wrong byte', async (kind) => {
    const table: Record<string, string> = {};
    for (const [name, damage] of Object.entries(damages)) {
      const keys = keysOf(kind);
      if (name === 'swap' && keys.length < 2) continue;
      const files = copyOf(pristine);
      damage(files, keys);
      const { check, restore: restored } = await outcomesOf(files);
      table[name] = `${check} | ${restored}`;
    }
    expect(table).toMatchSnapshot();
  });
});

describe('a bit or a byte', () => {
  test('that is damaged anywhere is found, and never restored', async () => {
    for (const seed of seedsOf('damage anywhere')) {
      const numbers = new Uint32Array(pseudoRandom(16 * 8 * testScale, seed).buffer);
      for (let i = 0; i + 3 < numbers.length; i += 4) {
        const [which = 0, where = 0, bit = 0, how = 0] = numbers.subarray(i, i + 4);
        const files = copyOf(pristine);
        const keys = [...files.keys()];
        const key = keys[which % keys.length] ?? '';
        const bytes = files.get(key) ?? new Uint8Array();
        const at = where % bytes.byteLength;
        if (how % 3 === 0) files.set(key, bytes.slice(0, at));
        else flip(bytes, at, bit & 7);
        const { check } = await outcomesOf(files);
        expect(check, `seed ${seed}, ${key}, byte ${at}`).not.toMatch(/^ok/);
      }
    }
  });
});
