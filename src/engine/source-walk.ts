import { defined } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Source, SourceEntry, SourceListing } from '../sources/source.ts';

/** Entries that may wait to be consumed; about 650 bytes each. */
const entriesAheadMax = 250_000;
/** The same, while a large directory is listed: its trees alone may take hundreds of megabytes. */
const entriesAheadOfLargeMax = 50_000;
/** How long the walk works before waiting events are handled: what it walks ahead of waits for many of them. */
const turnMs = 4;
/** Directories at the end of the stack that the source is told about, every few steps. */
const directoriesAhead = 64;
const stepsBetween = 16;

/**
 * Walks a source directory by directory, before its content is asked for if there is time.
 *
 * Order: the root first, then every directory before those below it, siblings by raw name. Of a directory that is
 * listed in parts, what is below each part comes before the next one: so only few of its entries are held at a time.
 * The consumer takes the listings in just this order. A source can be walked while the repository is
 * still being opened, whose key derivation takes a quarter of a second on another core.
 */
export class SourceWalk {
  readonly source: Source;
  readonly #clock: Clock;
  /** Directories to be listed, and rests of large ones. */
  readonly #stack: (SourceEntry | NonNullable<SourceListing['rest']>)[] = [];
  /** Listings by the order in which they are taken; those that were taken are let go. */
  readonly #ready: (SourceListing | undefined)[] = [];
  #readyAt = 0;
  #entriesAhead = 0;
  #started = false;
  #steps = 0;

  constructor(source: Source, clock: Clock) {
    this.source = source;
    this.#clock = clock;
  }

  /**
   * Walks ahead until `until` settles, as far as memory allows. Never throws. May be called several times, one after the
   * other, and not once the first listing was taken.
   */
  async aheadOf(until: Promise<unknown>): Promise<void> {
    const state = { isSettled: false };
    const settle = (): void => {
      state.isSettled = true;
    };
    until.then(settle, settle);
    await this.#clock.nextTurn();
    let turnStart = this.#clock.monotonicMs();
    while (!state.isSettled && this.#mayGoAhead && !this.#atEnd) {
      await this.#step();
      if (this.#clock.monotonicMs() - turnStart < turnMs) continue;
      await this.#clock.nextTurn();
      turnStart = this.#clock.monotonicMs();
    }
  }

  /** The next listing, or undefined at the end. */
  async next(): Promise<SourceListing | undefined> {
    if (this.#readyAt === this.#ready.length) {
      if (this.#atEnd) return undefined;
      await this.#step();
    }
    const listing = this.#ready[this.#readyAt];
    this.#ready[this.#readyAt++] = undefined;
    if (listing) this.#entriesAhead -= entryCount(listing);
    if (this.#readyAt > 1024) {
      this.#ready.splice(0, this.#readyAt);
      this.#readyAt = 0;
    }
    // For each listing that is taken another one that is read already: so what reads ahead always has something to do.
    if (this.#mayGoAhead) {
      if (this.#hasNextBeenRead) await this.#step();
      else this.#tellAhead();
    }
    return listing;
  }

  /** The directory that comes next has been read ahead. */
  get #hasNextBeenRead(): boolean {
    const next = this.#stack.at(-1);
    if (next === undefined || typeof next === 'function') return false;
    return this.source.isReadAhead?.(next) ?? false;
  }

  get #mayGoAhead(): boolean {
    const isRest = typeof this.#stack.at(-1) === 'function';
    return this.#entriesAhead < (isRest ? entriesAheadOfLargeMax : entriesAheadMax);
  }

  get #atEnd(): boolean {
    return this.#started && this.#stack.length === 0;
  }

  /** Tells the source every few times what is listed soon. */
  #tellAhead(): void {
    if (this.#steps++ % stepsBetween === 0) this.source.ahead?.(this.#soon());
  }

  async #step(): Promise<void> {
    this.#tellAhead();
    const listing = this.#started ? await this.#list(this.#stack.pop()) : this.source.root();
    this.#started = true;
    this.#ready.push(listing);
    this.#entriesAhead += entryCount(listing);
    if (listing.rest) this.#stack.push(listing.rest);
    if (listing.packed) {
      for (const { entry } of listing.packed.directories.toReversed()) this.#stack.push(entry);
      return;
    }
    for (let i = listing.entries.length - 1; i >= 0; i--) {
      const entry = listing.entries[i];
      if (entry?.status.kind === 'directory') this.#stack.push(entry);
    }
  }

  /** Directories whose turn comes soon, the last one first. */
  #soon(): SourceEntry[] {
    return this.#stack.slice(-directoriesAhead).filter((next) => typeof next !== 'function');
  }

  async #list(next: SourceEntry | (() => SourceListing) | undefined): Promise<SourceListing> {
    const directory = defined(next, 'a step has something to list');
    if (typeof directory === 'function') return directory();
    await this.source.probe?.(directory);
    return this.source.list(directory);
  }
}

/** Entries of a listing, none of which is made for that. */
export function entryCount(listing: SourceListing): number {
  return listing.packed?.directory.count ?? listing.entries.length;
}
