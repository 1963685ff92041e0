import * as fs from 'node:fs';
import { promisify } from 'node:util';

// Callbacks, not fs.promises: a FileHandle costs about twice as much a call. All run in libuv's thread pool, so that a
// slow or dead mount does not stop the main thread.

/**
 * open(2) with `flags` of `node:fs` constants and `mode` before the umask.
 * @returns a descriptor that the caller closes
 * @throws system errors untranslated, as all of this file
 */
export const openFile: (path: string, flags: number, mode?: number) => Promise<number> = promisify(
  fs.open,
);
/** close(2). On Linux the descriptor is given up also after an error. */
export const closeFile: (file: number) => Promise<void> = promisify(fs.close);
/**
 * fsync(2): content and size are on the disk on return. After an error the content is in doubt, and a second call
 * proves nothing.
 */
export const syncFile: (file: number) => Promise<void> = promisify(fs.fsync);
/** fstat(2). Sizes are exact up to 2^53 bytes. */
export const statusOf: (file: number) => Promise<fs.Stats> = promisify(fs.fstat);
/** stat(2), which follows symbolic links. Sizes are exact up to 2^53 bytes. */
export const status: (path: string) => Promise<fs.Stats> = promisify(fs.stat);
/** lstat(2): as `status`, of a link itself. */
export const linkStatus: (path: string) => Promise<fs.Stats> = promisify(fs.lstat);
/** statfs(2): type and room of the file system that a path is on; `type` is the magic number of its kind. */
export const fileSystemOf: (path: string) => Promise<fs.StatsFs> = (path) =>
  promisify(fs.statfs)(path);
/** mkdir(2), of one folder; `mode` is before the umask. Throws EEXIST if anything has the name. */
export const makeFolder: (path: string, mode: number) => Promise<void> = promisify(fs.mkdir);
/** Names in a folder as UTF-8, in no order, without `.` and `..`: all at once, so memory grows with their number. */
export const readFolder: (path: string) => Promise<string[]> = promisify(fs.readdir);
/** link(2): a second name for a file. Never replaces: throws EEXIST. */
export const link: (from: string, to: string) => Promise<void> = promisify(fs.link);
/** rename(2): replaces what has the name `to`; on POSIX systems the name is never missing in between. */
export const rename: (from: string, to: string) => Promise<void> = promisify(fs.rename);
/** unlink(2): takes a name from a file; folders are refused. */
export const unlink: (path: string) => Promise<void> = promisify(fs.unlink);
/** chmod(2), past the umask. On Windows only the owner's write bit counts. */
export const changeMode: (path: string, mode: number) => Promise<void> = promisify(fs.chmod);
/** Adds to the end of a file, which is made if it is missing. */
export const appendFile: (path: string, text: string, how: { mode: number }) => Promise<void> =
  promisify(fs.appendFile);
/** Times in seconds since 1970. */
export const setTimes: (path: string, accessed: number, modified: number) => Promise<void> =
  promisify(fs.utimes);

// One call moves at most 2^31 - 4096 bytes on Linux; stay well below.
const transferSizeBytesMax = 2 ** 30;
// IOV_MAX; libuv would split too, but a short write in between would then be hard to place.
const partCountMax = 1024;

/** Reads from `position` until `target` is full or the file ends. @returns number of bytes read */
export async function readFully(
  file: number,
  target: Uint8Array,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < target.byteLength) {
    const size = Math.min(target.byteLength - done, transferSizeBytesMax);
    const count = await readOnce(file, target, { offset: done, size, position: position + done });
    if (count === 0) break;
    done += count;
  }
  return done;
}

interface Slice {
  readonly offset: number;
  readonly size: number;
  readonly position: number;
}

function readOnce(file: number, target: Uint8Array, slice: Slice): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(file, target, slice.offset, slice.size, slice.position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

/** Writes all `parts` in order from the start of the file. @returns number of bytes written: all, or it throws */
export async function writeFully(
  file: number,
  parts: readonly Uint8Array[],
  start = 0,
): Promise<number> {
  let rest = parts.filter((part) => part.byteLength > 0);
  let total = 0;
  while (rest.length > 0) {
    const batch = firstBatch(rest);
    const count = await writeOnce(file, batch, start + total);
    total += count;
    rest = afterBytes(rest, count);
  }
  return total;
}

/** With a position: unlike plain writes, which threads also wake one another with, a tracer can tell these. */
function writeOnce(file: number, parts: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(file, parts, position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

function firstBatch(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  let size = 0;
  let count = 0;
  for (const part of parts) {
    size += part.byteLength;
    if (count > 0 && (size > transferSizeBytesMax || count === partCountMax)) break;
    count++;
  }
  return parts.slice(0, count);
}

function afterBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  let index = 0;
  for (const part of parts) {
    if (part.byteLength > skip) break;
    skip -= part.byteLength;
    index++;
  }
  const rest = parts.slice(index);
  const first = rest[0];
  if (first && skip > 0) rest[0] = first.subarray(skip);
  return rest;
}
