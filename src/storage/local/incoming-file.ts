import { sizeOfParts } from '../../base/bytes.ts';
import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { changeMode, closeFile, syncFile, unlink, writeFully } from './files.ts';
import type { HeldFolder } from './held-folder.ts';
import { ignore, type Modes, openTemporary, publish } from './write-file.ts';

/** How a file that comes piece by piece is written. */
export interface IncomingOptions {
  readonly modes: Modes;
  readonly random: Random;
  /** Others may want the name at the same time, for something else: see `WriteOptions`. */
  readonly isContended: boolean;
}

/**
 * A file that is written while it comes in, as `writeFile` writes one whose bytes are all there: under a temporary name that
 * listings leave out, and under its own only when it is whole and on the disk. Never replaces a file. After any error it must be
 * discarded; a failed sync is not tried again on the same file.
 * @see docs/FORMAT.md#writing-a-file
 */
export class IncomingFile {
  readonly #folder: HeldFolder;
  readonly #name: string;
  readonly #options: IncomingOptions;
  readonly #temporary: string;
  #file: number | undefined;
  #hasOwnName = false;
  sizeBytes = 0;

  private constructor(
    place: { readonly folder: HeldFolder; readonly name: string },
    options: IncomingOptions,
    opened: { readonly file: number; readonly path: string },
  ) {
    this.#folder = place.folder;
    this.#name = place.name;
    this.#options = options;
    this.#temporary = opened.path;
    this.#file = opened.file;
  }

  /** @param folder stays open until the file is published or discarded @throws system errors untranslated */
  static async open(
    folder: HeldFolder,
    name: string,
    options: IncomingOptions,
  ): Promise<IncomingFile> {
    const temporaryName = (number: number): string => `${name}-tmp-${number}`;
    const opened = await openTemporary(folder.at('.'), { ...options, temporaryName });
    return new IncomingFile({ folder, name }, options, opened);
  }

  /** Adds bytes at the end; one call at a time. @throws system errors untranslated */
  async append(parts: readonly Uint8Array[]): Promise<void> {
    assert(this.#file !== undefined, 'the file is open');
    const expected = sizeOfParts(parts);
    const written = await writeFully(this.#file, parts, this.sizeBytes);
    this.sizeBytes += written;
    if (written === expected) return;
    throw new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the storage wrote a wrong number of bytes',
      details: { expected, written },
    });
  }

  /** Makes it durable and visible. @throws system errors untranslated, EEXIST; FILE_EXISTS */
  async publish(): Promise<void> {
    const file = this.#file;
    assert(file !== undefined, 'the file is open');
    await syncFile(file).catch(ignore('ENOTSUP'));
    this.#file = undefined;
    await closeFile(file);
    const target = this.#folder.at(this.#name);
    const { isContended, modes } = this.#options;
    await publish(this.#temporary, target, { replace: false, isContended });
    this.#hasOwnName = true;
    try {
      await this.#folder.sync();
    } catch (error) {
      await unlink(target).catch(() => {});
      throw error;
    }
    await changeMode(target, modes.final).catch(ignore('EPERM', 'EACCES', 'ENOTSUP'));
  }

  /** Removes what was written, unless it was published. Never throws. */
  async discard(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) await closeFile(file).catch(() => {});
    if (!this.#hasOwnName) await unlink(this.#temporary).catch(() => {});
  }
}
