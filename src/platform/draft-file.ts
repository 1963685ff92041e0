import { isHoldfastError } from '../base/errors.ts';
import { openDirectory } from './directory.ts';
import { closeFile, openFile, renameAt, syncFile, unlinkAt } from './file-calls.ts';
import { splitPath, syncDirectory } from './folders.ts';
import type { EntryPlace } from './place.ts';

/**
 * A file that is written beside its place under a name of its own, and takes the place when it is whole: afterwards, also
 * after a crash, the old file is there or the new one, never a part.
 *
 * End it with `publish` or `discard`.
 */
export class DraftFile {
  /** Open for writing; belongs to the draft. */
  readonly file: number;
  readonly #draft: EntryPlace;
  readonly #target: EntryPlace;
  #isOver = false;

  private constructor(parts: { file: number; draft: EntryPlace; target: EntryPlace }) {
    this.file = parts.file;
    this.#draft = parts.draft;
    this.#target = parts.target;
  }

  /**
   * @param mode permissions, subject to the umask
   * @throws FILE_NOT_FOUND (the directory), PERMISSION_DENIED, READ_ONLY, STORAGE_FULL, SYSTEM_CALL_FAILED
   */
  static create(path: Uint8Array, mode = 0o600): DraftFile {
    const { parent, name } = splitPath(path);
    const directory = openDirectory(parent, { noFollow: false });
    try {
      const { file, place } = createDraft(directory, mode);
      return new DraftFile({ file, draft: place, target: { directory, name } });
    } catch (error) {
      closeFile(directory);
      throw error;
    }
  }

  /** Puts the file in its place, on stable storage. After an error it is discarded, and the old one stands. */
  publish(): void {
    try {
      syncFile(this.file);
      renameAt(this.#draft, this.#target);
    } catch (error) {
      this.discard();
      throw error;
    }
    this.#isOver = true;
    try {
      closeFile(this.file);
      syncDirectory(this.#target.directory);
    } finally {
      closeFile(this.#target.directory);
    }
  }

  /** Removes the draft unless it is published. Never throws: the failure before this one is on its way to the caller. */
  discard(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const action of [
      () => closeFile(this.file),
      () => unlinkAt(this.#draft.directory, this.#draft.name),
      () => closeFile(this.#target.directory),
    ]) {
      try {
        action();
      } catch {
        // See above.
      }
    }
  }
}

function createDraft(directory: number, mode: number): { file: number; place: EntryPlace } {
  for (let attempt = 0; ; attempt++) {
    const place = { directory, name: Buffer.from(`.holdfast-tmp-${process.pid}-${attempt}`) };
    try {
      return { file: openFile(place, { write: true, create: true, exclusive: true, mode }), place };
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    }
  }
}
