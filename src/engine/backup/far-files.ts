import { defined } from '../../base/assert.ts';
import { concatBytes, equalBytes } from '../../base/bytes.ts';
import { endsWork } from '../../base/errors.ts';
import type { FileStatus } from '../../platform/status.ts';
import type { FarFile, FarPart, ListedRequest, Source } from '../../sources/source.ts';
import {
  changedReadsMax,
  type FileListener,
  isAsListed,
  isUnchanged,
  type ListedFile,
  readLimitOf,
  type SoleRead,
} from './file-reader.ts';
import type { ChunksResponse } from './messages.ts';
import type { NewStatus } from './new-status.ts';
import type { Pipeline } from './pipeline.ts';

/** What is read of a far file at once. */
const partBytes = 2 << 20;
/** Far files that may wait to be read. */
const filesAheadMax = 1024;

/**
 * Reads files whose file systems may stop answering, several at once: the source reads them in processes of its own, a
 * worker cuts and stores what comes. So no thread that holds packs ever waits for such a file system.
 */
export class FarFiles {
  readonly #source: Source;
  readonly #pipeline: Pipeline;
  /** Workers that store no far file now: each takes one at a time. */
  readonly #freeWorkers: number[];
  readonly #waiting: (() => void)[] = [];
  /** Called when a file is done. */
  readonly #finished: (() => void)[] = [];
  #fileCount = 0;

  constructor(source: Source, pipeline: Pipeline) {
    this.#source = source;
    this.#pipeline = pipeline;
    this.#freeWorkers = Array.from({ length: pipeline.workerCount }, (_, worker) => worker);
  }

  /** Resolves when another file may be sent here, or once the work has failed. */
  async ready(): Promise<void> {
    while (this.#fileCount >= filesAheadMax && !this.#pipeline.hasFailed) {
      await new Promise<void>((resolve) => this.#finished.push(resolve));
    }
  }

  /** Reads one file whole; as `FileReader.read` otherwise. @throws SOURCE_FAILED also if there is no answer */
  async read(file: ListedFile, listener: FileListener): Promise<SoleRead> {
    this.#fileCount++;
    const worker = await this.#takeWorker();
    try {
      const opened = defined(
        await this.#source.openFar?.(requestOf(file), firstBytesOf(file)),
        'a source with far files opens them',
      );
      try {
        return await new FarReading(this.#pipeline, opened, { worker, listener }).run(file);
      } finally {
        opened.close();
      }
    } finally {
      this.#fileCount--;
      this.#giveBack(worker);
      for (const resolve of this.#finished.splice(0)) resolve();
    }
  }

  async #takeWorker(): Promise<number> {
    for (;;) {
      const worker = this.#freeWorkers.shift();
      if (worker !== undefined) return worker;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #giveBack(worker: number): void {
    this.#freeWorkers.push(worker);
    this.#waiting.shift()?.();
  }
}

/** One open far file on its way into the repository. */
class FarReading {
  readonly #pipeline: Pipeline;
  readonly #file: FarFile;
  readonly #worker: number;
  readonly #listener: FileListener;

  constructor(
    pipeline: Pipeline,
    file: FarFile,
    to: { readonly worker: number; readonly listener: FileListener },
  ) {
    this.#pipeline = pipeline;
    this.#file = file;
    this.#worker = to.worker;
    this.#listener = to.listener;
  }

  /** The same judgement as that of `FileReader`, which reads what is near. */
  async run(listed: ListedFile): Promise<SoleRead> {
    let before = this.#file.status;
    let previous: Uint8Array | undefined;
    let first: FarPart | undefined = this.#file.first;
    const asListed = isAsListed(before, listed);
    for (let reads = 1; ; reads++) {
      const read = await this.#readContent(before.sizeBytes, first);
      first = undefined;
      const { ids, sizeBytes, after } = read;
      const isQuiet = read.atEnd && isUnchanged(before, after);
      if (isQuiet && sizeBytes === after.sizeBytes) {
        if (asListed && reads === 1) return { ids, sizeBytes, changing: false };
        return { ids, sizeBytes, changing: false, now: await this.#newStatus(after) };
      }
      const isSame = previous !== undefined && equalBytes(ids, previous);
      if (isQuiet && isSame) {
        return { ids, sizeBytes, changing: false, now: await this.#newStatus(after) };
      }
      if (reads === changedReadsMax) {
        return { ids, sizeBytes, changing: true, now: await this.#newStatus(before) };
      }
      previous = ids;
      before = after;
    }
  }

  /** Reads from the start to the end, as far as the limit allows. */
  async #readContent(
    expectedBytes: number,
    first: FarPart | undefined,
  ): Promise<{ ids: Uint8Array; sizeBytes: number; atEnd: boolean; after: FileStatus }> {
    const limit = readLimitOf(expectedBytes);
    const stores: Promise<ChunksResponse>[] = [];
    let position = 0;
    let part =
      first ?? (await this.#file.read({ position, sizeBytes: Math.min(partBytes, limit) }));
    for (;;) {
      const start = position;
      position += part.bytes.byteLength;
      const isLast = part.atEnd || position >= limit;
      const next = isLast
        ? undefined
        : this.#file.read({ position, sizeBytes: Math.min(partBytes, limit - position) });
      // It is looked at once the part before is stored.
      next?.catch(() => {});
      stores.push(this.#store(part.bytes, { isFirst: start === 0, isLast }));
      await stores.at(-1);
      if (!next) break;
      part = await next;
    }
    const ids = concatBytes((await Promise.all(stores)).map((stored) => stored.ids));
    return { ids, sizeBytes: position, atEnd: part.atEnd, after: part.status };
  }

  async #store(
    bytes: Uint8Array<ArrayBuffer>,
    place: { readonly isFirst: boolean; readonly isLast: boolean },
  ): Promise<ChunksResponse> {
    const request = { type: 'stream', bytes, ...place } as const;
    const how = { worker: this.#worker, transfer: [bytes.buffer] };
    const response = await this.#pipeline.send(request, how);
    this.#listener.bytes(response.sizeBytes);
    this.#listener.added(response.added);
    return response;
  }

  async #newStatus(status: FileStatus): Promise<NewStatus> {
    try {
      return { status, attributes: await this.#file.attributes() };
    } catch (error) {
      if (endsWork(error)) throw error;
      return { status };
    }
  }
}

function requestOf({ path, device, inode, directory }: ListedFile): ListedRequest {
  return { path, device, inode, directory };
}

/** One byte more than expected proves the end without another request. */
function firstBytesOf({ sizeBytes }: ListedFile): number {
  return Math.min(partBytes, Math.max(sizeBytes + 1, 4096));
}
