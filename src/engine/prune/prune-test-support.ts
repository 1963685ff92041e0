import { expect } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import { concatBytes } from '../../base/bytes.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { SealKey } from '../../kernels/seal.ts';
import { loadIndex, loadIndexFiles } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { loadSnapshot } from '../../repository/snapshots.ts';
import { collectUsedBlobs } from '../trees/used-blobs.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { type HeldLock, noIdentity, type ProcessProbe } from '../../repository/locks.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { record } from '../../storage/record.ts';
import type { Backend, FileHandle, PutOptions } from '../../storage/backend.ts';
import { ForwardingBackend } from '../../storage/forward.ts';
import { MemoryBackend, type MemoryFiles, memoryKey } from '../../storage/memory/memory-backend.ts';
import { check } from '../check.ts';
import { type MadeNode, madeOfPieces, noise, SnapshotMaker } from '../engine-test-support.ts';
import { executePrune, planPrune, type PruneOptions, type PruneResult } from '../prune.ts';
import type { PruneMonitor } from './options.ts';

export const hourMs = 3_600_000;

export const atOnce: PruneOptions = {
  policy: { maxUnused: { kind: 'size', sizeBytes: 0 } },
  instant: true,
  keepDeleteMs: 24 * hourMs,
};
export const inPhases: PruneOptions = { ...atOnce, instant: false };

export const quiet: PruneMonitor = {
  problem: () => {},
  note: () => {},
  phase: () => {},
  counted: () => {},
};

/** A lock for who is alone. */
export const noLock: HeldLock = {
  instance: 'alone',
  signal: new AbortController().signal,
  settled: Promise.resolve(),
  assertHeld: () => undefined,
  isYoung: () => false,
  confirm: () => Promise.resolve(),
  publish: (work) => work(),
  release: () => Promise.resolve(),
};

/** Knows nothing of any process. */
export const noProbe: ProcessProbe = {
  hostname: 'host',
  identity: noIdentity,
  processStart: () => undefined,
  machineUpSeconds: () => 1,
};

export interface PruneHow {
  readonly options?: PruneOptions;
  /** By how much the wall clock is ahead. */
  readonly laterMs?: number;
  /** Default: the machine's, ahead by that. */
  readonly clock?: Clock;
  readonly monitor?: PruneMonitor;
  /** Default true. */
  readonly allowRemoveAll?: boolean;
  /** Default: that of other tests. */
  readonly masterKey?: SealKey;
}

/** The machine's clock, ahead by some time. */
export function clockAhead(ms: () => number): Clock {
  return {
    ...systemClock,
    wallMs: () => systemClock.wallMs() + ms(),
    wallNs: () => systemClock.wallNs() + BigInt(ms()) * 1_000_000n,
  };
}

/** To start threads takes longer than all that they would do here. */
const singleThreaded = { ...systemEnvironment, isSingleThreaded: true } as const;

/** Prunes with the real engine. */
export async function prune(backend: Backend, how: PruneHow = {}): Promise<PruneResult> {
  const { options = inPhases, laterMs = 0, monitor = quiet, allowRemoveAll = true } = how;
  const { masterKey, clock = clockAhead(() => laterMs) } = how;
  const repository = testRepository({ backend, clock, ...(masterKey ? { masterKey } : {}) });
  const context = { environment: { ...singleThreaded, clock }, monitor };
  const source = { repository, loadIndex: () => loadIndexFiles(repository), allowRemoveAll };
  const plan = await planPrune(source, options, context);
  const locks = { lock: noLock, commit: () => Promise.resolve(noLock), probe: noProbe };
  return executePrune(plan, locks, context);
}

/** A repository of four snapshots, two of which are gone, with packs of every kind: used, unused, partly used, in no index. */
export interface Prunable {
  readonly backend: MemoryBackend;
  readonly maker: SnapshotMaker;
  readonly kept: readonly StoredSnapshot[];
  readonly gone: readonly StoredSnapshot[];
}

function file(seed: number): MadeNode {
  return madeOfPieces([noise(3000, seed), noise(2000, seed + 100)]);
}

export async function prunable(): Promise<Prunable> {
  const maker = new SnapshotMaker();
  const first = await maker.snapshotOf({ both: file(1), first: file(2), sub: { first: file(3) } });
  const second = await maker.snapshotOf({ both: file(1), second: file(4), sub: { x: file(5) } });
  const third = await maker.snapshotOf({ third: file(6) });
  const fourth = await maker.snapshotOf({ both: file(1), fourth: file(7), sub: { x: file(5) } });
  const { backend } = maker;
  for (const { id } of [first, third]) {
    backend.files.delete(memoryKey({ type: 'snapshot', name: id }));
  }
  backend.files.set(memoryKey({ type: 'pack', name: 'f'.repeat(64) }), noise(500, 9));
  return { backend, maker, kept: [second, fourth], gone: [first, third] };
}

/** A storage whose listings do not have one snapshot yet. */
export function behind(inner: Backend, hidden: string): Backend {
  const backend = record(inner);
  const list = backend.list.bind(backend);
  backend.list = async function* (...call) {
    for await (const file of list(...call)) if (file.name !== hidden) yield file;
  };
  return backend;
}

/**
 * Asserts that a state of a repository is without damage and has the snapshots, every blob of theirs readable.
 * @returns the hints of the check
 */
export async function assertWhole(
  files: MemoryFiles,
  snapshots: readonly Pick<StoredSnapshot, 'id'>[],
): Promise<readonly string[]> {
  const repository = testRepository({ backend: new MemoryBackend(new Map(files)) });
  const context = { environment: singleThreaded, monitor: { ...quiet, progress: () => {} } };
  const result = await check(repository, {}, context);
  expect(result.errors).toEqual([]);
  expect(result.snapshotCount).toBeGreaterThanOrEqual(snapshots.length);
  const indexed = new IndexedRepository(repository, await loadIndex(repository));
  const stored = await Promise.all(snapshots.map(({ id }) => loadSnapshot(repository, id)));
  const used = await collectUsedBlobs(indexed, stored, context);
  for (const { entry } of used.marked()) {
    await indexed.loadBlob(indexed.index.typeOf(entry), indexed.index.idOf(entry));
  }
  return result.hints;
}

/** Ids of the packs that are stored, sorted. */
export function packsOf(files: MemoryFiles): string[] {
  return [...files.keys()].filter((key) => key.startsWith('pack/')).toSorted();
}

/** Keeps a copy of all files after each call that changed them. */
export class StatesBackend extends ForwardingBackend {
  readonly states: MemoryFiles[] = [];
  readonly #files: MemoryFiles;

  constructor(inner: MemoryBackend) {
    super(inner);
    this.#files = inner.files;
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    await this.inner.put(handle, parts, options);
    this.states.push(new Map(this.#files));
  }

  override async remove(handle: FileHandle): Promise<void> {
    await this.inner.remove(handle);
    this.states.push(new Map(this.#files));
  }
}

/** A storage with so much room and no more. */
export class FullBackend extends ForwardingBackend {
  readonly #files: MemoryFiles;
  readonly #sizeBytesMax: number;

  constructor(inner: MemoryBackend, freeBytes: number) {
    super(inner);
    this.#files = inner.files;
    this.#sizeBytesMax = this.#sizeBytes + freeBytes;
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    if (this.#sizeBytes + concatBytes(parts).byteLength > this.#sizeBytesMax) {
      throw new HoldfastError('STORAGE_FULL');
    }
    await this.inner.put(handle, parts, options);
  }

  get #sizeBytes(): number {
    return [...this.#files.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
  }
}
