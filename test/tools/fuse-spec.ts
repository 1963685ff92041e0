/** How a file of the test file system misbehaves. Sizes and offsets in bytes. */
export interface FuseFile {
  /** What its status says, at first. */
  readonly sizeBytes: number;
  /** What reading gives, if not `sizeBytes`: less as in /sys, more as in /proc, Infinity for no end. */
  readonly contentBytes?: number | 'endless';
  /** Reads that touch `[start, end)` fail with this errno. */
  readonly broken?: { readonly start: number; readonly end: number; readonly errno: number };
  /** Size and times change with each read, for so many readings from the start; default 0. */
  readonly changingReads?: number;
  /** What the size grows by with each reading from the start while it changes; negative: it shrinks. */
  readonly growsBy?: number;
  /** Opening fails with this errno. */
  readonly openErrno?: number;
  /** Its times, in seconds since 1970: those of when it is first asked for; long ago if absent. */
  readonly seconds?: 'first asked';
  /** Its content from the second reading on is another, though its status stays. */
  readonly changesUnseen?: boolean;
  /** The call that never gets an answer. */
  readonly hangs?: 'open' | 'read' | 'getattr' | 'readdir';
  /** It is an empty directory. */
  readonly isDirectory?: boolean;
}

/** The test file system: one directory. `hangs`: nothing in it ever answers. */
export interface FuseSpec {
  readonly files: Readonly<Record<string, FuseFile>>;
  readonly hangs?: boolean;
  /** From the first call that gets no answer on, none does. */
  readonly diesOfHanging?: boolean;
  /** Listing the root fails with this errno. */
  readonly listErrno?: number;
}

/** Byte `offset` of every file. */
export function fuseByte(offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7 + (offset >>> 16)) & 0xff;
}

/** The first bytes of every file. */
export function fuseContent(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) bytes[i] = fuseByte(i);
  return bytes;
}
