import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { endsWork, isHoldfastError } from '../../base/errors.ts';
import { releaseBuffer } from '../../base/release.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { idSizeBytes, type Id } from '../../repository/id.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { type IndexedRepository, type PackRead, readsInOrder } from '../../repository/indexed.ts';
import type { CallOptions } from '../../storage/backend.ts';
import { PackStore } from './pack-store.ts';
import { PackOrder } from './pack-order.ts';
import type { EngineContext } from '../context.ts';
import type { PackContent } from './pack-content.ts';
import { type FailedBlob, TransferCounter, type TransferMonitor } from './transfer-counter.ts';
import { type Movers, startMovers } from './movers.ts';

export type { FailedBlob, TransferMonitor, TransferProgress } from './transfer-counter.ts';

/** Which blobs are stored where. */
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

/** What a transfer stored, in bytes before and after compression, and what it could not read. */
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
  const { source, target, again } = request;
  const missing = missingEntries(request);
  const order = PackOrder.of(source.index, missing);
  releaseBuffer(missing.buffer);
  const counter = new TransferCounter(source.index, order, context.monitor);
  const { bytesTotal: sizeBytes } = counter.progress;
  const parts = { source, target: target.indexed, again, store, sizeBytes };
  const movers = await startMovers(parts, context);
  try {
    const reads = readsOf(source.index, order);
    await forEachConcurrent(reads, movers.width, async (read) => {
      store.assertStored();
      await moveRead({ source, movers, counter }, read, context);
    });
    await movers.flush();
  } finally {
    await movers.close();
  }
  await store.settled(context.signal);
  return { ...counter.added, packs: store.storedIds, failed: counter.failed };
}

/** What one read works with. */
interface TransferParts {
  readonly source: IndexedRepository;
  readonly movers: Movers;
  readonly counter: TransferCounter;
}

/** Moves the blobs of one read; what it does not give is looked for in other packs. */
async function moveRead(
  { source, movers, counter }: TransferParts,
  { pack, read }: { readonly pack: number; readonly read: PackRead },
  context: EngineContext,
): Promise<void> {
  const { signal } = context;
  const content = await contentOf(source, { pack, read }, { signal });
  let missing: Iterable<number> = read.entries;
  if (content) {
    const entries = new Int32Array(read.entries);
    const response = await movers.run({ type: 'sealed', entries, content });
    counter.add(response.added);
    missing = response.damaged;
  }
  for (const entry of missing) {
    const blobType = source.index.typeOf(entry);
    const id = source.index.idOf(entry);
    let plain: Uint8Array;
    try {
      plain = await source.loadBlob(blobType, id, { signal });
    } catch (error) {
      if (endsWork(error)) throw error;
      counter.failed.push({ entry, error });
      continue;
    }
    counter.add((await movers.run({ type: 'plain', blobType, id, bytes: plain })).added);
  }
  counter.count(read.entries);
}

/** What a thread reads itself, or the bytes of it; undefined if the pack does not give them. */
async function contentOf(
  source: IndexedRepository,
  { pack, read }: { readonly pack: number; readonly read: PackRead },
  options: CallOptions,
): Promise<PackContent | undefined> {
  const { start, end } = read;
  const path = source.repository.packPath(toHex(source.index.packId(pack)));
  if (path !== undefined && source.isPlausible(read)) {
    return { kind: 'file', path, range: { start, end } };
  }
  const bytes = await source.readPackPart(pack, read, options);
  return bytes && { kind: 'bytes', bytes, start };
}

/** Reads of all packs, one pack after the other. */
function* readsOf(
  index: BlobIndex,
  order: PackOrder,
): Generator<{ readonly pack: number; readonly read: PackRead }> {
  for (let pack = 0; pack < order.packCount; pack++) {
    for (const read of readsInOrder(index, order.entriesOf(pack))) yield { pack, read };
  }
}

/** Those of the wanted entries that the target needs, each once. */
function missingEntries({
  source,
  wanted,
  target,
  again,
}: TransferRequest): Int32Array<ArrayBuffer> {
  // Of what is not written to the system gives no memory.
  const entries = new Int32Array(source.index.blobCount);
  let count = 0;
  const seen = new Uint8Array(source.index.blobCount);
  const id = new Uint8Array(idSizeBytes);
  for (const entry of wanted) {
    if (seen[entry] !== 0) continue;
    seen[entry] = 1;
    if (!again) {
      source.index.idInto(entry, id, 0);
      if (target.indexed.index.find(source.index.typeOf(entry), id) >= 0) continue;
    }
    entries[count++] = entry;
  }
  releaseBuffer(seen.buffer);
  return entries.subarray(0, count);
}
