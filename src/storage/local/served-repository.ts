import { constants, type Stats } from 'node:fs';

import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type FileHandle, type FileStat, type FileType, isFileName } from '../backend.ts';
import { closeFile, linkStatus, openFile, readFully, statusOf, unlink } from './files.ts';
import { HeldFolder } from './held-folder.ts';
import { IncomingFile } from './incoming-file.ts';
import { durablyRemoved, fanNames, folderOf, type Place, placeOf } from '../layout.ts';
import { repositoryLayout as layout } from '../layout.ts';
import { isTemporaryName, leftoverAgeMsMin } from './list-files.ts';
import { translate } from './translate.ts';
import { ignore, type Modes } from './write-file.ts';

// What stands under a name may be a pipe, which must not hold up whoever opens it.
const readFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

/** Entries whose status is asked for at once: enough to keep the four threads of libuv's pool busy. */
const statusCallsMax = 64;

/** A file that is open to be sent. */
export interface ServedFile {
  readonly sizeBytes: number;
  /** Fills `target` from `position` on. @throws RANGE_NOT_SATISFIABLE if the file has become shorter */
  read(target: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

/** A file that comes in; it is there when `publish` has returned. */
export interface ReceivedFile {
  append(parts: readonly Uint8Array[]): Promise<void>;
  publish(): Promise<void>;
  /** Removes what is not published, and lets go of all. To be called in any case. Never throws. */
  end(): Promise<void>;
}

/** Where repositories are served from, and how. */
export interface ServedRoot {
  readonly path: string;
  readonly modes: Modes;
  readonly environment: Environment;
}

/**
 * One repository of a folder of repositories that is served to others: as `LocalBackend`, for clients that are not trusted, and
 * piece by piece. No link below the root is followed. All calls may run concurrently.
 *
 * Every call may throw LOCATION_INVALID (a link or a file where a folder should be), PERMISSION_DENIED, BACKEND_UNAVAILABLE
 * (too many files are open), BACKEND_READ_FAILED or BACKEND_WRITE_FAILED.
 */
export class ServedRepository {
  readonly #root: ServedRoot;
  readonly #folders: readonly string[];

  /** @param folders names that lead from the root to the repository; none may lead elsewhere */
  constructor(root: ServedRoot, folders: readonly string[]) {
    this.#root = root;
    this.#folders = folders;
  }

  /** Makes the folders of an empty repository. Idempotent. */
  create(): Promise<void> {
    return this.#translated('write', async () => {
      const { path, modes } = this.#root;
      const above: string[] = [];
      for (const name of this.#folders) {
        await within(path, above, (folder) => folder.makeFolders([name], modes.folder));
        above.push(name);
      }
      const types = Object.entries(layout.folders)
        .filter(([type, name]) => name !== '' && !layout.madeLater?.some((later) => later === type))
        .map(([, name]) => name);
      await within(path, above, (folder) => folder.makeFolders(types, modes.folder));
      for (const type of layout.fannedOut) {
        const fan = [...above, folderOf(layout, type)];
        await within(path, fan, (folder) => folder.makeFolders(fanNames, modes.folder));
      }
    });
  }

  /** Size of a file in bytes. @throws FILE_NOT_FOUND */
  stat(handle: FileHandle): Promise<number> {
    return this.#translated('read', () =>
      this.#in(placeOf(layout, handle), async (folder, name) => {
        const found = await linkStatus(folder.at(name));
        if (!found.isFile()) throw noFile();
        return found.size;
      }),
    );
  }

  /** @throws FILE_NOT_FOUND */
  open(handle: FileHandle): Promise<ServedFile> {
    return this.#translated('read', () =>
      this.#in(placeOf(layout, handle), async (folder, name) => {
        const file = await openFile(folder.at(name), readFlags);
        try {
          const found = await statusOf(file);
          if (!found.isFile()) throw noFile();
          return servedFile(file, found.size);
        } catch (error) {
          await closeFile(file).catch(() => {});
          throw error;
        }
      }),
    );
  }

  /**
   * Begins to write a file, under another name. Makes its folder if that is missing, but not in a folder that has neither config
   * nor keys: that may be the mount point of a disk that is not there.
   * @throws FILE_EXISTS, FILE_NOT_FOUND (there is no repository), STORAGE_FULL, READ_ONLY; so do the calls of what is returned
   */
  receive(handle: FileHandle): Promise<ReceivedFile> {
    return this.#translated('write', async () => {
      const place = placeOf(layout, handle);
      const folder = await this.#folderToWrite(place);
      try {
        if (await linkStatus(folder.at(place.name)).catch(ignore('ENOENT'))) throw exists();
        const { modes, environment } = this.#root;
        const isContended = handle.type === 'config';
        const options = { modes, random: environment.random, isContended };
        const file = await IncomingFile.open(folder, place.name, options);
        return {
          append: (parts) => this.#translated('write', () => file.append(parts)),
          publish: () => this.#translated('write', () => file.publish()),
          end: async () => {
            await file.discard();
            await folder.close().catch(() => {});
          },
        };
      } catch (error) {
        await folder.close().catch(() => {});
        throw error;
      }
    });
  }

  /**
   * Removes a file; durable as `Backend.remove`.
   * @returns its size in bytes, or undefined if it was not there
   */
  remove(handle: FileHandle): Promise<number | undefined> {
    return this.#translated('write', () =>
      this.#in(placeOf(layout, handle), async (folder, name) => {
        const found = await linkStatus(folder.at(name)).catch(ignore('ENOENT'));
        if (found && !found.isFile()) throw noFile();
        const isGone = await unlink(folder.at(name)).then(
          () => true,
          (error: unknown) => ignore('ENOENT')(error) ?? false,
        );
        if (durablyRemoved.includes(handle.type)) await folder.sync();
        return isGone ? found?.size : undefined;
      }).catch(ignore('ENOENT')),
    );
  }

  /** Makes the name of a file durable that somebody else may have stored. */
  syncName(handle: FileHandle): Promise<void> {
    return this.#translated('write', () =>
      this.#in(placeOf(layout, handle), (folder) => folder.sync()),
    );
  }

  /**
   * Lists the files of one type, some at a time, and removes what interrupted writes left there a day ago or longer. A folder
   * of a type that is missing is empty.
   * @throws FILE_NOT_FOUND if there is no repository
   */
  async *list(type: FileType): AsyncGenerator<readonly FileStat[], void, undefined> {
    const folder = folderOf(layout, type);
    const isFanned = layout.fannedOut.includes(type);
    await this.#translated('read', () => within(this.#root.path, this.#folders, async () => {}));
    for (const prefix of isFanned ? fanNames : ['']) {
      const names = [...this.#folders, folder, ...(isFanned ? [prefix] : [])];
      const files = await this.#translated('read', () =>
        within(this.#root.path, names, (held) => this.#filesIn(held, prefix)).catch(
          ignore('ENOENT'),
        ),
      );
      if (files && files.length > 0) yield files;
    }
  }

  async #filesIn(folder: HeldFolder, prefix: string): Promise<FileStat[]> {
    const present = await folder.names();
    const names = present.filter((name) => name.startsWith(prefix) && isFileName(name));
    const files: FileStat[] = [];
    for (const { name, found } of await statuses(folder, names)) {
      if (found.isFile()) files.push({ name, sizeBytes: found.size });
    }
    const oldMs = this.#root.environment.clock.wallMs() - leftoverAgeMsMin;
    for (const { name, found } of await statuses(folder, present.filter(isTemporaryName))) {
      if (found.isFile() && found.mtimeMs < oldMs) await unlink(folder.at(name)).catch(() => {});
    }
    return files;
  }

  /** Lets `work` use the folder of a file. @throws system errors untranslated */
  #in<T>(place: Place, work: (folder: HeldFolder, name: string) => Promise<T>): Promise<T> {
    const names = [...this.#folders, ...place.folders];
    return within(this.#root.path, names, (folder) => work(folder, place.name));
  }

  async #folderToWrite(place: Place): Promise<HeldFolder> {
    const { path, modes } = this.#root;
    const names = [...this.#folders, ...place.folders];
    const found = await HeldFolder.open(path, names).catch(ignore('ENOENT'));
    if (found) return found;
    await within(path, this.#folders, async (folder) => {
      const isRepository = await isAnyThere(folder, ['config', 'keys']);
      if (!isRepository) throw new HoldfastError('FILE_NOT_FOUND');
    });
    const above = [...this.#folders];
    for (const name of place.folders) {
      await within(path, above, (folder) => folder.makeFolders([name], modes.folder));
      above.push(name);
    }
    return HeldFolder.open(path, above);
  }

  async #translated<T>(action: 'read' | 'write', work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translate(error, { action, path: [this.#root.path, ...this.#folders].join('/') });
    }
  }
}

async function within<T>(
  root: string,
  names: readonly string[],
  work: (folder: HeldFolder) => Promise<T>,
): Promise<T> {
  const folder = await HeldFolder.open(root, names);
  try {
    return await work(folder);
  } finally {
    await folder.close().catch(() => {});
  }
}

function servedFile(file: number, sizeBytes: number): ServedFile {
  return {
    sizeBytes,
    read: async (target, position) => {
      const count = await readFully(file, target, position);
      if (count === target.byteLength) return;
      throw new HoldfastError('RANGE_NOT_SATISFIABLE', { details: { sizeBytes } });
    },
    close: () => closeFile(file).catch(() => {}),
  };
}

/** The status of each name that is there. */
async function statuses(
  folder: HeldFolder,
  names: readonly string[],
): Promise<{ readonly name: string; readonly found: Stats }[]> {
  const all: { name: string; found: Stats }[] = [];
  for (let start = 0; start < names.length; start += statusCallsMax) {
    const batch = names.slice(start, start + statusCallsMax);
    const answers = await Promise.all(
      batch.map(async (name) => ({
        name,
        found: await linkStatus(folder.at(name)).catch(ignore('ENOENT')),
      })),
    );
    for (const { name, found } of answers) if (found) all.push({ name, found });
  }
  return all;
}

async function isAnyThere(folder: HeldFolder, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    if (await linkStatus(folder.at(name)).catch(ignore('ENOENT'))) return true;
  }
  return false;
}

/** Bytes of all files below a folder; links are not followed. @throws system errors untranslated */
export async function folderSizeBytes(root: string): Promise<number> {
  return within(root, [], async (folder) => {
    let sum = 0;
    for (const { name, found } of await statuses(folder, await folder.names())) {
      if (found.isFile()) sum += found.size;
      else if (found.isDirectory()) sum += await folderSizeBytes(folder.at(name));
    }
    return sum;
  });
}

function noFile(): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'what has the name of a repository file is no file',
  });
}

function exists(): HoldfastError {
  return new HoldfastError('FILE_EXISTS');
}
