import type { EntryPlace, Place } from '../place.ts';

/**
 * Paths of descriptors opened here, where the system cannot resolve a name below a descriptor. Each thread knows only
 * those that it opened itself.
 */
const openedPaths = new Map<number, Buffer>();

const hasMagicPaths = process.platform === 'linux';

/** Notes the path a descriptor was opened by. */
export function rememberPath(file: number, path: Buffer): void {
  if (!hasMagicPaths) openedPaths.set(file, path);
}

/** Forgets the path of a descriptor, before its number is free for others. */
export function forgetPath(file: number): void {
  openedPaths.delete(file);
}

/** A path for calls that take no descriptor. On Linux `/proc/self/fd/N/name`, which is as safe as the `*at` calls. */
export function pathOf(place: Place): Buffer {
  if (place instanceof Uint8Array) {
    return Buffer.from(place.buffer, place.byteOffset, place.byteLength);
  }
  if (typeof place === 'number') return pathOfDescriptor(place);
  return joinName(pathOfDescriptor(place.directory), place);
}

function joinName(base: Buffer, { name }: EntryPlace): Buffer {
  return Buffer.concat([base, Buffer.from('/'), name]);
}

function pathOfDescriptor(file: number): Buffer {
  if (hasMagicPaths) return Buffer.from(`/proc/self/fd/${file}`);
  // The fallback is a path that cannot exist: an unknown descriptor gives FILE_NOT_FOUND.
  return openedPaths.get(file) ?? Buffer.from(`/dev/null/descriptor-${file}`);
}
