import { attempt, errnoOf, failure, type Linux } from './context.ts';

const seekWhence = { data: 3, hole: 4 } as const;
const fallocateMode = { keepSize: 1, punchHole: 2 } as const;

/**
 * First byte of data or of a hole at or after `position`; undefined if there is none; -1 if the file system cannot
 * tell. Moves the offset of the file.
 */
export function seekLinux(
  linux: Linux,
  { file, position }: { file: number; position: number },
  what: 'data' | 'hole',
): number | undefined {
  const result = attempt(linux, () => linux.libc.lseek(file, position, seekWhence[what]));
  if (result >= 0) return result;
  if (result === -errnoOf.ENXIO) return undefined;
  if (result === -errnoOf.EINVAL || result === -errnoOf.ENOTSUP) return -1;
  throw failure({ call: 'lseek', place: file }, -result);
}

/** Frees the bytes [start, end), which then read as zeros; the size stays. False where that is not possible. */
export function punchHoleLinux(
  linux: Linux,
  file: number,
  { start, end }: { start: number; end: number },
): boolean {
  const mode = fallocateMode.punchHole | fallocateMode.keepSize;
  return allocateRange(linux, file, { mode, start, sizeBytes: end - start });
}

/** Reserves room for the first `sizeBytes` bytes; the size stays. False where that is not possible. */
export function allocateLinux(linux: Linux, file: number, sizeBytes: number): boolean {
  return allocateRange(linux, file, { mode: fallocateMode.keepSize, start: 0, sizeBytes });
}

function allocateRange(
  linux: Linux,
  file: number,
  { mode, start, sizeBytes }: { mode: number; start: number; sizeBytes: number },
): boolean {
  const result = attempt(linux, () => linux.libc.fallocate(file, mode, start, sizeBytes));
  if (result >= 0) return true;
  if (result === -errnoOf.ENOTSUP || result === -errnoOf.ENOSYS) return false;
  throw failure({ call: 'fallocate', place: file }, -result);
}
