import { isHoldfastError } from '../base/errors.ts';
import { listDirectory, openDirectory } from '../platform/directory.ts';
import { closeFile, openFile, readAt, unlinkAt, writeFileAtomic } from '../platform/files.ts';
import { readStatusOf } from '../platform/status.ts';
import type { IndexCacheStore } from '../repository/index-load.ts';

/** Permissions of cache files. */
const fileMode = 0o600;

/** Keeps the sealed copy of an index in a folder of the local cache. */
export class FolderIndexCache implements IndexCacheStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    let file: number;
    try {
      file = openFile(this.#path(name));
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
      throw error;
    }
    try {
      const bytes = new Uint8Array(readStatusOf(file).sizeBytes);
      let done = 0;
      while (done < bytes.byteLength) {
        const count = readAt(file, bytes.subarray(done), done);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    } finally {
      closeFile(file);
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    writeFileAtomic(this.#path(name), bytes, fileMode);
  }

  async remove(name: string): Promise<void> {
    const directory = openDirectory(Buffer.from(this.#folder));
    try {
      unlinkAt(directory, Buffer.from(name));
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    } finally {
      closeFile(directory);
    }
  }

  async list(): Promise<readonly string[]> {
    return listDirectory(Buffer.from(this.#folder)).map((name) => Buffer.from(name).toString());
  }

  #path(name: string): Uint8Array {
    return Buffer.from(`${this.#folder}/${name}`);
  }
}
