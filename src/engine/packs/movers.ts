import { usefulThreadCount, workerModule } from '../../base/worker-module.ts';
import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import { chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { giveBackFreed } from '../../kernels/freed-memory.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { packBufferSizeBytes } from '../../repository/pack.ts';
import { packEvent, type PackEvent } from './pack-event.ts';
import { PackSlots, threadsWithSlots } from './pack-slots.ts';
import type { PackStore } from './pack-store.ts';
import type { EngineContext } from '../context.ts';
import { BlobMover } from './blob-mover.ts';
import type {
  MoveRequest,
  MoveResponse,
  MoveSettings,
  TransferWorkerData,
} from './mover-messages.ts';

/** Sealed bytes from which on threads pay: two of them take some 0.15 s to come up. */
const threadsSizeBytesMin: number = 8 << 20;
/** Room for new objects of a thread: it makes some millions, none of which lives longer than its blob. */
const youngHeapMiB = 4;
/** Blobs of an index that takes so much memory, 150 MiB with what is moved, that one thread moves them: each takes some 70 MiB. */
const largeIndexBlobCountMin = 2_000_000;
/** More threads than this would wait for the storage. */
const workerCountMax = 8;

/** Threads that store blobs anew, or this thread if there is little to do. */
export interface Movers {
  /** Requests worth sending at once. */
  readonly width: number;
  run(request: MoveRequest): Promise<MoveResponse>;
  /** Hands over all that is packed. */
  flush(): Promise<void>;
  /** Ends the threads. Never throws. */
  close(): Promise<void>;
}

/** What movers are started with. */
export interface MoverOptions {
  readonly source: IndexedRepository;
  readonly target: IndexedRepository;
  readonly again: boolean;
  /** Takes the finished packs. */
  readonly store: PackStore;
  /** Sealed size of all that is to be moved. */
  readonly sizeBytes: number;
}

/**
 * Starts threads to store blobs anew from 8 MiB on, for less none. The caller closes what it gets.
 * @throws WORKER_FAILED if threads cannot be started
 */
export function startMovers(options: MoverOptions, context: EngineContext): Promise<Movers> {
  return options.sizeBytes < threadsSizeBytesMin
    ? Promise.resolve(new MoverHere(options, context.environment.random))
    : MoverThreads.start(options, context);
}

function settingsOf({ source, target, again }: MoverOptions): MoveSettings {
  const { masterKey, config, compression, packSizeBytes } = target.repository;
  const isSame = source.repository === target.repository;
  const sourceKey = source.repository.masterKey;
  const how = { version: config.version, compression, packSizeBytes, isSame, again };
  return { sourceKey, targetKey: masterKey, ...how };
}

/** Memory that a pack begins with here: most of what is moved so is far less than a pack. */
const firstPackBytes = 64 << 10;

function takeBuffer(): Uint8Array {
  return new Uint8Array(firstPackBytes);
}

class MoverHere implements Movers {
  readonly width = 1;
  readonly #mover: BlobMover;

  constructor(options: MoverOptions, random: Random) {
    const { source, target, store } = options;
    const noSlots = PackSlots.create(0, 0);
    const settings = settingsOf(options);
    const indexes = { source: source.index, target: target.index };
    const parts = { ...indexes, settings, random, takeBuffer };
    this.#mover = new BlobMover(parts, (pack, entries) => {
      store.take(packEvent(pack, entries, noSlots).event, noSlots);
    });
  }

  async run(request: MoveRequest): Promise<MoveResponse> {
    return this.#mover.answer(request);
  }

  async flush(): Promise<void> {
    this.#mover.answer({ type: 'flush' });
  }

  async close(): Promise<void> {}
}

const moduleAddress = workerModule('./mover-worker.ts', import.meta.url);

class MoverThreads implements Movers {
  readonly width: number;
  readonly #pool: WorkerPool<MoveRequest, MoveResponse>;
  readonly #options: MoverOptions;
  readonly #slots: PackSlots;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    pool: WorkerPool<MoveRequest, MoveResponse>,
    options: MoverOptions,
    { slots, signal }: { readonly slots: PackSlots; readonly signal: AbortSignal | undefined },
  ) {
    // Each thread has its next part at hand, and storage reads ahead meanwhile.
    this.width = 2 * pool.size;
    this.#pool = pool;
    this.#options = options;
    this.#slots = slots;
    this.#signal = signal;
  }

  static async start(
    options: MoverOptions,
    { environment, signal }: EngineContext,
  ): Promise<MoverThreads> {
    const { source, target } = options;
    const settings = settingsOf(options);
    const slotSizeBytes = packBufferSizeBytes({
      targetSizeBytes: settings.packSizeBytes,
      maxBlobSizeBytes: chunkSizeBytesMax,
    });
    const isLarge = target.index.blobCount >= largeIndexBlobCountMin;
    const countMax = isLarge ? 1 : Math.min(workerCountMax, threadsWithSlots(slotSizeBytes));
    const size = Math.min(usefulThreadCount(), countMax);
    if (isLarge) giveBackFreed();
    // One ahead: storage that is that slow is what is waited for anyway.
    const slots = PackSlots.create(2 * size + 1, slotSizeBytes);
    const indexes = { source: source.index.share(), target: target.index.share() };
    const workerData: TransferWorkerData = { ...indexes, slots: slots.share, settings };
    const pool = await WorkerPool.start<MoveRequest, MoveResponse>(moduleAddress, {
      size,
      workerData,
      environment,
      youngHeapMiB,
    });
    return new MoverThreads(pool, options, { slots, signal });
  }

  run(request: MoveRequest): Promise<MoveResponse> {
    const content = request.type === 'sealed' ? request.content : undefined;
    const transfer = content?.kind === 'bytes' ? [content.bytes.buffer] : [];
    return this.#pool.run(request, transfer, this.#call());
  }

  async flush(): Promise<void> {
    for (let worker = 0; worker < this.#pool.size; worker++) {
      await this.#pool.runOn(worker, { type: 'flush' }, [], this.#call());
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#options.target.index.abandonThreads();
  }

  #call(): { readonly signal: AbortSignal | undefined; onEvent(event: unknown): void } {
    const onEvent = (event: unknown): void => {
      const pack = event as PackEvent;
      assert(pack.type === 'pack', 'threads that move blobs send packs only');
      this.#options.store.take(pack, this.#slots);
    };
    return { signal: this.#signal, onEvent };
  }
}
