import { makeDevice } from '../device.ts';
import { packedKinds } from '../packed-scan.ts';
import type { FileKind, FileStatus } from '../system-calls.ts';
import { type Arena, arenaAt, signedAt, unsignedAt } from './arena.ts';

const kinds: readonly FileKind[] = Array.from({ length: 16 }, (_, type) => kindOfType(type));

/** struct statx in the arena as 32-bit words; the offsets of `statx(2)` divided by 4. */
const at = arenaAt.status / 4;
const statusWord = {
  attributes: at + 2,
  links: at + 4,
  uid: at + 5,
  gid: at + 6,
  mode: at + 7,
  inode: at + 8,
  size: at + 10,
  blocks: at + 12,
  atime: at + 16,
  ctime: at + 24,
  mtime: at + 28,
  rdevMajor: at + 32,
  rdevMinor: at + 33,
  deviceMajor: at + 34,
  deviceMinor: at + 35,
  attributesKnown: at + 14,
} as const;

/** STATX_BASIC_STATS: all that `stat` gives. */
export const statusMask = 0x7ff;

/** STATX_ATTR_MOUNT_ROOT. */
const mountRootAttribute = 0x2000;

/** AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT. */
export const statusFlagsNoFollow: number = 0x100 | 0x800;

/**
 * The status that the last `statx` left in the arena, or undefined for a file beyond 2^53 bytes, whose size no number
 * holds exactly.
 */
export function decodeStatus(arena: Arena): FileStatus | undefined {
  const words = arena.words;
  const typeAndMode = words[statusWord.mode]! & 0xffff;
  const kind = kinds[typeAndMode >>> 12]!;
  const size = unsignedAt(arena, statusWord.size);
  if (typeof size !== 'number' && kind === 'file') return undefined;
  return {
    kind,
    mode: typeAndMode & 0o7777,
    uid: words[statusWord.uid]!,
    gid: words[statusWord.gid]!,
    links: words[statusWord.links]!,
    inode: unsignedAt(arena, statusWord.inode),
    device: makeDevice(words[statusWord.deviceMajor]!, words[statusWord.deviceMinor]!),
    rdev: makeDevice(words[statusWord.rdevMajor]!, words[statusWord.rdevMinor]!),
    sizeBytes: Number(size),
    blocks: Number(unsignedAt(arena, statusWord.blocks)),
    mtime: timeAt(arena, statusWord.mtime),
    atime: timeAt(arena, statusWord.atime),
    ctime: timeAt(arena, statusWord.ctime),
  };
}

/** Numbers of the kinds in packed scans. */
const kindNumbers: readonly number[] = kinds.map((kind) => packedKinds.indexOf(kind));

/**
 * Writes what `decodeStatus` gives to `numbers` from `at` on, as packed scans hold it.
 * @returns the kind; undefined if numbers do not hold all of it exactly
 */
export function packLastStatus(
  arena: Arena,
  numbers: Float64Array,
  at: number,
): FileKind | undefined {
  const words = arena.words;
  const typeAndMode = words[statusWord.mode]! & 0xffff;
  const inode = unsignedAt(arena, statusWord.inode);
  const device = makeDevice(words[statusWord.deviceMajor]!, words[statusWord.deviceMinor]!);
  const rdev = makeDevice(words[statusWord.rdevMajor]!, words[statusWord.rdevMinor]!);
  const size = unsignedAt(arena, statusWord.size);
  const isExact = typeof inode === 'number' && typeof device === 'number';
  if (!isExact || typeof rdev !== 'number' || typeof size !== 'number') return undefined;
  numbers[at] = kindNumbers[typeAndMode >>> 12]!;
  numbers[at + 1] = typeAndMode & 0o7777;
  numbers[at + 2] = words[statusWord.uid]!;
  numbers[at + 3] = words[statusWord.gid]!;
  numbers[at + 4] = words[statusWord.links]!;
  numbers[at + 5] = inode;
  numbers[at + 6] = device;
  numbers[at + 7] = rdev;
  numbers[at + 8] = size;
  numbers[at + 9] = Number(unsignedAt(arena, statusWord.blocks));
  numbers[at + 10] = signedAt(arena, statusWord.mtime);
  numbers[at + 11] = words[statusWord.mtime + 2]!;
  numbers[at + 12] = signedAt(arena, statusWord.atime);
  numbers[at + 13] = words[statusWord.atime + 2]!;
  numbers[at + 14] = signedAt(arena, statusWord.ctime);
  numbers[at + 15] = words[statusWord.ctime + 2]!;
  return kinds[typeAndMode >>> 12]!;
}

/** Whether the entry of the last `statx` is where something is mounted; undefined if the kernel does not say. */
export function decodeIsMountRoot({ words }: Arena): boolean | undefined {
  if ((words[statusWord.attributesKnown]! & mountRootAttribute) === 0) return undefined;
  return (words[statusWord.attributes]! & mountRootAttribute) !== 0;
}

function timeAt(arena: Arena, word: number): { seconds: number; nanoseconds: number } {
  return { seconds: signedAt(arena, word), nanoseconds: arena.words[word + 2]! };
}

/** S_IFMT >> 12. */
function kindOfType(type: number): FileKind {
  switch (type) {
    case 1:
      return 'fifo';
    case 2:
      return 'character';
    case 4:
      return 'directory';
    case 6:
      return 'block';
    case 8:
      return 'file';
    case 10:
      return 'symlink';
    case 12:
      return 'socket';
    default:
      return 'unknown';
  }
}
