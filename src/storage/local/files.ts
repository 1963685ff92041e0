import * as fs from 'node:fs';
import { promisify } from 'node:util';

// Callbacks, not fs.promises: a FileHandle costs about twice as much a call. All run in libuv's thread pool, so that a
// slow or dead mount does not stop the main thread.

export const openFile: (path: string, flags: number, mode?: number) => Promise<number> = promisify(
  fs.open,
);
export const closeFile: (file: number) => Promise<void> = promisify(fs.close);
export const syncFile: (file: number) => Promise<void> = promisify(fs.fsync);
export const statusOf: (file: number) => Promise<fs.Stats> = promisify(fs.fstat);
export const status: (path: string) => Promise<fs.Stats> = promisify(fs.stat);
export const fileSystemOf: (path: string) => Promise<fs.StatsFs> = (path) =>
  promisify(fs.statfs)(path);
export const makeFolder: (path: string, mode: number) => Promise<void> = promisify(fs.mkdir);
export const readFolder: (path: string) => Promise<string[]> = promisify(fs.readdir);
export const link: (from: string, to: string) => Promise<void> = promisify(fs.link);
export const rename: (from: string, to: string) => Promise<void> = promisify(fs.rename);
export const unlink: (path: string) => Promise<void> = promisify(fs.unlink);
export const changeMode: (path: string, mode: number) => Promise<void> = promisify(fs.chmod);
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
export async function writeFully(file: number, parts: readonly Uint8Array[]): Promise<number> {
  let rest = parts.filter((part) => part.byteLength > 0);
  let total = 0;
  while (rest.length > 0) {
    const batch = firstBatch(rest);
    const count = await writeOnce(file, batch, total);
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
