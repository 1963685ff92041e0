import { createHash } from 'node:crypto';

import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  type PutOptions,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';
import { checkRange } from './range.ts';

/** What a cache has to be told of the format, and whom it tells of its failures. */
export interface CacheOptions {
  /** Says of a pack whether it holds trees; `holdsTrees` of its handle counts as well. */
  readonly isTreePack?: (name: string) => boolean;
  /** Hears of a cache that cannot be read or written; the work goes on without it. */
  readonly onProblem?: (error: unknown) => void;
}

/** A storage with a cache before it. */
export interface CachedBackend extends Backend {
  /** Removes cached packs that the index does not know; to be called after it was loaded. @returns their number */
  retainPacks(isKnown: (name: string) => boolean): Promise<number>;
}

/**
 * Keeps copies of snapshots, index files and packs of trees in `folder`, as they are put and as they are first read.
 *
 * - A whole file that is read from the cache is hashed. One that does not fit its name, or is shorter than a range that
 *   is asked for, is dropped and read from `inner`. Damage inside a range shows only when the caller unseals it: it then
 *   asks again with `fresh`, which drops the copy, once for each file.
 * - What `inner` gives is kept only if it fits its name.
 * - After snapshots or index files were listed whole, copies of those not listed are removed.
 * - A failing cache costs time, never an answer.
 *
 * @see docs/FORMAT.md#cache
 */
export function cache(inner: Backend, folder: Backend, options: CacheOptions = {}): CachedBackend {
  return new CachingBackend(inner, folder, options);
}

interface SharedRead {
  readonly content: Promise<Uint8Array<ArrayBuffer>>;
  isShared: boolean;
}

const listedTypes: readonly FileType[] = ['snapshot', 'index'];

class CachingBackend extends ForwardingBackend implements CachedBackend {
  readonly #folder: Backend;
  readonly #isTreePack: (name: string) => boolean;
  readonly #onProblem: (error: unknown) => void;
  readonly #reads: Map<string, SharedRead> = new Map();
  readonly #refreshed: Set<string> = new Set();
  readonly #stuck: Set<string> = new Set();
  #isWritable = true;

  constructor(inner: Backend, folder: Backend, options: CacheOptions) {
    super(inner);
    this.#folder = folder;
    this.#isTreePack = options.isTreePack ?? (() => false);
    this.#onProblem = options.onProblem ?? (() => {});
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    await this.inner.put(handle, parts, options);
    if (!this.#isKept(handle)) return;
    if (options?.replace) await this.#drop(handle);
    await this.#keep(handle, parts);
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const passes = options?.direct === true || !this.#isKept(handle);
    if (passes) return await this.inner.get(handle, range, options);
    if (range) checkRange(range);
    if (options?.fresh) {
      if (this.#refreshed.has(handle.name)) return await this.inner.get(handle, range, options);
      this.#refreshed.add(handle.name);
      await this.#drop(handle);
    } else {
      const kept = await this.#find(handle, range, options);
      if (kept) return kept;
    }
    const content = await this.#readOnce(handle, options);
    if (!range) return content;
    // The inner backend knows best how to refuse a range past the end.
    if (range.end > content.byteLength) return await this.inner.get(handle, range, options);
    return content.slice(range.start, range.end);
  }

  override async *list(
    type: FileType,
    options?: CallOptions,
  ): AsyncGenerator<FileStat, void, undefined> {
    if (!listedTypes.includes(type)) {
      yield* this.inner.list(type, options);
      return;
    }
    const listed = new Set<string>();
    for await (const file of this.inner.list(type, options)) {
      listed.add(file.name);
      yield file;
    }
    await this.#retain(type, (name) => listed.has(name));
  }

  override async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    try {
      await this.inner.remove(handle, options);
    } finally {
      if (this.#isKept(handle)) await this.#drop(handle);
    }
  }

  retainPacks(isKnown: (name: string) => boolean): Promise<number> {
    return this.#retain('pack', isKnown);
  }

  override async close(): Promise<void> {
    await this.#folder.close();
    await this.inner.close();
  }

  #isKept(handle: FileHandle): boolean {
    if (handle.type !== 'pack') return listedTypes.includes(handle.type);
    return handle.holdsTrees === true || this.#isTreePack(handle.name);
  }

  async #find(
    handle: FileHandle,
    range: ByteRange | undefined,
    options: CallOptions | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#stuck.has(handle.name)) return undefined;
    try {
      const content = await this.#folder.get(handle, range, { signal: options?.signal });
      const isWhole = !range && fitsName(handle, [content]);
      if (isWhole || (range && content.byteLength === range.end - range.start)) return content;
      this.#onProblem(damaged(handle));
    } catch (error) {
      if (isHoldfastError(error, 'CANCELLED', 'ASSERTION_FAILED')) throw error;
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
      this.#onProblem(error);
    }
    await this.#drop(handle);
    return undefined;
  }

  /** Reads a whole file from `inner` and keeps it; calls for the same file at the same time share one read. */
  async #readOnce(
    handle: FileHandle,
    options: CallOptions | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const key = `${handle.type}/${handle.name}`;
    const running = this.#reads.get(key);
    if (running) {
      running.isShared = true;
      const shared = await running.content.catch(() => undefined);
      // If the shared read failed or was cancelled, that is not this call's end.
      return shared?.slice() ?? (await this.inner.get(handle, undefined, options));
    }
    const read: SharedRead = { content: this.#readAndKeep(handle, options), isShared: false };
    this.#reads.set(key, read);
    try {
      const content = await read.content;
      // Every caller owns what it gets, so those that share it get copies.
      return read.isShared ? content.slice() : content;
    } finally {
      this.#reads.delete(key);
    }
  }

  async #readAndKeep(
    handle: FileHandle,
    options: CallOptions | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const content = await this.inner.get(handle, undefined, options);
    if (fitsName(handle, [content])) await this.#keep(handle, [content]);
    return content;
  }

  /** After its first failure (a full disk, a deleted folder) nothing more is kept. */
  async #keep(handle: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
    if (!this.#isWritable) return;
    try {
      await this.#folder.put(handle, parts);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_EXISTS')) return;
      this.#isWritable = false;
      this.#onProblem(error);
    }
  }

  /** A copy that cannot be removed is at least not used again. */
  async #drop(handle: FileHandle): Promise<void> {
    try {
      await this.#folder.remove(handle);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return;
      this.#stuck.add(handle.name);
      this.#onProblem(error);
    }
  }

  async #retain(type: FileType, isKnown: (name: string) => boolean): Promise<number> {
    let count = 0;
    try {
      for await (const { name } of this.#folder.list(type)) {
        if (isKnown(name)) continue;
        await this.#drop({ type, name });
        count++;
      }
    } catch (error) {
      this.#onProblem(error);
    }
    return count;
  }
}

function fitsName(handle: FileHandle, parts: readonly Uint8Array[]): boolean {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex') === handle.name;
}

function damaged(handle: FileHandle): HoldfastError {
  return new HoldfastError('UNPACKED_DAMAGED', {
    message: 'a file in the local cache is damaged; it is read again from the repository',
    details: { file: describeHandle(handle) },
  });
}
