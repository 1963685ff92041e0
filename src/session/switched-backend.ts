import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
  Retention,
  Versions,
  ThawingFile,
  ThawTerms,
} from '../storage/backend.ts';

/** Passes calls to a backend that can be exchanged for a decorated one between two calls. */
export class SwitchedBackend implements Backend {
  #current: Backend;

  constructor(current: Backend) {
    this.#current = current;
  }

  get current(): Backend {
    return this.#current;
  }

  switchTo(backend: Backend): void {
    this.#current = backend;
  }

  get location(): string {
    return this.#current.location;
  }

  get connectionCount(): number {
    return this.#current.connectionCount;
  }

  get localPath(): string | undefined {
    return this.#current.localPath;
  }

  get listsAtOnce(): boolean {
    return this.#current.listsAtOnce === true;
  }

  get versions(): Versions | undefined {
    return this.#current.versions;
  }

  get retention(): Retention | undefined {
    return this.#current.retention;
  }

  get mayRemove(): Backend['mayRemove'] {
    return this.#current.mayRemove?.bind(this.#current);
  }

  get thawing(): ThawTerms | undefined {
    return this.#current.thawing;
  }

  create(options?: CallOptions): Promise<void> {
    return this.#current.create(options);
  }

  put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    return this.#current.put(handle, parts, options);
  }

  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#current.get(handle, range, options);
  }

  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.#current.stat(handle, options);
  }

  list(type: FileType, options?: CallOptions): AsyncIterable<FileStat> {
    return this.#current.list(type, options);
  }

  remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    return this.#current.remove(handle, options);
  }

  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return (await this.#current.removeSeveral?.(type, names, options)) ?? [];
  }

  async thaw(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined> {
    return await this.#current.thaw?.(handle, options);
  }

  async removeLeftovers(options?: CallOptions): Promise<number> {
    return (await this.#current.removeLeftovers?.(options)) ?? 0;
  }

  close(): Promise<void> {
    return this.#current.close();
  }
}
