import path from 'node:path';

import { throwIfAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
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
  replaceableTypes,
  wholeFileSizeBytesMax,
} from '../backend.ts';
import { checkRange } from '../range.ts';
import { changeMode, readFully, status, unlink } from './files.ts';
import { createFolders, makeMissingFolders } from './folders.ts';
import { durablyRemoved, type Layout, placeOf, repositoryLayout } from '../layout.ts';
import { leftoverAgeMsMin, listFiles, removeOldTemporaries } from './list-files.ts';
import { isOnLocalDisk } from './local-disk.ts';
import { type OpenFile, OpenFiles, withFile } from './open-files.ts';
import { translate } from './translate.ts';
import {
  groupModes,
  ignore,
  type Modes,
  privateModes,
  syncNames,
  writeFile,
} from './write-file.ts';

/** How a folder is used as storage; the defaults are those of a repository of one user. */
export interface LocalBackendOptions {
  readonly environment: Environment;
  readonly connectionCount?: number;
  readonly layout?: Layout;
  readonly modes?: Modes;
  /** Sync what is written and removed; default true. */
  readonly durable?: boolean;
  /** Name of a file while it is written; default `<name>-tmp-<number>`, as restic. */
  readonly temporaryName?: (name: string, number: number) => string;
  /** See `Backend.listsAtOnce`; default false. */
  readonly listsAtOnce?: boolean;
}

const connectionCountDefault = 2;
/** Enough to keep the four threads of libuv's pool busy. */
const removalsAtOnce = 32;

/** A repository in a folder of this machine. Network file systems that are mounted count as such. */
export class LocalBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly localPath: string | undefined;
  readonly listsAtOnce: boolean;
  readonly #root: string;
  readonly #environment: Environment;
  readonly #layout: Layout;
  readonly #modes: Modes;
  readonly #durable: boolean;
  readonly #openFiles: OpenFiles;
  readonly #temporaryName: (name: string, number: number) => string;

  /** Use `LocalBackend.open` for a repository: it finds the modes to write with. */
  constructor(root: string, options: LocalBackendOptions) {
    this.#root = path.resolve(root);
    this.#environment = options.environment;
    this.#layout = options.layout ?? repositoryLayout;
    this.#modes = options.modes ?? privateModes;
    this.#durable = options.durable ?? true;
    this.#temporaryName = options.temporaryName ?? ((name, number) => `${name}-tmp-${number}`);
    this.#openFiles = new OpenFiles(options.environment.clock);
    this.location = this.#root;
    this.connectionCount = options.connectionCount ?? connectionCountDefault;
    this.localPath = this.#layout === repositoryLayout ? this.#root : undefined;
    this.listsAtOnce = options.listsAtOnce ?? false;
  }

  /**
   * Opens the folder `root`, which need not exist. If the group may read the config there, it may read what is written.
   *
   * @throws LOCATION_INVALID if `root` is no folder, PERMISSION_DENIED
   */
  static async open(
    root: string,
    options: { readonly environment: Environment; readonly connectionCount?: number },
  ): Promise<LocalBackend> {
    try {
      if (!path.isAbsolute(root)) await assertSameFolder(path.resolve('.'));
      const folder = await status(root).catch(ignore('ENOENT'));
      if (folder && !folder.isDirectory()) throw notFolder(root);
      const config = folder && (await status(path.join(root, 'config')).catch(ignore('ENOENT')));
      const isForGroup = config !== undefined && (config.mode & 0o040) !== 0;
      return new LocalBackend(root, {
        ...options,
        modes: isForGroup ? groupModes : privateModes,
        listsAtOnce: folder !== undefined && (await isOnLocalDisk(root)),
      });
    } catch (error) {
      throw translate(error, { action: 'read', path: root });
    }
  }

  async create(options?: CallOptions): Promise<void> {
    throwIfAborted(options?.signal);
    try {
      await createFolders(this.#root, this.#layout, this.#modes.folder);
    } catch (error) {
      throw translate(error, { action: 'write', path: this.#root });
    }
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const replace = options?.replace ?? false;
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    throwIfAborted(options?.signal);
    const target = this.#pathOf(handle);
    const write = (): Promise<void> =>
      writeFile(target, parts, {
        modes: this.#modes,
        random: this.#environment.random,
        temporaryName: (number) => this.#temporaryName(path.basename(target), number),
        replace,
        isContended: handle.type === 'config',
        durable: this.#durable,
        signal: options?.signal,
      });
    if (replace) this.#openFiles.forget(target);
    try {
      await write().catch(async (error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
        await makeMissingFolders(this.#root, placeOf(this.#layout, handle).folders, {
          mode: this.#modes.folder,
          needsConfig: this.localPath !== undefined,
        });
        await write();
      });
    } catch (error) {
      // A folder that goes away for good while we write is a storage that is away, not a missing file.
      if (systemCode(error) === 'ENOENT') throw gone(target, error);
      throw translate(error, { action: 'write', path: target });
    }
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    throwIfAborted(options?.signal);
    const source = this.#pathOf(handle);
    const read = (opened: OpenFile): Promise<Uint8Array<ArrayBuffer>> => {
      if (!range) refuseTooLarge(handle, opened.sizeBytes);
      return readPart(opened, source, range);
    };
    try {
      const isOneOfMany = range !== undefined && handle.type === 'pack';
      return await (isOneOfMany ? this.#openFiles.use(source, read) : withFile(source, read));
    } catch (error) {
      // A plain file in place of `data/ab` is ignored, as in lists.
      if (systemCode(error) === 'ENOTDIR') throw notFile(source);
      throw translate(error, { action: 'read', path: source });
    }
  }

  async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    throwIfAborted(options?.signal);
    const target = this.#pathOf(handle);
    try {
      const found = await status(target);
      if (!found.isFile()) throw notFile(target);
      return { name: handle.name, sizeBytes: found.size };
    } catch (error) {
      throw translate(error, { action: 'read', path: target });
    }
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    try {
      yield* listFiles(this.#root, { layout: this.#layout, type, signal: options?.signal });
    } catch (error) {
      throw translate(error, { action: 'read', path: this.#root });
    }
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    throwIfAborted(options?.signal);
    const target = this.#pathOf(handle);
    try {
      const wasThere = await removeFile(target);
      this.#openFiles.forget(target);
      // Also if it was gone: an earlier try may have failed after it had removed the file.
      if (this.#durable && durablyRemoved.includes(handle.type)) {
        await this.#syncKept(path.dirname(target));
      }
      if (!wasThere) throw new HoldfastError('FILE_NOT_FOUND', { details: { path: target } });
    } catch (error) {
      throw translate(error, { action: 'write', path: target });
    }
  }

  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    const gone: { name: string; folder: string }[] = [];
    for (let start = 0; start < names.length; start += removalsAtOnce) {
      throwIfAborted(options?.signal);
      const batch = names.slice(start, start + removalsAtOnce).map(async (name) => {
        const target = this.#pathOf({ type, name });
        if (!isAdmitted(options)) return;
        const wasThere = await removeFile(target).catch(() => false);
        this.#openFiles.forget(target);
        if (wasThere) gone.push({ name, folder: path.dirname(target) });
      });
      await Promise.all(batch);
    }
    if (this.#durable && durablyRemoved.includes(type)) {
      const folders = new Set(gone.map(({ folder }) => folder));
      try {
        for (const folder of folders) await this.#syncKept(folder);
      } catch {
        return [];
      }
    }
    return gone.map(({ name }) => name);
  }

  async removeLeftovers(options?: CallOptions): Promise<number> {
    try {
      return await removeOldTemporaries(this.#root, {
        layout: this.#layout,
        changedBeforeMs: this.#environment.clock.wallMs() - leftoverAgeMsMin,
        signal: options?.signal,
      });
    } catch (error) {
      throw translate(error, { action: 'write', path: this.#root });
    }
  }

  async close(): Promise<void> {
    this.#openFiles.close();
  }

  /** As `syncFolder`, with the folder left open for a moment: removing many files takes half the calls. */
  async #syncKept(folder: string): Promise<void> {
    if (process.platform === 'win32') return;
    await this.#openFiles.use(folder, ({ file }) => syncNames(file));
  }

  #pathOf(handle: FileHandle): string {
    const place = placeOf(this.#layout, handle);
    return path.join(this.#root, ...place.folders, place.name);
  }
}

function refuseTooLarge(handle: FileHandle, sizeBytes: number): void {
  if (sizeBytes <= wholeFileSizeBytesMax[handle.type]) return;
  throw new HoldfastError('UNPACKED_DAMAGED', {
    message: 'a repository file is larger than any of its type',
    details: { file: describeHandle(handle), sizeBytes },
  });
}

async function readPart(
  opened: OpenFile,
  source: string,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { file, sizeBytes } = opened;
  if (!opened.isFile) throw notFile(source);
  const { start, end } = range ?? { start: 0, end: sizeBytes };
  // Before the allocation: a damaged index must not make us take memory for a file that is not there.
  if (end > sizeBytes) throw tooShort(source, { end, sizeBytes });
  // Not zeroed first; every byte is overwritten below, or the buffer is dropped.
  const buffer = Buffer.allocUnsafeSlow(end - start);
  const count = await readFully(file, buffer, start);
  if (count !== end - start) throw tooShort(source, { end, sizeBytes: start + count });
  assert(buffer.byteOffset === 0, 'the buffer is not pooled');
  assert(buffer.buffer.byteLength === count, 'the buffer has the exact size');
  return new Uint8Array(buffer.buffer);
}

/** Refuses the current folder if its path is none in UTF-8: what is told apart by its path would go elsewhere. */
async function assertSameFolder(resolved: string): Promise<void> {
  if (!resolved.includes('\ufffd')) return;
  const found = await status(resolved).catch(ignore('ENOENT', 'ENOTDIR'));
  const current = await status('.');
  if (found?.ino === current.ino && found.dev === current.dev) return;
  throw new HoldfastError('LOCATION_INVALID', {
    message:
      'the path of the current folder is not UTF-8, so no repository can be named relative to it',
    hint: 'Name the repository by its whole path, or go to another folder.',
  });
}

function notFolder(root: string): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'the repository location is not a folder',
    details: { path: root },
  });
}

function notFile(target: string): HoldfastError {
  return new HoldfastError('FILE_NOT_FOUND', {
    message: 'what has the name of a repository file is no file',
    details: { path: target },
  });
}

function tooShort(source: string, more: { end: number; sizeBytes: number }): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', { details: { path: source, ...more } });
}

function gone(target: string, cause: unknown): HoldfastError {
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: 'the repository folder went away while a file was written',
    details: { path: target },
    cause,
  });
}

/** Whether a change may be made now: if not, whoever makes it by itself waits for that, and hears of it if it fails. */
function isAdmitted(options: CallOptions | undefined): boolean {
  const refusal = options?.admit?.();
  refusal?.catch(() => undefined);
  return refusal === undefined;
}

/** @returns whether it was there @throws system errors */
async function removeFile(target: string): Promise<boolean> {
  try {
    if (process.platform === 'win32') await changeMode(target, 0o600);
    await unlink(target);
    return true;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return false;
  }
}
