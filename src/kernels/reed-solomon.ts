import { assert } from '../base/assert.ts';
import { logOf, multiplyAdd, powerOf, pointOf, xorInto } from './binary-field.ts';

/**
 * Reed-Solomon erasure code over GF(2^16): systematic, with any number of parity blocks, in n log n by the additive
 * transform of Lin, Chung and Han.
 *
 * A code word is a polynomial of a degree below `n - m` at the `n` points of a subspace, where `n` and `m` are powers of
 * two: parity stands at the first `m` points, data behind it, zeros at the rest. As many lost blocks as there are parity
 * blocks can be had back, whichever they are.
 * @see "Novel polynomial basis and its application to Reed-Solomon erasure codes" (FOCS 2014)
 */

/** Data and parity together, both rounded up as the transform needs. */
export const codeBlockCountMax = 65_536;

/** Sizes of a code. */
export interface CodeShape {
  readonly dataCount: number;
  readonly parityCount: number;
  /** Bytes of every block: an even number. */
  readonly blockSizeBytes: number;
}

/** Points that parity takes: a power of two. */
function parityRoom({ parityCount }: CodeShape): number {
  return 2 ** Math.ceil(Math.log2(parityCount));
}

/** Points of the whole code: a power of two. */
function codeRoom(shape: CodeShape): number {
  return 2 ** Math.ceil(Math.log2(parityRoom(shape) + shape.dataCount));
}

/** True if a code of this shape exists. */
export function isCodeShape(shape: CodeShape): boolean {
  const { dataCount, parityCount, blockSizeBytes } = shape;
  const isValid = dataCount > 0 && parityCount > 0 && blockSizeBytes > 0;
  return isValid && blockSizeBytes % 2 === 0 && codeRoom(shape) <= codeBlockCountMax;
}

/**
 * The parity blocks of data blocks, one behind the other.
 * @param data all data blocks one behind the other; starts at an even offset of its buffer
 */
export function encodeParity(data: Uint8Array, shape: CodeShape): Uint8Array<ArrayBuffer> {
  assert(isCodeShape(shape), 'a code has this shape');
  const { dataCount, parityCount, blockSizeBytes } = shape;
  assert(data.byteLength === dataCount * blockSizeBytes, 'the data are whole blocks');
  const room = parityRoom(shape);
  const sum = Blocks.of(room, blockSizeBytes);
  const part = Blocks.of(room, blockSizeBytes);
  const source = new Blocks(wordsOf(data), blockSizeBytes / 2);
  for (let first = 0; first < dataCount; first += room) {
    const count = Math.min(room, dataCount - first);
    part.words.fill(0);
    part.words.set(source.words.subarray(first * source.width, (first + count) * source.width));
    inverseTransform(part, room, room + first);
    xorInto(sum.words, part.words);
  }
  transform(sum, room, 0);
  return new Uint8Array(sum.words.buffer, 0, parityCount * blockSizeBytes);
}

/** Which blocks are lost. */
export interface Erasures {
  readonly data: readonly number[];
  readonly parity: readonly number[];
}

/**
 * Gives lost data blocks back, in place.
 * @param data with anything in place of lost blocks; starts at an even offset of its buffer
 * @param parity as `data`
 * @returns false if more is lost than the parity makes up for; nothing is changed then
 */
export function recoverData(
  { data, parity }: { readonly data: Uint8Array; readonly parity: Uint8Array },
  shape: CodeShape,
  lost: Erasures,
): boolean {
  assert(isCodeShape(shape), 'a code has this shape');
  const { dataCount, parityCount, blockSizeBytes } = shape;
  assert(data.byteLength === dataCount * blockSizeBytes, 'the data are whole blocks');
  assert(parity.byteLength === parityCount * blockSizeBytes, 'the parity is whole blocks');
  if (lost.data.length + lost.parity.length > parityCount) return false;
  if (lost.data.length === 0) return true;
  const room = parityRoom(shape);
  const erased: number[] = [];
  for (let point = parityCount; point < room; point++) erased.push(point);
  for (const block of lost.parity) erased.push(block);
  for (const block of lost.data) erased.push(room + block);
  const size = codeRoom(shape);
  const blocks = Blocks.of(size, blockSizeBytes);
  blocks.words.set(wordsOf(parity));
  blocks.words.set(wordsOf(data), room * blocks.width);
  const isErased = new Uint8Array(size);
  for (const point of erased) isErased[point] = 1;
  const locator = locatorLogs(erased, size);
  // The product with the polynomial whose zeros are the lost points is known everywhere.
  for (let point = 0; point < room + dataCount; point++) {
    const block = blocks.at(point);
    if (isErased[point]) block.fill(0);
    else scale(block, locator[point]!);
  }
  inverseTransform(blocks, size, 0);
  derive(blocks, size);
  transform(blocks, size, 0);
  // At a lost point the derivative is the value sought times the derivative of that polynomial, whose log is here.
  const target = new Blocks(wordsOf(data), blockSizeBytes / 2);
  for (const block of lost.data) {
    const point = room + block;
    const value = blocks.at(point);
    scale(value, 65_535 - locator[point]!);
    target.at(block).set(value);
  }
  return true;
}

/** Blocks of 16-bit symbols one behind the other. */
class Blocks<B extends ArrayBufferLike = ArrayBuffer> {
  readonly words: Uint16Array<B>;
  /** Symbols of a block. */
  readonly width: number;

  constructor(words: Uint16Array<B>, width: number) {
    this.words = words;
    this.width = width;
  }

  static of(count: number, blockSizeBytes: number): Blocks {
    return new Blocks(new Uint16Array((count * blockSizeBytes) / 2), blockSizeBytes / 2);
  }

  at(block: number): Uint16Array {
    return this.words.subarray(block * this.width, (block + 1) * this.width);
  }

  /** Several blocks at once. */
  range(first: number, count: number): Uint16Array {
    return this.words.subarray(first * this.width, (first + count) * this.width);
  }
}

/** Coefficients to values at the points `[offset, offset + size)`, in place. */
function transform(blocks: Blocks, size: number, offset: number): void {
  for (let half = size / 2; half >= 1; half /= 2) {
    for (let start = 0; start < size; start += 2 * half) {
      const low = blocks.range(start, half);
      const high = blocks.range(start + half, half);
      multiplyAdd(low, high, pointOf((start + offset) / half));
      xorInto(high, low);
    }
  }
}

/** Values at the points `[offset, offset + size)` to coefficients, in place. */
function inverseTransform(blocks: Blocks, size: number, offset: number): void {
  for (let half = 1; half < size; half *= 2) {
    for (let start = 0; start < size; start += 2 * half) {
      const low = blocks.range(start, half);
      const high = blocks.range(start + half, half);
      xorInto(high, low);
      multiplyAdd(low, high, pointOf((start + offset) / half));
    }
  }
}

/** Coefficients to those of the derivative, in place: by the choice of the basis no factors are needed. */
function derive(blocks: Blocks, size: number): void {
  for (let i = 0; i < size; i++) {
    const target = blocks.at(i);
    // What stands at `i` is taken by lower ones before, and takes only from higher ones, which are still as they were.
    target.fill(0);
    for (let bit = 1; bit < size; bit *= 2) {
      if ((i & bit) === 0) xorInto(target, blocks.at(i + bit));
    }
  }
}

/** Logs of the polynomial with zeros at `erased`, by point; at those themselves, of its derivative. */
function locatorLogs(erased: readonly number[], size: number): Uint32Array {
  const logs = new Uint32Array(size);
  for (let point = 0; point < size; point++) {
    let sum = 0;
    for (const other of erased) if (other !== point) sum += logOf(pointOf(point ^ other));
    logs[point] = sum % 65_535;
  }
  return logs;
}

/** Multiplies a block by the power of a log, in place. */
function scale(block: Uint16Array, log: number): void {
  const product = new Uint16Array(block.length);
  multiplyAdd(product, block, powerOf(log % 65_535));
  block.set(product);
}

function wordsOf(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}
