import { sizeOfParts } from '../../base/bytes.ts';
import { throwIfAborted, untilAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
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
import { placeOf, repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import type { Connection } from './connection.ts';
import { createFolders, makeMissingFolders } from './folders.ts';
import { findLeftovers, join, listFiles } from './list-folder.ts';
import { notFile, readFile } from './read-file.ts';
import type { SftpSession } from './sftp-session.ts';
import { hasStatus, ignore, translate } from './translate.ts';
import { statusCodes } from './wire.ts';
import {
  explain,
  groupModes,
  type Modes,
  privateModes,
  syncFolder,
  writeFile,
} from './write-file.ts';

/** Which repository is opened, and how. */
export interface SftpBackendOptions {
  readonly environment: Environment;
  /** For people. */
  readonly location: string;
  /** Folder of the repository: absolute, or relative to the login folder; `''` is that folder. */
  readonly root: string;
  readonly connectionCount: number;
}

const leftoverAgeMsMin = 24 * 3600 * 1000;
const removalsAtOnce = 64;
/** Of a pack whose size is not known before it is read. */
const packSizeBytesUsual = 16 << 20;
// Removed names that must not come back after a power cut while what they refer to is gone.
const durablyRemoved: readonly FileType[] = ['config', 'key', 'snapshot', 'index'];
const layout = repositoryLayout;
const { noSuchFile } = statusCodes;

/** A repository in a folder of a server that speaks SFTP. */
export class SftpBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #connection: Connection;
  readonly #environment: Environment;
  readonly #root: string;
  readonly #modes: Modes;

  private constructor(connection: Connection, options: SftpBackendOptions, modes: Modes) {
    this.#connection = connection;
    this.#environment = options.environment;
    this.#root = options.root;
    this.#modes = modes;
    this.location = options.location;
    this.connectionCount = options.connectionCount;
  }

  /**
   * Connects, and looks at the folder, which need not exist. If the group may read the config there, it may read what is
   * written.
   *
   * @throws LOCATION_INVALID if it is no folder, PERMISSION_DENIED, and what connecting throws
   */
  static async open(connection: Connection, options: SftpBackendOptions): Promise<SftpBackend> {
    const { root } = options;
    try {
      const session = await connection.session();
      const [folder, config] = await Promise.all([
        session.stat(root === '' ? '.' : root).catch(ignore(noSuchFile)),
        session.stat(join(root, 'config')).catch(() => undefined),
      ]);
      if (folder?.kind !== undefined && folder.kind !== 'folder') throw notFolder(root);
      const isForGroup = ((config?.mode ?? 0) & 0o040) !== 0;
      return new SftpBackend(connection, options, isForGroup ? groupModes : privateModes);
    } catch (error) {
      await connection.close();
      throw translate(error, { action: 'read', path: root });
    }
  }

  async create(options?: CallOptions): Promise<void> {
    await this.#call({ action: 'write', path: this.#root }, options, (session) =>
      createFolders(session, this.#root, { layout, mode: this.#modes.folder }),
    );
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const replace = options?.replace ?? false;
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const path = this.#pathOf(handle);
    const sizeBytes = sizeOfParts(parts);
    await this.#call({ action: 'write', path, sizeBytes }, options, async (session) => {
      const write = (): Promise<void> =>
        writeFile(
          session,
          { path, parts, sizeBytes },
          {
            modes: this.#modes,
            random: this.#environment.random,
            replace,
            signal: options?.signal,
          },
        );
      await write().catch(async (error: unknown) => {
        if (!hasStatus(error, noSuchFile)) throw error;
        const { folders } = placeOf(layout, handle);
        await makeMissingFolders(session, this.#root, { folders, mode: this.#modes.folder });
        await write();
      });
    });
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    const path = this.#pathOf(handle);
    const { start, end } = range ?? {
      start: 0,
      end: handle.type === 'pack' ? packSizeBytesUsual : 0,
    };
    const sizeBytes = end - start;
    return await this.#call({ action: 'read', path, sizeBytes }, options, (session) =>
      readFile(session, path, {
        range,
        checkSize: (sizeBytes) => refuseTooLarge(handle, sizeBytes),
        signal: options?.signal,
      }),
    );
  }

  async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    const path = this.#pathOf(handle);
    return await this.#call({ action: 'read', path }, options, async (session) => {
      const { kind, sizeBytes } = await session.stat(path);
      if (kind !== 'file' || sizeBytes === undefined) throw notFile(path);
      return { name: handle.name, sizeBytes };
    });
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    const signal = options?.signal;
    throwIfAborted(signal);
    try {
      const session = await untilAborted(this.#connection.session(), signal);
      yield* listFiles(session, this.#root, { layout, type, signal });
    } catch (error) {
      throw translate(error, { action: 'read', path: this.#root });
    }
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    const path = this.#pathOf(handle);
    await this.#call({ action: 'write', path }, options, async (session) => {
      // Also if it was gone: an earlier try may have failed after it had removed the file.
      const wasThere = await removeFile(session, path);
      if (durablyRemoved.includes(handle.type)) await this.#sync(session, path);
      if (!wasThere) throw new HoldfastError('FILE_NOT_FOUND', { details: { path } });
    });
  }

  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    const gone: { name: string; path: string }[] = [];
    await this.#call({ action: 'write', path: this.#root }, options, async (session) => {
      for (let start = 0; start < names.length; start += removalsAtOnce) {
        throwIfAborted(options?.signal);
        const batch = names.slice(start, start + removalsAtOnce).map(async (name) => {
          const path = this.#pathOf({ type, name });
          if (!isAdmitted(options)) return;
          if (
            await session.remove(path).then(
              () => true,
              () => false,
            )
          )
            gone.push({ name, path });
        });
        await Promise.all(batch);
      }
      if (!durablyRemoved.includes(type)) return;
      const folders = new Map(gone.map(({ path }) => [path.slice(0, path.lastIndexOf('/')), path]));
      for (const path of folders.values()) await this.#sync(session, path);
    });
    return gone.map(({ name }) => name);
  }

  async removeLeftovers(options?: CallOptions): Promise<number> {
    const changedBeforeMs = this.#environment.clock.wallMs() - leftoverAgeMsMin;
    return await this.#call({ action: 'write', path: this.#root }, options, async (session) => {
      const found = await findLeftovers(session, this.#root, {
        layout,
        changedBeforeMs,
        signal: options?.signal,
      });
      for (const path of found) await session.remove(path).catch(ignore(noSuchFile));
      return found.length;
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** Runs the work of one call; what is refused leaves as an error of ours. */
  async #call<T>(
    call: { readonly action: 'read' | 'write'; readonly path: string; readonly sizeBytes?: number },
    options: CallOptions | undefined,
    work: (session: SftpSession) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(options?.signal);
    try {
      return await untilAborted(this.#connection.run(call.sizeBytes ?? 0, work), options?.signal);
    } catch (error) {
      throw translate(error, call);
    }
  }

  async #sync(session: SftpSession, path: string): Promise<void> {
    const slash = path.lastIndexOf('/');
    await syncFolder(session, slash < 0 ? '.' : path.slice(0, Math.max(1, slash)));
  }

  #pathOf(handle: FileHandle): string {
    const place = placeOf(layout, handle);
    return [...place.folders, place.name].reduce(join, this.#root);
  }
}

/** @returns false if there was no such file @throws StatusError; READ_ONLY */
async function removeFile(session: SftpSession, path: string): Promise<boolean> {
  try {
    await session.remove(path);
    return true;
  } catch (error) {
    if (hasStatus(error, noSuchFile)) return false;
    throw await explain(session, error, { path, sizeBytes: 0 });
  }
}

function refuseTooLarge(handle: FileHandle, sizeBytes: number): void {
  if (sizeBytes <= wholeFileSizeBytesMax[handle.type]) return;
  throw new HoldfastError('UNPACKED_DAMAGED', {
    message: 'a repository file is larger than any of its type',
    details: { file: describeHandle(handle), sizeBytes },
  });
}

/** Whether a change may be made now: if not, whoever makes it by itself waits for that, and hears of it if it fails. */
function isAdmitted(options: CallOptions | undefined): boolean {
  const refusal = options?.admit?.();
  refusal?.catch(() => undefined);
  return refusal === undefined;
}

function notFolder(root: string): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'the repository location is not a folder',
    details: { path: root },
  });
}
