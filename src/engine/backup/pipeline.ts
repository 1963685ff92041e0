import type { Transferable } from 'node:worker_threads';
import { usefulThreadCount, workerModule } from '../../base/worker-module.ts';
import { assert } from '../../base/assert.ts';
import type { Timer } from '../../base/clock.ts';
import { isHoldfastError } from '../../base/errors.ts';
import { formatPolynomial } from '../../kernels/polynomial.ts';
import { chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { IndexWriter, type StoredByWork } from '../../repository/index-writer.ts';
import { packBufferSizeBytes } from '../../repository/pack.ts';
import type { EngineContext } from '../context.ts';
import { isFileFailure } from './file-failure.ts';
import type {
  BackupRequest,
  BackupResponse,
  BackupWorkerData,
  ChunksResponse,
  FilesResponse,
  ScanResponse,
  TreesResponse,
} from './messages.ts';
import { PackSlots, threadsWithSlots } from '../packs/pack-slots.ts';
import { PackStore } from '../packs/pack-store.ts';
import type { PackEvent } from '../packs/pack-event.ts';

/** Requests that wait per worker while one runs: enough that no worker idles while this thread walks. */
const requestsPerWorkerMax = 4;
/**
 * The first packs may wait for their index file up to this size, later ones up to a share of all (see `IndexWriter`): what a
 * run that is killed stores again. Less would make more index files, which everybody loads.
 *
 * Packs that no index lists are not used again: they may as well be what a prune has let go of and is about to delete. It
 * may stand still on the way for days, its lock removed as left, and a removal that was allowed before is done when it goes on.
 */
const unlistedBytesMax = 128 << 20;

const moduleAddress = workerModule('./worker.ts', import.meta.url);

/** The response that belongs to a request. */
export type ResponseTo<R extends BackupRequest> = R extends { type: 'files' }
  ? FilesResponse
  : R extends { type: 'trees' | 'tree-piece' | 'tree-end' }
    ? TreesResponse
    : R extends { type: 'scan' }
      ? ScanResponse
      : R extends { type: 'flush' }
        ? BackupResponse
        : ChunksResponse;

type BackupPool = WorkerPool<BackupRequest, BackupResponse>;

/** The worker threads of a backup and what they produce: packs go to storage, results to the caller. */
export class Pipeline {
  readonly workerCount: number;
  readonly #startPool: () => Promise<BackupPool>;
  /** Absent until there is work: a backup without changes does without threads. */
  #pool: Promise<BackupPool> | undefined;
  readonly #index: BlobIndex;
  readonly #packs: PackStore;
  readonly #writer: IndexWriter | undefined;
  readonly #timer: Timer | undefined;
  readonly #slots: PackSlots;
  readonly #context: EngineContext;
  #outstanding = 0;
  #tasks = 0;
  /** Any request was sent: threads may hold open packs. */
  #hasWork = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void)[] = [];
  /** What threads may still use. */
  readonly #atClose: (() => void)[] = [];

  private constructor(
    startPool: () => Promise<BackupPool>,
    parts: {
      readonly workerCount: number;
      readonly index: BlobIndex;
      readonly packs: PackStore;
      /** Absent in a dry run. */
      readonly writer: IndexWriter | undefined;
      readonly slots: PackSlots;
      readonly context: EngineContext;
    },
  ) {
    this.#startPool = startPool;
    this.workerCount = parts.workerCount;
    this.#index = parts.index;
    this.#packs = parts.packs;
    this.#writer = parts.writer;
    this.#timer = parts.writer?.keepTime();
    this.#slots = parts.slots;
    this.#context = parts.context;
  }

  static start(
    indexed: IndexedRepository,
    options: { readonly workerCount: number; readonly dryRun: boolean },
    context: EngineContext,
  ): Pipeline {
    const { repository, index } = indexed;
    const slotSizeBytes = packBufferSizeBytes({
      targetSizeBytes: repository.packSizeBytes,
      maxBlobSizeBytes: chunkSizeBytesMax,
    });
    const workerCount = Math.min(
      options.workerCount,
      2 * usefulThreadCount(),
      threadsWithSlots(slotSizeBytes),
    );
    // Threads wait for a free slot; in a process of one thread there is nobody to wait for.
    const slots = context.environment.isSingleThreaded
      ? PackSlots.create(0, slotSizeBytes)
      : PackSlots.forThreads(workerCount, slotSizeBytes);
    const workerData = (): BackupWorkerData => ({
      index: index.share(),
      masterKey: repository.masterKey,
      version: repository.config.version,
      compression: repository.compression,
      packSizeBytes: repository.packSizeBytes,
      polynomial: formatPolynomial(repository.config.polynomial),
      slots: slots.share,
    });
    const startPool = (): Promise<BackupPool> =>
      WorkerPool.start<BackupRequest, BackupResponse>(moduleAddress, {
        size: workerCount,
        workerData: workerData(),
        environment: context.environment,
      });
    const packCountMin = Math.ceil(unlistedBytesMax / repository.packSizeBytes);
    const writer = options.dryRun ? undefined : new IndexWriter(repository, { packCountMin });
    const packs = new PackStore(repository, index, writer);
    return new Pipeline(startPool, { workerCount, index, packs, writer, slots, context });
  }

  /** Has the threads come up while something else is done; the first request does so at the latest. */
  warmUp(): void {
    // Whoever sends a request hears of a failure.
    this.#threads().catch(() => {});
  }

  #threads(): Promise<BackupPool> {
    this.#pool ??= this.#startPool();
    return this.#pool;
  }

  /** Resolves when another request may be sent. @throws the first failure of any request or pack */
  async ready(): Promise<void> {
    this.#assertSound();
    while (this.#outstanding >= this.workerCount * requestsPerWorkerMax) await this.#change();
    this.#assertSound();
  }

  /** Runs `task` beside everything else; a failure ends the run. */
  spawn(task: () => Promise<void>): void {
    this.#tasks++;
    task()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#tasks--;
        this.#notify();
      });
  }

  /** Resolves when every spawned task has ended. @throws the first failure */
  async idle(): Promise<void> {
    while (this.#tasks > 0 && !this.#failure) await this.#change();
    this.#assertSound();
  }

  /** Sends a request to the next free worker, or to worker `options.worker`. */
  async send<R extends BackupRequest>(
    request: R,
    options: { readonly transfer?: readonly Transferable[]; readonly worker?: number } = {},
  ): Promise<ResponseTo<R>> {
    this.#outstanding++;
    try {
      const { signal } = this.#context;
      const call = { signal, onEvent: (event: unknown) => this.#onEvent(event) };
      const { worker, transfer = [] } = options;
      const pool = await this.#threads();
      this.#hasWork = true;
      const response =
        worker === undefined
          ? await pool.run(request, transfer, call)
          : await pool.runOn(worker, request, transfer, call);
      // The worker answers each request type with its own response type.
      return response as ResponseTo<R>;
    } catch (error) {
      if (!isFileFailure(error)) this.fail(error);
      throw error;
    } finally {
      this.#outstanding--;
      this.#notify();
    }
  }

  /** Ends the run: `ready`, `idle` and `finish` throw `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#timer?.stop();
    if (!isHoldfastError(error, 'CANCELLED')) this.#packs.stop();
    this.#notify();
  }

  /** Hands over all open packs and resolves once every pack and the index are stored. */
  async finish(): Promise<void> {
    await this.idle();
    for (let worker = 0; this.#hasWork && worker < this.workerCount; worker++) {
      await this.send({ type: 'flush' }, { worker });
    }
    await this.#packs.finish(this.#context.signal);
  }

  /**
   * Lets something go that workers were told to use: now, or, once the work is being cancelled, when all threads have
   * ended. A request that is cancelled is given up at once, though a worker may be in the middle of it.
   */
  release(letGo: () => void): void {
    if (this.#context.signal?.aborted) this.#atClose.push(letGo);
    else letGo();
  }

  /** What was stored; nothing in a dry run. */
  get stored(): StoredByWork | undefined {
    return this.#writer?.stored;
  }

  /** Something failed: the run will end. */
  get hasFailed(): boolean {
    return this.#failure !== undefined || this.#packs.hasFailed;
  }

  /**
   * Stops the threads and resolves once nothing is written any more, within a few seconds. After an interrupt,
   * packs that are stored are entered into the index, so that the next run need not send them again. Never throws.
   */
  async close(): Promise<void> {
    this.#timer?.stop();
    if (this.#failure) this.#packs.hurry(this.#context.environment);
    await (await this.#pool?.catch(() => undefined))?.close();
    for (const letGo of this.#atClose.splice(0)) letGo();
    this.#index.abandonThreads();
    if (!this.#failure) return;
    await this.#packs.abandon(isHoldfastError(this.#failure.error, 'CANCELLED'), this.#context);
    await this.#writer?.settled();
  }

  #onEvent(event: unknown): void {
    const pack = event as PackEvent;
    assert(pack.type === 'pack', 'backup workers send packs only');
    this.#packs.take(pack, this.#slots);
  }

  #assertSound(): void {
    if (this.#failure) throw this.#failure.error;
    this.#packs.assertStored();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
