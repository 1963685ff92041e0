import { createHash } from 'node:crypto';
import { promises as fs } from 'node:fs';
import path from 'node:path';

import { isFileName } from '../backend.ts';
import { makeFolders } from './folders.ts';
import { translate } from './translate.ts';
import { ignore } from './write-file.ts';

/**
 * Which key file opened the repository of a location the last time: no secret, and worth a listing. It lies beside the caches
 * of repositories, for before one is open its id is not known.
 */
export class KnownKeys {
  readonly #file: string;
  readonly #folder: string;

  /** @param location without secrets, as `Backend.location` */
  constructor(base: string, location: string) {
    this.#folder = path.join(base, 'known-keys');
    this.#file = path.join(this.#folder, createHash('sha256').update(location).digest('hex'));
  }

  /** @returns the id of the key file; undefined if none is known, or it cannot be read */
  async load(): Promise<string | undefined> {
    const text = await fs.readFile(this.#file, 'latin1').catch(() => undefined);
    return text !== undefined && isFileName(text) ? text : undefined;
  }

  /** Notes which key it was. What a crash leaves is no key, or the one before. @throws PERMISSION_DENIED, STORAGE_FULL, … */
  async save(keyId: string): Promise<void> {
    const writing = `${this.#file}.${process.pid}`;
    try {
      await makeFolders(this.#folder, { mode: 0o700, durable: false });
      await fs.writeFile(writing, keyId, { mode: 0o600 });
      await fs.rename(writing, this.#file);
    } catch (error) {
      await fs.unlink(writing).catch(ignore('ENOENT'));
      throw translate(error, { action: 'write', path: this.#file });
    }
  }
}
