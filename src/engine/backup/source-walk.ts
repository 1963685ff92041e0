import type { Clock } from '../../base/clock.ts';
import type { Source, SourceEntry, SourceListing } from '../../sources/source.ts';

/** Entries that may wait to be consumed; about 400 bytes each. */
const entriesAheadMax = 250_000;
/** How long the walk works before waiting events are handled. */
const turnMs = 15;
/** Directories at the end of the stack that the source is told about, every few steps. */
const directoriesAhead = 64;
const stepsBetween = 16;

/**
 * Walks a source directory by directory, before its content is asked for if there is time.
 *
 * Order: the root first, then every directory before those below it, siblings by raw name. The
 * consumer takes the listings in just this order. A source can be walked while the repository is
 * still being opened, whose key derivation takes half a second on another core.
 */
export class SourceWalk {
  readonly source: Source;
  readonly #clock: Clock;
  readonly #stack: SourceEntry[] = [];
  readonly #ready: SourceListing[] = [];
  #readyAt = 0;
  #entriesAhead = 0;
  #started = false;
  #steps = 0;

  constructor(source: Source, clock: Clock) {
    this.source = source;
    this.#clock = clock;
  }

  /** Walks ahead until `until` settles, as far as memory allows. Never throws. */
  async aheadOf(until: Promise<unknown>): Promise<void> {
    const state = { isSettled: false };
    const settle = (): void => {
      state.isSettled = true;
    };
    until.then(settle, settle);
    await this.#clock.nextTurn();
    let turnStart = this.#clock.monotonicMs();
    while (!state.isSettled && this.#entriesAhead < entriesAheadMax && !this.#atEnd) {
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
    const listing = this.#ready[this.#readyAt++];
    this.#entriesAhead -= listing?.entries.length ?? 0;
    if (this.#readyAt > 1024) {
      this.#ready.splice(0, this.#readyAt);
      this.#readyAt = 0;
    }
    return listing;
  }

  get #atEnd(): boolean {
    return this.#started && this.#stack.length === 0;
  }

  async #step(): Promise<void> {
    const directory = this.#started ? this.#stack.pop() : undefined;
    this.#started = true;
    if (this.#steps++ % stepsBetween === 0) {
      const soon = this.#stack.slice(-directoriesAhead);
      if (directory) soon.push(directory);
      this.source.ahead?.(soon);
    }
    if (directory) await this.source.probe?.(directory);
    const listing = directory ? this.source.list(directory) : this.source.root();
    this.#ready.push(listing);
    this.#entriesAhead += listing.entries.length;
    for (let i = listing.entries.length - 1; i >= 0; i--) {
      const entry = listing.entries[i];
      if (entry?.status.kind === 'directory') this.#stack.push(entry);
    }
  }
}
