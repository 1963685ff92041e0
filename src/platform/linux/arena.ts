import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Libc } from './libc.ts';

const pathSizeBytes = 64 << 10;
const listingSizeBytes = 256 << 10;
/** Most that Linux gives for a list of attribute names or one value (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
export const attributeSizeBytesMax: number = 64 << 10;

/**
 * Memory outside the JavaScript heap that one thread's system calls read and write by address, reused for every call.
 *
 * Nothing in it survives the next call of this room; whatever leaves is copied. Pages never used cost nothing.
 */
export interface Arena {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly signedWords: Int32Array<ArrayBuffer>;
  /** Address of `bytes[0]`: add an offset to get a pointer. */
  readonly base: number;
}

/** Where things stand in the arena. Sizes: paths and attributes 64 KiB, listing 256 KiB. */
export const arenaAt: Readonly<
  Record<
    | 'empty'
    | 'status'
    | 'record'
    | 'attributeName'
    | 'path'
    | 'secondPath'
    | 'attributeList'
    | 'attributeValue'
    | 'listing',
    number
  >
> = {
  /** An empty C string. */
  empty: 0,
  /** struct statx, 256 bytes. */
  status: 256,
  /** struct timespec[2], struct xattr_args, struct passwd, integers. */
  record: 512,
  /** Name of an attribute being read; at most 255 bytes. */
  attributeName: 1024,
  path: 4096,
  secondPath: 4096 + pathSizeBytes,
  attributeList: 4096 + 2 * pathSizeBytes,
  attributeValue: 4096 + 2 * pathSizeBytes + attributeSizeBytesMax,
  listing: 4096 + 2 * pathSizeBytes + 2 * attributeSizeBytesMax,
};

/** Room at `arenaAt.listing` for directory entries as getdents64(2) gives them, in bytes. */
export const arenaListingSizeBytes: number = listingSizeBytes;

const arenaSizeBytes = arenaAt.listing + listingSizeBytes;

/** One arena; each thread of the process has its own. */
export function createArena(libc: Libc): Arena {
  // An ArrayBuffer of its own never moves, unlike the contents of a small typed array.
  const buffer = new ArrayBuffer(arenaSizeBytes);
  const bytes = new Uint8Array(buffer);
  const base = libc.address(bytes);
  assert(Number.isSafeInteger(base) && base > 0 && base % 8 === 0, 'the arena has an address');
  return {
    bytes,
    words: new Uint32Array(buffer),
    signedWords: new Int32Array(buffer),
    base,
  };
}

/** Copies `text` as a C string to `offset`. @returns its address */
export function placeText(arena: Arena, offset: number, text: Uint8Array): number {
  const bytes = arena.bytes;
  const length = text.length;
  if (length >= pathSizeBytes) throw textError('a path or name is too long', length);
  for (let i = 0; i < length; i++) {
    const byte = text[i]!;
    if (byte === 0) throw textError('a path or name holds a zero byte', length);
    bytes[offset + i] = byte;
  }
  bytes[offset + length] = 0;
  return arena.base + offset;
}

/** An unsigned 64-bit integer at `word` (index of 32-bit words): a bigint only if no number is exact. */
export function unsignedAt(arena: Arena, word: number): number | bigint {
  const low = arena.words[word]!;
  const high = arena.words[word + 1]!;
  if (high < 0x200000) return high * 4294967296 + low;
  return (BigInt(high) << 32n) | BigInt(low);
}

/** A signed 64-bit integer; exact between -2^53 and 2^53. */
export function signedAt(arena: Arena, word: number): number {
  return arena.signedWords[word + 1]! * 4294967296 + arena.words[word]!;
}

/** Writes a signed 64-bit integer. */
export function putSigned(arena: Arena, word: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  arena.words[word] = value - high * 4294967296;
  arena.signedWords[word + 1] = high;
}

function textError(message: string, sizeBytes: number): HoldfastError {
  return new HoldfastError('SYSTEM_CALL_FAILED', { message, details: { sizeBytes } });
}
