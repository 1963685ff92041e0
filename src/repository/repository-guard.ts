import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
} from '../storage/backend.ts';

/**
 * Asked before every change of the repository. Undefined: go on at once. A promise: wait for it; if it rejects, the
 * change is not made and its error is thrown.
 */
export type WriteGuard = () => Promise<void> | undefined;

/**
 * Holds changes of a repository back until every guard agrees, so that no code that writes can forget its lock.
 * Reading, and the locks themselves, pass freely.
 */
export class GuardedBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly localPath: string | undefined;
  readonly removeLeftovers?: (options?: CallOptions) => Promise<number>;
  readonly #inner: Backend;
  readonly #guards = new Set<WriteGuard>();

  constructor(inner: Backend) {
    this.#inner = inner;
    this.location = inner.location;
    this.connectionCount = inner.connectionCount;
    this.localPath = inner.localPath;
    if (inner.removeLeftovers) {
      this.removeLeftovers = inner.removeLeftovers.bind(inner);
    }
  }

  /** Asks `guard` from now on. Returns what ends that. */
  addGuard(guard: WriteGuard): () => void {
    this.#guards.add(guard);
    return () => this.#guards.delete(guard);
  }

  create(options?: CallOptions): Promise<void> {
    return this.#inner.create(options);
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    if (handle.type !== 'lock') await this.#pass();
    return this.#inner.put(handle, parts, options);
  }

  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#inner.get(handle, range, options);
  }

  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.#inner.stat(handle, options);
  }

  list(type: FileType, options?: CallOptions): AsyncIterable<FileStat> {
    return this.#inner.list(type, options);
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    if (handle.type !== 'lock') await this.#pass();
    return this.#inner.remove(handle, options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #pass(): Promise<void> {
    for (const guard of this.#guards) await guard();
  }
}
