import { concatBytes } from '../../base/bytes.ts';
import { ChunkScanner, chunkSizeBytesMin, windowSizeBytes } from '../../kernels/chunker.ts';
import type { Polynomial } from '../../kernels/polynomial.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { dataRanges } from '../../platform/holes.ts';
import { closeFile } from '../../platform/files.ts';
import { type FileStatus, readStatusOf } from '../../platform/status.ts';
import { openRequestOf, openSourceFile, type SourceEntry } from '../../sources/source.ts';
import { CutPicker } from './cut-picker.ts';
import { isFileFailure } from './file-failure.ts';
import { changedReadsMax, isUnchanged, type NewStatus, newStatus } from './file-reader.ts';
import { HoleMap } from './hole-map.ts';
import type { AddedData } from './messages.ts';
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
/** Unit of `st_blocks`. */
const blockBytes = 512;
/** Id of a chunk of zeros of the smallest size: what a hole is cut into. */
const zeroChunkId = sha256(new Uint8Array(chunkSizeBytesMin));

/** How a large file was stored. */
export interface LargeFileResult {
  /** Ids of its chunks, 32 bytes each. */
  readonly ids: Uint8Array;
  readonly sizeBytes: number;
  readonly now: NewStatus;
  readonly changing: boolean;
  readonly added: readonly AddedData[];
}

/** Cuts and stores one large file with several threads. */
export class LargeFileReader {
  readonly #pipeline: Pipeline;
  readonly #polynomial: Polynomial;
  #scanner: ChunkScanner | undefined;

  constructor(pipeline: Pipeline, polynomial: Polynomial) {
    this.#pipeline = pipeline;
    this.#polynomial = polynomial;
  }

  /** @param onBytes hears of bytes as they are stored */
  async read(entry: SourceEntry, onBytes: (sizeBytes: number) => void): Promise<LargeFileResult> {
    const opened = openSourceFile(openRequestOf(entry), { acceptReplaced: true });
    const added: AddedData[] = [];
    try {
      let before = opened.status;
      for (let reads = 1; ; reads++) {
        const counted = reads === 1 ? onBytes : (): void => {};
        const holes = holesOf(opened.fd, before);
        const pass = new FilePass(this.#pipeline, opened.fd, { onBytes: counted, added, holes });
        const isLastTry = reads === changedReadsMax;
        const ids = await this.#pass(pass, before.sizeBytes, isLastTry);
        const after = readStatusOf(opened.fd);
        const stable = isUnchanged(before, after);
        if (ids && (stable || isLastTry)) {
          const { sizeBytes } = before;
          const now = newStatus(opened.fd, after);
          return { ids, sizeBytes, now, changing: !stable, added };
        }
        before = after;
      }
    } finally {
      closeFile(opened.fd);
    }
  }

  /** Undefined if the file could not be read to the end but another try is left: it may have shrunk. */
  async #pass(
    pass: FilePass,
    sizeBytes: number,
    isLastTry: boolean,
  ): Promise<Uint8Array | undefined> {
    try {
      return await pass.run(sizeBytes, this.#gapScanner());
    } catch (error) {
      if (isLastTry || !isFileFailure(error)) throw error;
      return undefined;
    }
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
  readonly #onBytes: (sizeBytes: number) => void;
  readonly #added: AddedData[];
  readonly #stores: Promise<Uint8Array>[] = [];
  #storeFrom = 0;
  #queued: number[] = [];
  readonly #holes: HoleMap | undefined;
  #hasZeros = false;
  /** Chunks of zeros that follow what is stored or queued. */
  #zeroChunks = 0;

  constructor(
    pipeline: Pipeline,
    fd: number,
    to: {
      onBytes: (sizeBytes: number) => void;
      added: AddedData[];
      holes: HoleMap | undefined;
    },
  ) {
    this.#pipeline = pipeline;
    this.#fd = fd;
    this.#onBytes = to.onBytes;
    this.#added = to.added;
    this.#holes = to.holes;
  }

  async run(sizeBytes: number, scanner: ChunkScanner): Promise<Uint8Array> {
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
      // The descriptor must stay open until no worker uses it.
      await Promise.allSettled([...scans, ...this.#stores]);
    }
    return concatBytes(await Promise.all(this.#stores));
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
    const start = this.#queued.at(-1) ?? this.#storeFrom;
    const isZeros = cut - start === chunkSizeBytesMin && this.#holes?.isHole(start, cut) === true;
    if (isZeros && this.#hasZeros) {
      this.#skipZeros(cut);
      return;
    }
    // The first chunk of zeros is stored as any other; all further ones are known by it.
    this.#hasZeros ||= isZeros;
    this.#flushZeros();
    this.#queued.push(cut);
    if (cut - this.#storeFrom >= storeBytes) this.#store();
  }

  /** Takes a chunk of zeros without reading it. */
  #skipZeros(end: number): void {
    this.#store();
    this.#zeroChunks++;
    this.#storeFrom = end;
    this.#onBytes(chunkSizeBytesMin);
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
      this.#added.push(response.added);
      this.#onBytes(response.sizeBytes);
      return response.ids;
    });
    this.#stores.push(handled(store));
  }
}

/** Undefined for a file that is not sparse. */
function holesOf(fd: number, { sizeBytes, blocks }: FileStatus): HoleMap | undefined {
  if (blocks * blockBytes >= sizeBytes) return undefined;
  return new HoleMap(dataRanges(fd, sizeBytes), sizeBytes);
}

/** The same promise; its failure is looked at later, so it is not unhandled meanwhile. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
