import { endsWork } from '../../base/errors.ts';
import { syncFileSystem } from '../../platform/files.ts';
import type { DirectoryOpener, TargetDirectory } from './directories.ts';
import type { RestoreTally } from './tally.ts';

const slash = Buffer.from('/');

/**
 * Makes sure at the end that what was restored survives a power cut.
 *
 * Keeps a descriptor for each file system from before anything is written to it: only that hears of
 * writes that fail later.
 */
export class Durability {
  readonly #opener: DirectoryOpener;
  readonly #files = new Map<number | bigint, number>();

  constructor(opener: DirectoryOpener) {
    this.#opener = opener;
  }

  /** True if a file system is known. @param device as in the status of a directory on it */
  has(device: number | bigint): boolean {
    return this.#files.has(device);
  }

  /** Adds the file system that a directory is on. */
  add(device: number | bigint, directory: TargetDirectory): void {
    this.#files.set(device, this.#opener.openOwn(directory));
  }

  /**
   * Waits until all is on stable storage; what failed is a problem of the whole restore.
   * @returns false if something failed
   */
  sync(tally: RestoreTally): boolean {
    let isDurable = true;
    for (const file of this.#files.values()) {
      try {
        if (syncFileSystem(file)) continue;
        tally.note('this system cannot force what was restored to disk');
      } catch (error) {
        if (endsWork(error)) throw error;
        tally.problem(slash, error);
        isDurable = false;
      }
    }
    return isDurable;
  }

  close(): void {
    for (const file of this.#files.values()) this.#opener.release(file);
    this.#files.clear();
  }
}
