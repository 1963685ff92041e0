import { throwIfAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { type ErrorCode, HoldfastError } from '../../base/errors.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  isFileName,
  type PutOptions,
  replaceableTypes,
} from '../backend.ts';
import { checkRange } from '../range.ts';

/** The files of a memory repository by type and name; share one between backends to have several clients. */
export type MemoryFiles = Map<string, Uint8Array<ArrayBuffer>>;

/** A repository in memory: for tests and the simulator. Files are plain to see and to damage in `files`. */
export class MemoryBackend implements Backend {
  readonly location: string = 'memory';
  readonly connectionCount: number = 4;
  readonly files: MemoryFiles;

  constructor(files: MemoryFiles = new Map()) {
    this.files = files;
  }

  async create(options?: CallOptions): Promise<void> {
    throwIfAborted(options?.signal);
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const isFit = !options?.replace || replaceableTypes.includes(handle.type);
    assert(isFit, 'only some files are replaced');
    throwIfAborted(options?.signal);
    const key = memoryKey(handle);
    if (this.files.has(key) && !options?.replace) throw failure('FILE_EXISTS', handle);
    this.files.set(key, concatBytes(parts));
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    throwIfAborted(options?.signal);
    const content = this.#find(handle);
    const { start, end } = range ?? { start: 0, end: content.byteLength };
    if (end > content.byteLength) throw failure('RANGE_NOT_SATISFIABLE', handle);
    return content.slice(start, end);
  }

  async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    throwIfAborted(options?.signal);
    return { name: handle.name, sizeBytes: this.#find(handle).byteLength };
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    throwIfAborted(options?.signal);
    const prefix = `${type}/`;
    const found = [...this.files].filter(([key]) => key.startsWith(prefix));
    for (const [key, content] of found) {
      throwIfAborted(options?.signal);
      yield { name: key.slice(prefix.length), sizeBytes: content.byteLength };
    }
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    throwIfAborted(options?.signal);
    if (!this.files.delete(memoryKey(handle))) throw failure('FILE_NOT_FOUND', handle);
  }

  async close(): Promise<void> {}

  #find(handle: FileHandle): Uint8Array<ArrayBuffer> {
    const content = this.files.get(memoryKey(handle));
    if (!content) throw failure('FILE_NOT_FOUND', handle);
    return content;
  }
}

/** The key of a file in `MemoryFiles`: `pack/0123…`, `config/`. */
export function memoryKey(handle: FileHandle): string {
  const isValid = handle.type === 'config' ? handle.name === '' : isFileName(handle.name);
  assert(isValid, 'a file name is 64 lower-case hex digits, and config has none');
  return `${handle.type}/${handle.name}`;
}

function failure(code: ErrorCode, handle: FileHandle): HoldfastError {
  return new HoldfastError(code, { details: { file: describeHandle(handle) } });
}
