import type { SourceEntry, SourceListing } from '../../sources/source.ts';

/**
 * A listing whose turn has come: has its entries made when they are asked for, and keeps them for the time that it is looked at.
 *
 * The listing itself has often been read long before, and is among the objects that are collected rarely. What it kept would
 * be copied there, and stay long after its directory is done.
 */
export class TakenListing implements SourceListing {
  readonly problems: SourceListing['problems'];
  readonly vanished: SourceListing['vanished'];
  readonly complete: boolean;
  readonly rest: SourceListing['rest'];
  readonly packed: SourceListing['packed'];
  readonly #listing: SourceListing;
  #entries: readonly SourceEntry[] | undefined;

  constructor(listing: SourceListing) {
    this.problems = listing.problems;
    this.vanished = listing.vanished;
    this.complete = listing.complete;
    this.rest = listing.rest;
    this.packed = listing.packed;
    this.#listing = listing;
  }

  get entries(): readonly SourceEntry[] {
    this.#entries ??= this.#listing.entries;
    return this.#entries;
  }
}
