import { constants, existsSync } from 'node:fs';

import { closeFile, linkStatus, makeFolder, openFile, readFolder } from './files.ts';
import { ignore, syncFolder } from './write-file.ts';

/** Where Linux lets an open folder be named by its number. */
const openFolders = '/proc/self/fd';
const canHold = process.platform === 'linux' && existsSync(openFolders);

const folderFlags = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * A folder that was reached from a root without following a link below it, and that stays the one that was reached: what is
 * done in it by `at` goes nowhere else, whatever becomes of the names on the way. Where the system cannot hold a folder (not
 * Linux), links are looked for when it is opened, and only then.
 */
export class HeldFolder {
  readonly #file: number | undefined;
  readonly #path: string;

  private constructor(file: number | undefined, folder: string) {
    this.#file = file;
    this.#path = folder;
  }

  /**
   * Opens the folder that `names` lead to below `root`. Links on the way to `root` are followed, `root` included.
   * @throws system errors untranslated: ENOENT; ENOTDIR for what is a link or no folder
   */
  static async open(root: string, names: readonly string[]): Promise<HeldFolder> {
    let folder = await HeldFolder.#openOne(`${root}/.`);
    for (const name of names) {
      const parent = folder;
      try {
        folder = await HeldFolder.#openOne(parent.at(name));
      } finally {
        await parent.close();
      }
    }
    return folder;
  }

  static async #openOne(folder: string): Promise<HeldFolder> {
    if (canHold) {
      const file = await openFile(folder, folderFlags);
      return new HeldFolder(file, `${openFolders}/${file}`);
    }
    if (!(await linkStatus(folder)).isDirectory()) {
      throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR', errno: 0 });
    }
    return new HeldFolder(undefined, folder);
  }

  /** The path of an entry of this folder, while it is open. @param name one component */
  at(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** Names in it, in no order. */
  names(): Promise<string[]> {
    return readFolder(this.at('.'));
  }

  /** Makes folders in it, durably; no error for what is there. @throws system errors untranslated */
  async makeFolders(names: readonly string[], mode: number): Promise<void> {
    const made = await Promise.all(
      names.map((name) =>
        makeFolder(this.at(name), mode).then(
          () => true,
          (error: unknown) => ignore('EEXIST')(error) ?? false,
        ),
      ),
    );
    if (made.includes(true)) await this.sync();
  }

  /** Makes the names in it durable, where the file system can. */
  sync(): Promise<void> {
    return syncFolder(this.at('.'));
  }

  async close(): Promise<void> {
    if (this.#file !== undefined) await closeFile(this.#file);
  }
}
