import { assert } from '../base/assert.ts';

/** Bytes that a key holds: 48 bits are exact in a number. */
const keySizeBytes = 6;

/** Raw names one after the other in one array: some 25 bytes a name instead of 240. */
export class PackedNames {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #ends: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds the name at `source[start, end)`. */
  add(source: Uint8Array, start: number, end: number): void {
    const at = this.startOf(this.#count);
    const stop = at + end - start;
    assert(stop < 2 ** 32, 'the names of a directory take less than 4 GiB');
    if (stop > this.#bytes.length) {
      // A transfer frees the old memory at once, not at the next garbage collection.
      this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.max(stop, 2 * at)));
    }
    if (this.#count === this.#ends.length) {
      this.#ends = new Uint32Array(this.#ends.buffer.transfer(2 * this.#ends.byteLength));
    }
    const target = this.#bytes;
    for (let from = start, to = at; from < end; from++, to++) target[to] = source[from]!;
    this.#ends[this.#count++] = stop;
  }

  startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }

  endOf(index: number): number {
    return this.#ends[index]!;
  }

  /** All names; those of number `i` from `startOf(i)` to `endOf(i)`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }
}

/** The names of one directory, each once, in the order of their bytes; small enough to keep for millions. */
export class SortedNames {
  readonly length: number;
  readonly #names: PackedNames;
  /** Numbers of the names, in order. */
  readonly #order: Uint32Array;

  /** @param names are kept, and must not be added to any more */
  constructor(names: PackedNames) {
    this.#names = names;
    this.#order = sortedOrder(names);
    this.length = this.#order.length;
  }

  /** Names number `from` to `to`, owned by the caller. */
  slice(from: number, to: number): Uint8Array<ArrayBuffer>[] {
    const names: Uint8Array<ArrayBuffer>[] = [];
    for (let i = from; i < Math.min(to, this.length); i++) names.push(this.at(i));
    return names;
  }

  /** A copy of name number `index`. */
  at(index: number): Uint8Array<ArrayBuffer> {
    const number = this.#order[index]!;
    return this.#names.bytes.slice(this.#names.startOf(number), this.#names.endOf(number));
  }

  /** The number of a name; -1 if it is not there. */
  find(name: Uint8Array): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(middle, name);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  #compare(index: number, name: Uint8Array): number {
    const number = this.#order[index]!;
    const { bytes } = this.#names;
    const start = this.#names.startOf(number);
    const length = this.#names.endOf(number) - start;
    const shorter = Math.min(length, name.length);
    for (let i = 0; i < shorter; i++) {
      const difference = bytes[start + i]! - name[i]!;
      if (difference !== 0) return difference;
    }
    return length - name.length;
  }
}

/** Numbers of the names in the order of their bytes, without those that come again. */
function sortedOrder(names: PackedNames): Uint32Array {
  const { count } = names;
  const prefix = commonPrefixLength(names);
  const keys = new Float64Array(count);
  const order = new Uint32Array(count);
  let isSorted = true;
  for (let i = 0; i < count; i++) {
    keys[i] = keyOf(names, i, prefix);
    order[i] = i;
    if (i > 0 && keys[i]! <= keys[i - 1]!) isSorted = false;
  }
  if (isSorted) return order;
  order.sort((a, b) => keys[a]! - keys[b]! || compareNames(names, a, b));
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const isAgain = kept > 0 && compareNames(names, order[kept - 1]!, order[i]!) === 0;
    if (!isAgain) order[kept++] = order[i]!;
  }
  return order.subarray(0, kept);
}

function commonPrefixLength(names: PackedNames): number {
  const { bytes, count } = names;
  let length = count === 0 ? 0 : names.endOf(0);
  for (let i = 1; i < count; i++) {
    const start = names.startOf(i);
    length = Math.min(length, names.endOf(i) - start);
    let same = 0;
    while (same < length && bytes[start + same] === bytes[same]) same++;
    length = same;
  }
  return length;
}

/** The bytes after `prefix`, big-endian; a name that ends sorts before one that goes on. */
function keyOf(names: PackedNames, index: number, prefix: number): number {
  const { bytes } = names;
  const stop = names.endOf(index);
  const start = names.startOf(index) + prefix;
  let key = 0;
  for (let i = start; i < start + keySizeBytes; i++) key = key * 256 + (i < stop ? bytes[i]! : 0);
  return key;
}

function compareNames(names: PackedNames, a: number, b: number): number {
  const { bytes } = names;
  let at = names.startOf(a);
  let other = names.startOf(b);
  const [stop, otherStop] = [names.endOf(a), names.endOf(b)];
  while (at < stop && other < otherStop) {
    const difference = bytes[at++]! - bytes[other++]!;
    if (difference !== 0) return difference;
  }
  return stop - at - (otherStop - other);
}
