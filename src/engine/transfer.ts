import { isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import { chunkSizeBytesMax } from '../kernels/chunker.ts';
import { type BlobType, idSizeBytes } from '../repository/blob.ts';
import type { Id } from '../repository/id.ts';
import type { IndexWriter } from '../repository/index-writer.ts';
import type { IndexedRepository, LoadedBlob } from '../repository/indexed.ts';
import { PackBuilder, PackWorkspace } from '../repository/pack.ts';
import { ChunkSink } from './backup/chunk-sink.ts';
import { PackSlots } from './backup/pack-slots.ts';
import { PackStore } from './backup/pack-store.ts';
import { PackOrder } from './check/pack-order.ts';
import type { EngineContext } from './context.ts';

/** How far a transfer is. Sizes are those that the blobs have where they are read. */
export interface TransferProgress {
  readonly blobsDone: number;
  readonly blobsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface TransferMonitor extends Monitor {
  transferProgress?(progress: TransferProgress): void;
}

export interface TransferRequest {
  /** Where the blobs are read. */
  readonly source: IndexedRepository;
  /** Entries of `source.index`, none pending, in any order. */
  readonly wanted: Iterable<number>;
  /** Where they are stored: another repository, or the same. `writer` is not flushed. */
  readonly target: { readonly indexed: IndexedRepository; readonly writer: IndexWriter };
  /** Store also what the index of the target has: for packs that are to go. */
  readonly again: boolean;
}

/** A blob that could not be read from any pack of the source. */
export interface FailedBlob {
  /** Entry of the source's index. */
  readonly entry: number;
  readonly error: unknown;
}

export interface TransferResult {
  /** Blobs that were stored. Those that the target had are not among them. */
  readonly blobCount: number;
  readonly plainSizeBytes: number;
  /** Sealed blobs and their header entries. */
  readonly storedSizeBytes: number;
  /** New packs of the target: stored, confirmed and given to the index writer. */
  readonly packs: readonly Id[];
  readonly failed: readonly FailedBlob[];
}

/**
 * Stores blobs of a repository anew, in the same or another one.
 *
 * Every blob is opened, decompressed and hashed before it is stored; one that is damaged is taken from another pack
 * that holds it. The packs are stored and confirmed when this returns, and their blobs are in the target's index; they
 * are listed in an index file once `writer` is flushed.
 * @throws what ends the work: CANCELLED, BACKEND_UNAVAILABLE, and what storing throws. Blobs that cannot be read do
 *   not; they are in the result
 */
export async function transferBlobs(
  request: TransferRequest,
  context: EngineContext<TransferMonitor>,
): Promise<TransferResult> {
  const { indexed, writer } = request.target;
  const store = new PackStore(indexed.repository, indexed.index, writer);
  try {
    return await transferInto(store, request, context);
  } catch (error) {
    // After an interrupt what is stored is entered into the index, so that the next run need not send it again.
    await store.abandon(isHoldfastError(error, 'CANCELLED'), context);
    throw error;
  }
}

async function transferInto(
  store: PackStore,
  request: TransferRequest,
  context: EngineContext<TransferMonitor>,
): Promise<TransferResult> {
  const { source } = request;
  const order = PackOrder.of(source.index, missingEntries(request));
  const packs: Id[] = [];
  const sink = sinkFor(request.target.indexed, store, packs);
  const failed: FailedBlob[] = [];
  const progress = new Counter(source, order, context.monitor);
  for (let pack = 0; pack < order.packCount; pack++) {
    const entries = order.entriesOf(pack);
    if (entries.length === 0) continue;
    const loading = source.loadBlobsOfPack(pack, [...entries], { signal: context.signal });
    for await (const blob of loading) {
      if ('error' in blob) failed.push(blob);
      else add(request, sink, blob);
      progress.count(blob.entry);
    }
    await store.settled();
  }
  sink.flush();
  await store.settled();
  const { blobCount, plainBytes, storedBytes } = sink.takeAdded();
  return { blobCount, plainSizeBytes: plainBytes, storedSizeBytes: storedBytes, packs, failed };
}

/** Those of the wanted entries that the target needs. */
function missingEntries({ source, wanted, target, again }: TransferRequest): Int32Array {
  const entries: number[] = [];
  const id = new Uint8Array(idSizeBytes);
  for (const entry of wanted) {
    source.index.idInto(entry, id, 0);
    const isMissing = again || target.indexed.index.find(source.index.typeOf(entry), id) < 0;
    if (isMissing) entries.push(entry);
  }
  return Int32Array.from(entries);
}

function add(
  { source, target, again }: TransferRequest,
  sink: ChunkSink,
  blob: Extract<LoadedBlob, { bytes: unknown }>,
): void {
  const type = source.index.typeOf(blob.entry);
  const id = source.index.idOf(blob.entry);
  const { index } = target.indexed;
  // Claimed when it is certain that it can be stored: what is claimed counts as stored for the next transfer.
  const entry = again ? index.claimCopy(type, id) : index.claim(type, id);
  if (entry >= 0) sink.addClaimed(type, { id, entry, bytes: blob.bytes });
}

function sinkFor({ repository, index }: IndexedRepository, store: PackStore, ids: Id[]): ChunkSink {
  const options = {
    version: repository.config.version,
    sealer: repository.sealer,
    compression: repository.compression,
    targetSizeBytes: repository.packSizeBytes,
    maxBlobSizeBytes: chunkSizeBytesMax,
  };
  const workspace = new PackWorkspace(options);
  const builders: Record<BlobType, PackBuilder> = {
    data: new PackBuilder({ ...options, workspace }),
    tree: new PackBuilder({ ...options, workspace }),
  };
  const noSlots = PackSlots.create(0, 0);
  return new ChunkSink(index, builders, (pack, entries) => {
    ids.push(pack.id);
    const { id, bytes, type: blobType, blobs } = pack;
    const place = { id, place: bytes, sizeBytes: bytes.byteLength, blobType, blobs: blobs.bytes };
    store.take({ type: 'pack', ...place, entries }, noSlots);
  });
}

/** Counts what was read, for the monitor. */
class Counter {
  readonly #source: IndexedRepository;
  readonly #monitor: TransferMonitor;
  #progress: TransferProgress;

  constructor(source: IndexedRepository, order: PackOrder, monitor: TransferMonitor) {
    this.#source = source;
    this.#monitor = monitor;
    let blobsTotal = 0;
    let bytesTotal = 0;
    for (let pack = 0; pack < order.packCount; pack++) {
      for (const entry of order.entriesOf(pack)) {
        blobsTotal++;
        bytesTotal += source.index.lengthOf(entry);
      }
    }
    this.#progress = { blobsDone: 0, blobsTotal, bytesDone: 0, bytesTotal };
  }

  count(entry: number): void {
    const { blobsDone, bytesDone, ...totals } = this.#progress;
    const lengthBytes = this.#source.index.lengthOf(entry);
    this.#progress = { ...totals, blobsDone: blobsDone + 1, bytesDone: bytesDone + lengthBytes };
    this.#monitor.transferProgress?.(this.#progress);
  }
}
