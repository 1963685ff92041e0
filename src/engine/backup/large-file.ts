import { concatBytes, equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import {
  ChunkScanner,
  chunkSizeBytesMax,
  chunkSizeBytesMin,
  windowSizeBytes,
} from '../../kernels/chunker.ts';
import type { Polynomial } from '../../kernels/polynomial.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { type DataRange, nextDataRange } from '../../platform/holes.ts';
import { closeFile } from '../../platform/files.ts';
import { type FileStatus, readStatusOf } from '../../platform/status.ts';
import { CutPicker } from './cut-picker.ts';
import {
  changedReadsMax,
  type FileListener,
  isUnchanged,
  newStatus,
  type SoleRead,
} from './file-reader.ts';
import { HoleMap } from './hole-map.ts';
import {
  type Identity,
  openListed,
  openRequestOf,
  type SourceEntry,
} from '../../sources/source.ts';
import type { Pipeline } from './pipeline.ts';
import { firstCandidateIn } from './span-scan.ts';

/** Files of this size and more are cut by all workers together. */
export const largeFileBytesMin: number = 48 << 20;
/** What one worker scans at a time. */
const spanBytes = 32 << 20;
/** What one worker stores at a time, about. */
const storeBytes = 16 << 20;
/** Spans scanned ahead of what is stored, per worker: bounds how much must stay in the page cache. */
const spansAheadPerWorker = 2;
/** Most chunks of one file: their ids alone are 1 GiB then, for 16 TiB of holes or some 48 TiB of data. */
const chunksMax = 2 ** 25;
/** How long holes are looked for before waiting events are handled. */
const turnMs = 15;
/** Unit of `st_blocks`. */
const blockBytes = 512;
/** Id of a chunk of zeros of the smallest size: what a hole is cut into. */
const zeroChunkId = sha256(new Uint8Array(chunkSizeBytesMin));

/** Cuts and stores one large file with several threads. */
export class LargeFileReader {
  readonly #pipeline: Pipeline;
  readonly #polynomial: Polynomial;
  readonly #clock: Clock;
  #scanner: ChunkScanner | undefined;

  constructor(pipeline: Pipeline, polynomial: Polynomial, clock: Clock) {
    this.#pipeline = pipeline;
    this.#polynomial = polynomial;
    this.#clock = clock;
  }

  /**
   * Reads the file again, at most three times in all, while its status differs before and after. The listener hears of
   * bytes on the first reading only.
   * @returns undefined if it shrinks or its holes are filled all the time: then it is to be read in order
   * @throws SOURCE_FAILED with the offset of a failed read, or if it is no regular file any more or too large
   */
  async read(
    entry: SourceEntry,
    directory: Identity | undefined,
    listener: FileListener,
  ): Promise<SoleRead | undefined> {
    const opened = openListed({ ...openRequestOf(entry), directory });
    try {
      let before = opened.status;
      for (let reads = 1; ; reads++) {
        assertNotTooLarge(before.sizeBytes / chunkSizeBytesMax);
        const counted = reads === 1 ? listener : { ...listener, bytes: (): void => {} };
        const holes = await this.#holesOf(opened.fd, before);
        const pass = new FilePass(this.#pipeline, opened.fd, { listener: counted, holes });
        const ids = await this.#pass(pass, before.sizeBytes);
        const after = readStatusOf(opened.fd);
        const stable = isUnchanged(before, after);
        const isLastTry = reads === changedReadsMax;
        if (ids && (stable || isLastTry)) {
          const { sizeBytes } = before;
          // Of a torn file the status before: by that of later it would count as unchanged the next time.
          const now = newStatus(opened.fd, before);
          return { ids, sizeBytes, now, changing: !stable };
        }
        if (isLastTry) return undefined;
        before = after;
      }
    } finally {
      this.#pipeline.release(() => closeFile(opened.fd));
    }
  }

  /** Undefined if the file has shrunk, or its holes were filled. */
  async #pass(pass: FilePass, sizeBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await pass.run(sizeBytes, this.#gapScanner());
    } catch (error) {
      if (isHoldfastError(error, 'SOURCE_FAILED') && error.details['reason'] === 'shrank') {
        return undefined;
      }
      throw error;
    }
  }

  /** Undefined for a file that is not sparse. */
  async #holesOf(fd: number, { sizeBytes, blocks }: FileStatus): Promise<HoleMap | undefined> {
    if (blocks * blockBytes >= sizeBytes) return undefined;
    const runs: DataRange[] = [];
    let turnStart = this.#clock.monotonicMs();
    let next = nextDataRange(fd, 0, sizeBytes);
    for (; next; next = nextDataRange(fd, next.end, sizeBytes)) {
      const last = runs.at(-1);
      // A hole that holds no whole chunk of zeros is as good as data: there may be millions of them.
      if (last && next.start - last.end < chunkSizeBytesMin) {
        runs[runs.length - 1] = { start: last.start, end: next.end };
      } else runs.push(next);
      if (this.#clock.monotonicMs() - turnStart < turnMs) continue;
      await this.#clock.nextTurn();
      turnStart = this.#clock.monotonicMs();
    }
    return new HoleMap(runs, sizeBytes);
  }

  #gapScanner(): ChunkScanner {
    this.#scanner ??= new ChunkScanner(this.#polynomial, 2 << 20);
    return this.#scanner;
  }
}

/** One reading of one file from start to end. */
class FilePass {
  readonly #pipeline: Pipeline;
  readonly #fd: number;
  readonly #listener: FileListener;
  readonly #stores: Promise<Uint8Array>[] = [];
  #storeFrom = 0;
  #queued: number[] = [];
  readonly #holes: HoleMap | undefined;
  /** Number of the first chunk of zeros, which is read and stored as any other. */
  #firstZeros = -1;
  #chunkCount = 0;
  /** Chunks of zeros that follow what is stored or queued. */
  #zeroChunks = 0;

  constructor(
    pipeline: Pipeline,
    fd: number,
    to: { readonly listener: FileListener; readonly holes: HoleMap | undefined },
  ) {
    this.#pipeline = pipeline;
    this.#fd = fd;
    this.#listener = to.listener;
    this.#holes = to.holes;
  }

  /** @returns the ids of all chunks; undefined if what was taken for a hole has data by now */
  async run(sizeBytes: number, scanner: ChunkScanner): Promise<Uint8Array | undefined> {
    const fd = this.#fd;
    const holes = this.#holes;
    const picker = new CutPicker(sizeBytes, (range) =>
      // A window of zeros has fingerprint 0, which allows a cut.
      holes?.isHole(range.from - windowSizeBytes, range.from)
        ? range.from
        : firstCandidateIn(scanner, fd, range),
    );
    const ahead = this.#pipeline.workerCount * spansAheadPerWorker;
    const scans: Promise<{ covered: ArrayLike<number>; candidates: ArrayLike<number> }>[] = [];
    let scanStart = 0;
    try {
      for (let addedEnd = 0; addedEnd < sizeBytes; ) {
        while (scanStart < sizeBytes && scans.length < ahead) {
          const end = Math.min(scanStart + spanBytes, sizeBytes);
          scans.push(this.#scan(scanStart, end));
          scanStart = end;
        }
        const found = await scans.shift();
        if (!found) break;
        addedEnd = Math.min(addedEnd + spanBytes, sizeBytes);
        picker.addSpan(addedEnd, found);
        for (const cut of picker.takeCuts()) this.#queue(cut);
        // The next spans are scanned only when there is room: stores come first.
        await this.#pipeline.ready();
      }
      this.#flushZeros();
      this.#store();
    } finally {
      // The descriptor must stay open until no worker uses it; see also `Pipeline.release`.
      await Promise.allSettled([...scans, ...this.#stores]);
    }
    const ids = concatBytes(await Promise.all(this.#stores));
    return this.#hasStoredZeros(ids) ? ids : undefined;
  }

  #scan(
    start: number,
    end: number,
  ): Promise<{ covered: ArrayLike<number>; candidates: ArrayLike<number> }> {
    // A hole needs no scan: the picker knows its cuts.
    if (this.#holes?.isHole(start, end)) return Promise.resolve({ covered: [], candidates: [] });
    return handled(this.#pipeline.send({ type: 'scan', fd: this.#fd, start, end }));
  }

  #queue(cut: number): void {
    assertNotTooLarge(++this.#chunkCount);
    const start = this.#queued.at(-1) ?? this.#storeFrom;
    const isZeros = cut - start === chunkSizeBytesMin && this.#holes?.isHole(start, cut) === true;
    if (isZeros && this.#firstZeros >= 0) {
      this.#skipZeros(cut);
      return;
    }
    // The first chunk of zeros is stored as any other; all further ones are known by it.
    if (isZeros) this.#firstZeros = this.#chunkCount - 1;
    this.#flushZeros();
    this.#queued.push(cut);
    if (cut - this.#storeFrom >= storeBytes) this.#store();
  }

  /** Takes a chunk of zeros without reading it. */
  #skipZeros(end: number): void {
    this.#store();
    this.#zeroChunks++;
    this.#storeFrom = end;
    this.#listener.bytes(chunkSizeBytesMin);
  }

  /** False if the chunk that stands for all zeros was filled before it was read: then none was stored. */
  #hasStoredZeros(ids: Uint8Array): boolean {
    if (this.#firstZeros < 0) return true;
    const start = this.#firstZeros * zeroChunkId.byteLength;
    return equalBytes(ids.subarray(start, start + zeroChunkId.byteLength), zeroChunkId);
  }

  #flushZeros(): void {
    if (this.#zeroChunks === 0) return;
    const ids = new Uint8Array(this.#zeroChunks * zeroChunkId.byteLength);
    for (let at = 0; at < ids.byteLength; at += zeroChunkId.byteLength) ids.set(zeroChunkId, at);
    this.#stores.push(Promise.resolve(ids));
    this.#zeroChunks = 0;
  }

  #store(): void {
    if (this.#queued.length === 0) return;
    const ends = Float64Array.from(this.#queued);
    const request = { type: 'store', fd: this.#fd, start: this.#storeFrom, ends } as const;
    this.#storeFrom = ends.at(-1) ?? this.#storeFrom;
    this.#queued = [];
    const store = this.#pipeline.send(request).then((response) => {
      this.#listener.added(response.added);
      this.#listener.bytes(response.sizeBytes);
      return response.ids;
    });
    this.#stores.push(handled(store));
  }
}

/** @throws SOURCE_FAILED for a file whose list of chunks could not be stored */
function assertNotTooLarge(chunkCount: number): void {
  if (chunkCount <= chunksMax) return;
  throw new HoldfastError('SOURCE_FAILED', {
    message: 'the file has more chunks than a tree can list',
    details: { chunksMax },
    hint: 'Exclude it, or store it in parts.',
  });
}

/** The same promise; its failure is looked at later, so it is not unhandled meanwhile. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
