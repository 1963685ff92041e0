import { defined } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import { releaseBuffer } from '../../base/release.ts';
import { ChunkScanner, chunkSizeBytesMax, chunkSizeBytesMin } from '../../kernels/chunker.ts';
import { parsePolynomial } from '../../kernels/polynomial.ts';
import { Sealer } from '../../kernels/seal.ts';
import { serializeError } from '../../base/serialized-errors.ts';
import { serveWorker, type WorkerParts, type WorkerReply } from '../../kernels/worker-serve.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { type FinishedPack, PackBuilder, PackWorkspace } from '../../repository/pack.ts';
import { BlobPieces } from '../../repository/pack-pieces.ts';
import { ChunkSink, IdList } from '../packs/chunk-sink.ts';
import { isFileFailure } from './file-failure.ts';
import { FileReader, type ListedFile } from './file-reader.ts';
import {
  type BackupRequest,
  type BackupResponse,
  type BackupWorkerData,
  type ChunkStore,
  type ChunksResponse,
  type FileBatch,
  type FileExtra,
  fileOutcome,
  fileStatFields as field,
  fileStatStride,
  identityStride,
  type FilesResponse,
  type StreamPart,
  type TreeBatch,
  type TreeEnd,
  type TreePiece,
  type TreesResponse,
} from './messages.ts';
import { packEvent } from '../packs/pack-event.ts';
import { PackSlots } from '../packs/pack-slots.ts';
import { readExactly, scanSpan } from './span-scan.ts';

/** Room for a whole chunk and as much to read ahead. */
const scanBufferBytes = 2 * chunkSizeBytesMax;
/** Memory that a pack begins with where there are no slots. */
const ownPackBytes = 64 << 10;

/** What a worker of a backup does. Synchronous throughout. */
class BackupWorker {
  readonly #data: BackupWorkerData;
  readonly #random: Random;
  readonly #mayBlock: boolean;
  readonly #slots: PackSlots;
  /** Made when a local file comes: its memory is the largest part of a worker. */
  #scanner: ChunkScanner | undefined;
  readonly #workspace: PackWorkspace;
  readonly #sink: ChunkSink;
  #reader: FileReader | undefined;
  #reply: WorkerReply | undefined;
  /** Made when a stream comes: what it holds between two parts must survive the files read meanwhile. */
  #streamScanner: ChunkScanner | undefined;
  #stream = { start: 0, filled: 0 };
  readonly #largeTrees = new Map<number, BlobPieces>();

  constructor({ data, random, mayBlock }: WorkerParts<BackupWorkerData>) {
    this.#data = data;
    this.#random = random;
    this.#mayBlock = mayBlock;
    this.#slots = new PackSlots(data.slots);
    this.#workspace = new PackWorkspace({
      compression: data.compression,
      maxBlobSizeBytes: chunkSizeBytesMax,
    });
    const builders = { data: this.#builder(), tree: this.#builder() };
    this.#sink = new ChunkSink(BlobIndex.attach(data.index), builders, (pack, entries) =>
      this.#handOver(pack, entries),
    );
  }

  get #fileScanner(): ChunkScanner {
    return (this.#scanner ??= this.#newScanner());
  }

  get #fileReader(): FileReader {
    return (this.#reader ??= new FileReader(this.#fileScanner, this.#sink));
  }

  #newScanner(): ChunkScanner {
    return new ChunkScanner(parsePolynomial(this.#data.polynomial), scanBufferBytes);
  }

  #builder(): PackBuilder {
    return new PackBuilder({
      version: this.#data.version,
      sealer: new Sealer(this.#data.masterKey, this.#random),
      compression: this.#data.compression,
      targetSizeBytes: this.#data.packSizeBytes,
      maxBlobSizeBytes: chunkSizeBytesMax,
      workspace: this.#workspace,
      // Packs that nobody may wait for begin small, in memory of their own.
      takeBuffer: () => (this.#mayBlock ? this.#slots.take() : new Uint8Array(ownPackBytes)),
      returnBuffer: (buffer) => this.#returnBuffer(buffer),
    });
  }

  #returnBuffer(buffer: Uint8Array): void {
    const slot = this.#slots.slotOf(buffer);
    if (slot >= 0) this.#slots.free(slot);
  }

  #handOver(pack: FinishedPack, entries: Int32Array<ArrayBuffer>): void {
    const { event, transfer } = packEvent(pack, entries, this.#slots);
    this.#reply?.event(event, transfer);
  }

  answer(request: BackupRequest, reply: WorkerReply): BackupResponse {
    this.#reply = reply;
    switch (request.type) {
      case 'files':
        return this.#storeFiles(request);
      case 'trees':
        return this.#storeTrees(request);
      case 'tree-piece':
        this.#addTreePiece(request);
        return { type: 'trees', storedBytes: new Float64Array(), added: this.#sink.takeAdded() };
      case 'tree-end':
        this.#endTree(request);
        return { type: 'trees', storedBytes: new Float64Array(), added: this.#sink.takeAdded() };
      case 'scan': {
        const found = scanSpan(this.#fileScanner, request);
        return {
          type: 'scan',
          covered: Float64Array.from(found.covered),
          candidates: Float64Array.from(found.candidates),
        };
      }
      case 'store':
        return this.#storeChunks(request);
      case 'stream':
        return this.#storeStream(request);
      case 'flush':
        this.#sink.flush();
        return { type: 'flush' };
    }
  }

  #addTreePiece({ tree, bytes }: TreePiece): void {
    const pieces =
      this.#largeTrees.get(tree) ?? new BlobPieces(this.#workspace, this.#data.version > 1);
    this.#largeTrees.set(tree, pieces);
    pieces.add(bytes);
    releaseBuffer(bytes.buffer);
  }

  #endTree({ tree, id, entry }: TreeEnd): void {
    const pieces = defined(this.#largeTrees.get(tree), 'a tree that ends has pieces');
    this.#largeTrees.delete(tree);
    if (entry >= 0) this.#sink.addTreePieces({ id, entry, pieces });
  }

  #storeTrees({ trees }: TreeBatch): TreesResponse {
    const storedBytes = Float64Array.from(trees, (tree) => {
      const before = this.#sink.added.storedBytes;
      this.#sink.addClaimed('tree', tree);
      return this.#sink.added.storedBytes - before;
    });
    return { type: 'trees', storedBytes, added: this.#sink.takeAdded() };
  }

  #storeFiles(batch: FileBatch): FilesResponse {
    const count = batch.pathEnds.length;
    const ids = new IdList();
    const extras: FileExtra[] = [];
    const chunkCounts = new Uint32Array(count);
    const sizes = new Float64Array(count);
    const outcomes = new Uint8Array(count);
    const addedByFile = new Float64Array(2 * count);
    for (let i = 0; i < count; i++) {
      const firstId = ids.count;
      const { plainBytes, storedBytes } = this.#sink.added;
      try {
        const read = this.#fileReader.read(listedFile(batch, i), ids);
        sizes[i] = read.sizeBytes;
        if (read.changing) outcomes[i] = fileOutcome.changing;
        else if (read.now) outcomes[i] = fileOutcome.moved;
        if (read.now) extras.push({ index: i, now: read.now });
      } catch (error) {
        if (!isFileFailure(error)) throw error;
        ids.truncate(firstId);
        outcomes[i] = fileOutcome.failed;
        extras.push({ index: i, error: serializeError(error) });
      }
      chunkCounts[i] = ids.count - firstId;
      addedByFile[2 * i] = this.#sink.added.plainBytes - plainBytes;
      addedByFile[2 * i + 1] = this.#sink.added.storedBytes - storedBytes;
    }
    const added = this.#sink.takeAdded();
    const columns = { ids: ids.toBytes(), chunkCounts, sizes, outcomes };
    return { type: 'files', ...columns, extras, added, addedByFile };
  }

  #storeChunks(request: ChunkStore): ChunksResponse {
    const ids = new IdList();
    let start = request.start;
    for (const end of request.ends) {
      const chunk = this.#fileScanner.buffer.subarray(0, end - start);
      readExactly(request.fd, chunk, start);
      this.#sink.addChunk(chunk, ids);
      start = end;
    }
    const sizeBytes = start - request.start;
    return { type: 'chunks', ids: ids.toBytes(), sizeBytes, added: this.#sink.takeAdded() };
  }

  #storeStream(part: StreamPart): ChunksResponse {
    const ids = new IdList();
    if (part.isFirst && part.isLast && part.bytes.byteLength <= chunkSizeBytesMin) {
      // Shorter than any cut: one chunk, where it is.
      if (part.bytes.byteLength > 0) this.#sink.addChunk(part.bytes, ids);
      const sizeBytes = part.bytes.byteLength;
      return { type: 'chunks', ids: ids.toBytes(), sizeBytes, added: this.#sink.takeAdded() };
    }
    this.#streamScanner ??= this.#newScanner();
    const { buffer } = this.#streamScanner;
    if (part.isFirst) this.#stream = { start: 0, filled: 0 };
    let taken = 0;
    do {
      if (
        this.#stream.start > 0 &&
        buffer.byteLength - this.#stream.filled < part.bytes.byteLength - taken
      ) {
        buffer.copyWithin(0, this.#stream.start, this.#stream.filled);
        this.#stream = { start: 0, filled: this.#stream.filled - this.#stream.start };
      }
      const piece = part.bytes.subarray(taken, taken + buffer.byteLength - this.#stream.filled);
      buffer.set(piece, this.#stream.filled);
      taken += piece.byteLength;
      this.#stream.filled += piece.byteLength;
      this.#cutStream(this.#streamScanner, {
        isLast: part.isLast && taken === part.bytes.byteLength,
        ids,
      });
    } while (taken < part.bytes.byteLength);
    return { type: 'chunks', ids: ids.toBytes(), sizeBytes: taken, added: this.#sink.takeAdded() };
  }

  #cutStream(streamed: ChunkScanner, to: { isLast: boolean; ids: IdList }): void {
    while (this.#stream.start < this.#stream.filled) {
      const cut = streamed.nextCut(this.#stream.start, this.#stream.filled, to.isLast);
      if (cut < 0) return;
      this.#sink.addChunk(streamed.buffer.subarray(this.#stream.start, cut), to.ids);
      this.#stream.start = cut;
    }
  }
}

function listedFile(batch: FileBatch, i: number): ListedFile {
  const start = i === 0 ? 0 : (batch.pathEnds[i - 1] ?? 0);
  const at = i * fileStatStride;
  const { identities, stats } = batch;
  const identity = i * identityStride;
  const directory = exactNumber(identities[identity + 2]!);
  return {
    path: batch.paths.subarray(start, batch.pathEnds[i]),
    sizeBytes: stats[at + field.size]!,
    mtimeSeconds: stats[at + field.mtimeSeconds]!,
    mtimeNanoseconds: stats[at + field.mtimeNanoseconds]!,
    ctimeSeconds: stats[at + field.ctimeSeconds]!,
    ctimeNanoseconds: stats[at + field.ctimeNanoseconds]!,
    inode: exactNumber(identities[identity]!),
    device: exactNumber(identities[identity + 1]!),
    directory:
      directory === 0
        ? undefined
        : { inode: directory, device: exactNumber(identities[identity + 3]!) },
  };
}

function exactNumber(value: number | bigint): number | bigint {
  if (typeof value === 'number') return value;
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

serveWorker<BackupWorkerData, BackupRequest, BackupResponse>(import.meta.url, (parts) => {
  const worker = new BackupWorker(parts);
  return (request, reply) => worker.answer(request, reply);
});
