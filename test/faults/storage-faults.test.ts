import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';

import { defined } from '../../src/base/assert.ts';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { describeError, isHoldfastError } from '../../src/base/errors.ts';
import type { Problem } from '../../src/base/monitor.ts';
import { restore } from '../../src/engine/restore.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { loadSnapshots } from '../../src/repository/snapshots.ts';
import type { Backend, FileType } from '../../src/storage/backend.ts';
import { type Fault, fault, type FaultRule } from '../../src/storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { type Operation, record, type RecordedCall } from '../../src/storage/record.ts';
import { backUp, initRepository, withRepository } from '../tools/engine.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

const scratch = scratchFolder('faults');
const source = scratch.fresh('source');
/** A repository with one snapshot of the folder as it was before it was changed. */
const pristine: MemoryFiles = new Map();
let before: Content = new Map();
let after: Content = new Map();

beforeAll(async () => {
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'text'), 'some text');
  writeFileSync(join(source, 'sub/bytes'), pseudoRandom(40_000, 1));
  const backend = new MemoryBackend(pristine);
  await initRepository(backend);
  await backUp(backend, [source], settings);
  before = contentOf(source);
  writeFileSync(join(source, 'text'), 'some other text');
  writeFileSync(join(source, 'sub/more'), pseudoRandom(30_000, 2));
  after = contentOf(source);
});

const settings = { options: { workerCount: 1 } };

function backUpSource(backend: Backend): ReturnType<typeof backUp> {
  return backUp(backend, [source], settings);
}

function copy(): MemoryFiles {
  return new Map([...pristine].map(([key, bytes]) => [key, bytes.slice()]));
}

/** Calls that some work makes, each with its number among those of its kind. */
async function callsOf(
  work: (backend: Backend) => Promise<unknown>,
): Promise<{ operation: Operation; type: FileType | undefined; call: number }[]> {
  const recorder = record(new MemoryBackend(copy()));
  await work(recorder);
  const counts = new Map<string, number>();
  return recorder.calls.map(({ operation, type }: RecordedCall) => {
    const kind = `${operation} ${type}`;
    const call = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, call);
    return { operation, type, call };
  });
}

const reads: readonly Fault[] = [
  { kind: 'error', code: 'BACKEND_READ_FAILED' },
  { kind: 'flip', byte: -20 },
  { kind: 'flip', byte: 40 },
  { kind: 'short', sizeBytes: 30 },
];
const writes: readonly Fault[] = [
  { kind: 'error', code: 'STORAGE_FULL' },
  { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' },
  { kind: 'lost' },
  { kind: 'partial', sizeBytes: 30 },
  { kind: 'partial', sizeBytes: 30, code: 'BACKEND_WRITE_FAILED' },
];
const lists: readonly Fault[] = [
  { kind: 'error', code: 'BACKEND_READ_FAILED' },
  { kind: 'error-after', code: 'BACKEND_READ_FAILED' },
];
const faultsOf: Readonly<Record<Operation, readonly Fault[]>> = {
  create: [],
  get: reads,
  put: writes,
  stat: [{ kind: 'error', code: 'BACKEND_READ_FAILED' }],
  list: lists,
  remove: [{ kind: 'error', code: 'PERMISSION_DENIED' }],
};

/** Every fault of every call that some work makes. */
async function rulesFor(work: (backend: Backend) => Promise<unknown>): Promise<FaultRule[]> {
  const rules: FaultRule[] = [];
  for (const { operation, type, call } of await callsOf(work)) {
    const of = type ? { operation, type, call } : { operation, call };
    for (const found of faultsOf[operation]) rules.push({ ...of, fault: found });
  }
  return rules;
}

function nameOf({ operation, type, call, fault: found }: FaultRule): string {
  return `${operation} ${type} ${call}: ${JSON.stringify(found)}`;
}

/** Does work that may fail; what it fails with must be one line for a person. */
async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isHoldfastError(error) || isHoldfastError(error, 'ASSERTION_FAILED')) throw error;
    const line = describeError(error);
    expect(line).not.toMatch(/\n|    at /);
    expect(line.length).toBeLessThan(600);
    return undefined;
  }
}

/** What the newest snapshot holds, as far as it is named. Unreadable files that nothing needs are passed over. */
async function restored(backend: Backend): Promise<{ count: number; content: Content }> {
  return withRepository(backend, {}, async (repository) => {
    const complaints: string[] = [];
    const monitor = {
      problem: ({ item, error }: Problem) => complaints.push(`${item}: ${describeError(error)}`),
      note: () => {},
      progress: () => {},
    };
    const deaf = { problem: () => {}, note: () => {} };
    const snapshots = await loadSnapshots(repository, { monitor: deaf });
    const index = await loadIndex(repository, { onProblem: () => {} });
    const snapshot = defined(snapshots.at(-1), 'there is a snapshot');
    const target = scratch.fresh('target');
    const options = { overwrite: 'always', subfolder: source, workerCount: 1 } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    await restore(new IndexedRepository(repository, index), request, { environment, monitor });
    expect(complaints).toEqual([]);
    const content = contentOf(target);
    scratch.remove(target);
    return { count: snapshots.length, content };
  });
}

describe('a storage call that goes wrong', () => {
  test('during a backup leaves no snapshot that does not restore', async () => {
    const rules = await rulesFor(backUpSource);
    const silent: string[] = [];
    for (const rule of rules) {
      const files = copy();
      const faulty = fault(new MemoryBackend(files), [rule]);
      const result = await attempt(() => backUpSource(faulty));
      const name = nameOf(rule);
      expect(faulty.faultCount, name).toBeGreaterThan(0);
      const { count, content } = await restored(new MemoryBackend(files));
      if (result && count !== 2) silent.push(name);
      expect(content, name).toEqual(count === 2 ? after : before);
    }
    expect(silent).toEqual([]);
  }, 240_000);
});
