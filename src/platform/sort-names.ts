import { compareBytes } from '../base/bytes.ts';

interface Named {
  readonly name: Uint8Array;
}

/** Where a name stands. */
export interface NamePlace {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Bytes that a key holds: 48 bits are exact in a number. */
const keySizeBytes = 6;

/**
 * Sorts entries by raw name bytes, and drops all but the first of equal names, which a listing can hold when names are
 * changed while it is read.
 *
 * Names in one directory mostly share a beginning, so entries are compared by a number made of the six bytes after
 * it: 110,000 names in groups of 50 take 11 ms instead of 60 ms with Buffer.compare.
 */
export function sortByName<T extends Named>(entries: T[]): T[] {
  const order = sortedOrder(
    entries.map(({ name }) => ({ bytes: name, start: 0, end: name.length })),
  );
  return order ? order.map((i) => entries[i]!) : entries;
}

/** As `sortByName`, of names that stand in some memory. */
export function sortPlaces(places: NamePlace[]): NamePlace[] {
  const order = sortedOrder(places);
  return order ? order.map((i) => places[i]!) : places;
}

/** Raw names sorted by their bytes, each once. */
export function sortNames<Name extends Uint8Array>(names: readonly Name[]): Name[] {
  return sortByName(names.map((name) => ({ name }))).map(({ name }) => name);
}

/** Numbers of the places in the order of their names; undefined if they are in order, each once. */
function sortedOrder(places: readonly NamePlace[]): number[] | undefined {
  if (places.length < 2) return undefined;
  const prefix = commonPrefixLength(places);
  const keys = new Float64Array(places.length);
  const order: number[] = [];
  let isSorted = true;
  for (let i = 0; i < places.length; i++) {
    const key = keyOf(places[i]!, prefix);
    keys[i] = key;
    order.push(i);
    if (i > 0 && key <= keys[i - 1]!) isSorted = false;
  }
  if (isSorted) return undefined;
  order.sort((a, b) => keys[a]! - keys[b]! || compareNames(places[a]!, places[b]!));
  return order.filter((i, at) => at === 0 || !isEqual(places[order[at - 1]!]!, places[i]!));
}

function commonPrefixLength(places: readonly NamePlace[]): number {
  const first = places[0]!;
  let length = first.end - first.start;
  for (const { bytes, start, end } of places) {
    if (end - start < length) length = end - start;
    let i = 0;
    while (i < length && bytes[start + i] === first.bytes[first.start + i]) i++;
    length = i;
  }
  return length;
}

/** The bytes after the first `prefix`, big-endian; a name that ends sorts before one that goes on. */
function keyOf({ bytes, start, end }: NamePlace, prefix: number): number {
  const from = start + prefix;
  let key = 0;
  for (let i = from; i < from + keySizeBytes; i++) key = key * 256 + (i < end ? bytes[i]! : 0);
  return key;
}

function compareNames(a: NamePlace, b: NamePlace): number {
  return compareBytes(a.bytes.subarray(a.start, a.end), b.bytes.subarray(b.start, b.end));
}

function isEqual(a: NamePlace, b: NamePlace): boolean {
  const length = a.end - a.start;
  if (b.end - b.start !== length) return false;
  for (let i = length - 1; i >= 0; i--) {
    if (a.bytes[a.start + i] !== b.bytes[b.start + i]) return false;
  }
  return true;
}
