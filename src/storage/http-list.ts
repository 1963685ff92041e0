import { toHex, fromHex } from '../base/bytes.ts';
import { type FileStat, isFileName } from './backend.ts';
import { invalidAnswer } from './http-errors.ts';

/** More files of one type than any repository has: a million packs of 16 MiB hold 16 TB. */
export const listedNamesMax: number = 1 << 24;

const idSizeBytes = 32;
const entrySizeBytes = idSizeBytes + 8;
const entriesAtFirst = 1024;

/**
 * Names and sizes of a listing, each name once, 40 bytes an entry. A listing is taken whole before anything of it is given
 * away: who reads it slowly, or makes calls meanwhile, would hold up a connection that those calls may need.
 */
export class FileList {
  readonly #what: string;
  readonly #countMax: number;
  #entries: Buffer = Buffer.allocUnsafe(entriesAtFirst * entrySizeBytes);
  #count = 0;
  #namedCount = 0;

  /** @param what `pack files`, for people */
  constructor(what: string, countMax: number = listedNamesMax) {
    this.#what = what;
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a file; a name that is none of a repository file counts, and is left out. @throws SERVER_ANSWER_INVALID for too many */
  add(name: string, sizeBytes: number): void {
    if (++this.#namedCount > this.#countMax) {
      const details = { list: this.#what, countMax: this.#countMax };
      throw invalidAnswer('the storage lists more files than a repository can have', details);
    }
    if (!isFileName(name)) return;
    if (this.#count * entrySizeBytes === this.#entries.byteLength) this.#grow();
    const at = this.#count++ * entrySizeBytes;
    this.#entries.set(fromHex(name) ?? [], at);
    this.#entries.writeDoubleLE(sizeBytes, at + idSizeBytes);
  }

  *files(): Generator<FileStat, void, undefined> {
    const seen = new Set<string>();
    for (let i = 0; i < this.#count; i++) {
      const at = i * entrySizeBytes;
      const name = toHex(this.#entries.subarray(at, at + idSizeBytes));
      if (seen.has(name)) continue;
      seen.add(name);
      yield { name, sizeBytes: this.#entries.readDoubleLE(at + idSizeBytes) };
    }
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(this.#entries.byteLength * 2);
    larger.set(this.#entries);
    this.#entries = larger;
  }
}
