import { isHoldfastError } from '../base/errors.ts';
import type { ByteRange, CallOptions, FileHandle, FileVersion, Versions } from './backend.ts';
import { isNamedByContent } from './content-names.ts';
import { findGenuine } from './genuine.ts';

/** A read that may have to look at older versions. */
export interface DoubtfulRead extends CallOptions {
  readonly range: ByteRange | undefined;
  /** What came before was wrong. */
  readonly fresh: boolean;
}

/** What a read says of a pack that is gone, or is another than it was. */
const signs = ['FILE_NOT_FOUND', 'RANGE_NOT_SATISFIABLE', 'UNPACKED_DAMAGED'] as const;

/**
 * In a repository with locks, what is wrong or hidden may have been put over or before the right bytes, which are there still.
 * They are looked for where something was found wrong, and where a pack is gone: nobody asks for one that a prune has removed.
 * From then on they are read from the version that has them.
 */
export class GenuineReads {
  readonly #versions: Versions;
  readonly #isLocked: () => boolean;
  readonly #known = new Map<string, FileVersion>();

  /** @param isLocked whether the repository has locks, so that there are older versions to rely on */
  constructor(versions: Versions, isLocked: () => boolean) {
    this.#versions = versions;
    this.#isLocked = isLocked;
  }

  /** @param read reads what is newest @throws what it throws */
  async reading(
    handle: FileHandle,
    how: DoubtfulRead,
    read: () => Promise<Uint8Array<ArrayBuffer>>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { fresh } = how;
    const known = this.#known.get(handle.name);
    if (known) return await this.#readOld(known, how);
    if (!isNamedByContent(handle) || !this.#isLocked()) return await read();
    if (fresh) {
      const found = await this.#find(handle, how);
      if (found) return found;
    }
    try {
      return await read();
    } catch (error) {
      if (handle.type !== 'pack' || !isHoldfastError(error, ...signs)) throw error;
      const found = await this.#find(handle, how);
      if (found) return found;
      throw error;
    }
  }

  /** The file was stored anew. */
  forget({ name }: FileHandle): void {
    this.#known.delete(name);
  }

  /** Undefined if the newest version is as good as any. */
  async #find(
    handle: FileHandle,
    { range, signal }: DoubtfulRead,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const all = await this.#versions.of(handle, { signal });
    if (all.length < 2) return undefined;
    const found = await findGenuine(this.#versions, all, { signal });
    if (!found || found.version.isNewest) return undefined;
    this.#known.set(handle.name, found.version);
    return range ? await this.#readOld(found.version, { range, signal }) : found.content;
  }

  async #readOld(
    version: FileVersion,
    { range, signal }: Pick<DoubtfulRead, 'range' | 'signal'>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return range
      ? await this.#versions.getPart(version, range, { signal })
      : await this.#versions.get(version, { signal });
  }
}
