import { workerData } from 'node:worker_threads';
import { defined } from '../../base/assert.ts';
import { systemRandom } from '../../base/random.ts';
import { releaseBuffer } from '../../base/release.ts';
import { ChunkScanner, chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { parsePolynomial } from '../../kernels/polynomial.ts';
import { Sealer } from '../../kernels/seal.ts';
import { serializeError } from '../../base/serialized-errors.ts';
import { serveWorker, type WorkerReply } from '../../kernels/worker-serve.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { type FinishedPack, PackBuilder, PackWorkspace } from '../../repository/pack.ts';
import { BlobPieces } from '../../repository/pack-pieces.ts';
import { ChunkSink, IdList } from './chunk-sink.ts';
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
import { packEvent } from './pack-event.ts';
import { PackSlots } from './pack-slots.ts';
import { readExactly, scanSpan } from './span-scan.ts';

/** Room for a whole chunk and as much to read ahead. */
const scanBufferBytes = 2 * chunkSizeBytesMax;

const data = workerData as BackupWorkerData;
const slots = new PackSlots(data.slots);
const index = BlobIndex.attach(data.index);
const scanner = newScanner();
let reply: WorkerReply;
const workspace = new PackWorkspace({
  compression: data.compression,
  maxBlobSizeBytes: chunkSizeBytesMax,
});
const sink = new ChunkSink(index, { data: builder(), tree: builder() }, handOver);
const reader = new FileReader(scanner, sink);
/** Made when a stream comes: what it holds between two parts must survive the files read meanwhile. */
let streamScanner: ChunkScanner | undefined;
let stream = { start: 0, filled: 0 };
const largeTrees = new Map<number, BlobPieces>();

serveWorker<BackupRequest, BackupResponse>((request, to) => {
  reply = to;
  return answer(request);
});

function newScanner(): ChunkScanner {
  return new ChunkScanner(parsePolynomial(data.polynomial), scanBufferBytes);
}

function builder(): PackBuilder {
  return new PackBuilder({
    version: data.version,
    sealer: new Sealer(data.masterKey, systemRandom),
    compression: data.compression,
    targetSizeBytes: data.packSizeBytes,
    maxBlobSizeBytes: chunkSizeBytesMax,
    workspace,
    takeBuffer: () => slots.take(),
    returnBuffer: (buffer) => slots.free(slots.slotOf(buffer)),
  });
}

function handOver(pack: FinishedPack, entries: Int32Array<ArrayBuffer>): void {
  const { event, transfer } = packEvent(pack, entries, slots);
  reply.event(event, transfer);
}

function answer(request: BackupRequest): BackupResponse {
  switch (request.type) {
    case 'files':
      return storeFiles(request);
    case 'trees':
      return storeTrees(request);
    case 'tree-piece':
      addTreePiece(request);
      return { type: 'trees', storedBytes: new Float64Array(), added: sink.takeAdded() };
    case 'tree-end':
      endTree(request);
      return { type: 'trees', storedBytes: new Float64Array(), added: sink.takeAdded() };
    case 'scan': {
      const found = scanSpan(scanner, request);
      return {
        type: 'scan',
        covered: Float64Array.from(found.covered),
        candidates: Float64Array.from(found.candidates),
      };
    }
    case 'store':
      return storeChunks(request);
    case 'stream':
      return storeStream(request);
    case 'flush':
      sink.flush();
      return { type: 'flush' };
  }
}

function addTreePiece({ tree, bytes }: TreePiece): void {
  const pieces = largeTrees.get(tree) ?? new BlobPieces(workspace, data.version > 1);
  largeTrees.set(tree, pieces);
  pieces.add(bytes);
  releaseBuffer(bytes.buffer);
}

function endTree({ tree, id, entry }: TreeEnd): void {
  const pieces = defined(largeTrees.get(tree), 'a tree that ends has pieces');
  largeTrees.delete(tree);
  if (entry >= 0) sink.addTreePieces({ id, entry, pieces });
}

function storeTrees({ trees }: TreeBatch): TreesResponse {
  const storedBytes = Float64Array.from(trees, (tree) => {
    const before = sink.added.storedBytes;
    sink.addClaimed('tree', tree);
    return sink.added.storedBytes - before;
  });
  return { type: 'trees', storedBytes, added: sink.takeAdded() };
}

function storeFiles(batch: FileBatch): FilesResponse {
  const count = batch.pathEnds.length;
  const ids = new IdList();
  const extras: FileExtra[] = [];
  const chunkCounts = new Uint32Array(count);
  const sizes = new Float64Array(count);
  const outcomes = new Uint8Array(count);
  const addedByFile = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) {
    const firstId = ids.count;
    const { plainBytes, storedBytes } = sink.added;
    try {
      const read = reader.read(listedFile(batch, i), ids);
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
    addedByFile[2 * i] = sink.added.plainBytes - plainBytes;
    addedByFile[2 * i + 1] = sink.added.storedBytes - storedBytes;
  }
  const added = sink.takeAdded();
  const columns = { ids: ids.toBytes(), chunkCounts, sizes, outcomes };
  return { type: 'files', ...columns, extras, added, addedByFile };
}

function listedFile(batch: FileBatch, i: number): ListedFile {
  const start = i === 0 ? 0 : (batch.pathEnds[i - 1] ?? 0);
  const at = i * fileStatStride;
  const identity = (offset: number): number | bigint =>
    exactNumber(batch.identities[i * identityStride + offset] ?? 0n);
  const stat = (offset: number): number => batch.stats[at + offset] ?? 0;
  return {
    path: batch.paths.subarray(start, batch.pathEnds[i]),
    sizeBytes: stat(field.size),
    mtimeSeconds: stat(field.mtimeSeconds),
    mtimeNanoseconds: stat(field.mtimeNanoseconds),
    ctimeSeconds: stat(field.ctimeSeconds),
    ctimeNanoseconds: stat(field.ctimeNanoseconds),
    inode: identity(0),
    device: identity(1),
    directory: identity(2) === 0 ? undefined : { inode: identity(2), device: identity(3) },
  };
}

function exactNumber(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function storeChunks(request: ChunkStore): ChunksResponse {
  const ids = new IdList();
  let start = request.start;
  for (const end of request.ends) {
    const chunk = scanner.buffer.subarray(0, end - start);
    readExactly(request.fd, chunk, start);
    sink.addChunk(chunk, ids);
    start = end;
  }
  const sizeBytes = start - request.start;
  return { type: 'chunks', ids: ids.toBytes(), sizeBytes, added: sink.takeAdded() };
}

function storeStream(part: StreamPart): ChunksResponse {
  const ids = new IdList();
  streamScanner ??= newScanner();
  const { buffer } = streamScanner;
  if (part.isFirst) stream = { start: 0, filled: 0 };
  let taken = 0;
  do {
    if (stream.start > 0 && buffer.byteLength - stream.filled < part.bytes.byteLength - taken) {
      buffer.copyWithin(0, stream.start, stream.filled);
      stream = { start: 0, filled: stream.filled - stream.start };
    }
    const piece = part.bytes.subarray(taken, taken + buffer.byteLength - stream.filled);
    buffer.set(piece, stream.filled);
    taken += piece.byteLength;
    stream.filled += piece.byteLength;
    cutStream(streamScanner, { isLast: part.isLast && taken === part.bytes.byteLength, ids });
  } while (taken < part.bytes.byteLength);
  return { type: 'chunks', ids: ids.toBytes(), sizeBytes: taken, added: sink.takeAdded() };
}

function cutStream(streamed: ChunkScanner, to: { isLast: boolean; ids: IdList }): void {
  while (stream.start < stream.filled) {
    const cut = streamed.nextCut(stream.start, stream.filled, to.isLast);
    if (cut < 0) return;
    sink.addChunk(streamed.buffer.subarray(stream.start, cut), to.ids);
    stream.start = cut;
  }
}
