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
} from './backend.ts';

/** Passes every call on: decorators extend it and change the calls they are about. */
export class ForwardingBackend implements Backend {
  protected readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
  }

  get location(): string {
    return this.inner.location;
  }

  get connectionCount(): number {
    return this.inner.connectionCount;
  }

  get localPath(): string | undefined {
    return this.inner.localPath;
  }

  get listsAtOnce(): boolean {
    return this.inner.listsAtOnce === true;
  }

  get versions(): Versions | undefined {
    return this.inner.versions;
  }

  get retention(): Retention | undefined {
    return this.inner.retention;
  }

  get mayRemove(): Backend['mayRemove'] {
    return this.inner.mayRemove?.bind(this.inner);
  }

  get thawing(): ThawTerms | undefined {
    return this.inner.thawing;
  }

  create(options?: CallOptions): Promise<void> {
    return this.inner.create(options);
  }

  put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    return this.inner.put(handle, parts, options);
  }

  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.inner.get(handle, range, options);
  }

  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.inner.stat(handle, options);
  }

  list(type: FileType, options?: CallOptions): AsyncIterable<FileStat> {
    return this.inner.list(type, options);
  }

  remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    return this.inner.remove(handle, options);
  }

  async thaw(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined> {
    return await this.inner.thaw?.(handle, options);
  }

  async removeLeftovers(options?: CallOptions): Promise<number> {
    return (await this.inner.removeLeftovers?.(options)) ?? 0;
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
