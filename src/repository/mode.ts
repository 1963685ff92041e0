/**
 * Go's FileMode, the form in which a tree stores kind and permissions, and the mode bits of Unix.
 * The highest bit is 2^31: bit operators give signed values, so results pass `>>> 0`.
 * @see docs/FORMAT.md#mode
 */

/** What a directory entry can be, as a tree names it. */
export type NodeType =
  | 'file'
  | 'dir'
  | 'symlink'
  | 'dev'
  | 'chardev'
  | 'fifo'
  | 'socket'
  | 'irregular';

const directory = 0x8000_0000;
const symlink = 0x0800_0000;
const device = 0x0400_0000;
const namedPipe = 0x0200_0000;
const socket = 0x0100_0000;
const setUserId = 0x0080_0000;
const setGroupId = 0x0040_0000;
const characterDevice = 0x0020_0000;
const sticky = 0x0010_0000;
const irregular = 0x0008_0000;

const typeBits: Readonly<Record<NodeType, number>> = {
  file: 0,
  dir: directory,
  symlink,
  dev: device,
  chardev: device | characterDevice,
  fifo: namedPipe,
  socket,
  irregular,
};

/** Types of entries that can be made again. Those of trees that other programs wrote may be any text. */
export const restorableTypes: ReadonlySet<string> = new Set(
  Object.keys(typeBits).filter((type) => type !== 'irregular'),
);

/**
 * Go FileMode of an entry.
 * @param permissions the low 12 bits of `st_mode`: permissions, setuid, setgid, sticky; others are ignored
 */
export function goMode(type: NodeType, permissions: number): number {
  let mode = (permissions & 0o777) | typeBits[type];
  if ((permissions & 0o4000) !== 0) mode |= setUserId;
  if ((permissions & 0o2000) !== 0) mode |= setGroupId;
  if ((permissions & 0o1000) !== 0) mode |= sticky;
  return mode >>> 0;
}

/** The low 12 bits of `st_mode` for a Go FileMode: permissions, setuid, setgid, sticky. */
export function unixMode(mode: number): number {
  let permissions = mode & 0o777;
  if ((mode & setUserId) !== 0) permissions |= 0o4000;
  if ((mode & setGroupId) !== 0) permissions |= 0o2000;
  if ((mode & sticky) !== 0) permissions |= 0o1000;
  return permissions;
}

/** The type that a Go FileMode stands for. */
export function typeOfMode(mode: number): NodeType {
  if ((mode & directory) !== 0) return 'dir';
  if ((mode & symlink) !== 0) return 'symlink';
  if ((mode & device) !== 0) return (mode & characterDevice) !== 0 ? 'chardev' : 'dev';
  if ((mode & namedPipe) !== 0) return 'fifo';
  if ((mode & socket) !== 0) return 'socket';
  return (mode & irregular) !== 0 ? 'irregular' : 'file';
}
