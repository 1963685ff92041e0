import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { ByteWriter } from '../engine/dump.ts';
import { setMode, setOwner } from '../platform/attributes.ts';
import { DraftFile } from '../platform/draft-file.ts';
import { closeFile, openFile, resolvePath, writeAt } from '../platform/files.ts';
import { printablePath } from '../platform/place.ts';
import { type FileStatus, tryReadStatus } from '../platform/status.ts';
import type { Sink } from './output.ts';

/** Permissions of a new file, subject to the umask. */
const newFileMode = 0o666;

/** How standard output is written: neither archives nor other binary data go to a terminal. */
export function toOutput(stdout: Sink): [write: ByteWriter, onFolder?: () => void] {
  if (!stdout.isTerminal) return [(bytes) => stdout.writeAll(bytes)];
  let isFirst = true;
  const write: ByteWriter = (bytes) => {
    if (isFirst && bytes.includes(0)) refuseBinary();
    isFirst = false;
    return stdout.writeAll(bytes);
  };
  return [write, refuseBinary];
}

function refuseBinary(): never {
  throw new HoldfastError('USAGE', {
    message: 'standard output is the terminal, which binary data is not for',
    hint: 'Redirect the output, or name a file with --target.',
  });
}

/**
 * Lets `work` write to the file of `--target`. A file appears there, or replaces the one that is there, when it is whole; a
 * device or a FIFO gets the bytes as they come.
 * @throws TARGET_FAILED, and what `work` throws
 */
export async function toFile(
  target: Uint8Array,
  work: (write: ByteWriter) => Promise<void>,
): Promise<void> {
  const place = resolvePath(target) ?? target;
  const existing = tryReadStatus(place);
  if (existing?.kind === 'directory') throw failed('is a folder', place);
  // What is no file, and a link to nothing: as the system writes there.
  const draft = existing && existing.kind !== 'file' ? undefined : openDraft(place, existing);
  if (!draft) return writeStraight(place, work);
  try {
    await work((bytes) => writeAt(draft.file, bytes));
    if (existing) takeOver(draft.file, existing);
    draft.publish();
  } finally {
    draft.discard();
  }
}

/** @returns undefined if nothing may be made beside the existing file, which may be written all the same */
function openDraft(place: Uint8Array, existing: FileStatus | undefined): DraftFile | undefined {
  try {
    return DraftFile.create(place, newFileMode);
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND'))
      throw failed('is in no folder that exists', place);
    if (existing && isHoldfastError(error, 'PERMISSION_DENIED', 'READ_ONLY')) return undefined;
    // The name that the file has while it is written says nothing to anybody.
    const details = { path: printablePath(place) };
    throw isHoldfastError(error) ? new HoldfastError(error.code, { details }) : error;
  }
}

/** Gives the new file owner and permissions of the one that it replaces, the owner as far as that is allowed. */
function takeOver(file: number, { uid, gid, mode }: FileStatus): void {
  try {
    setOwner(file, { uid, gid });
  } catch (error) {
    if (!isHoldfastError(error, 'PERMISSION_DENIED')) throw error;
  }
  setMode(file, mode & 0o777);
}

/** Opens, which empties a file that is there, with the first bytes: not for a path that the snapshot does not have. */
async function writeStraight(
  place: Uint8Array,
  work: (write: ByteWriter) => Promise<void>,
): Promise<void> {
  let file: number | undefined;
  const opened = (): number => {
    file ??= openFile(place, {
      write: true,
      create: true,
      truncate: true,
      mode: newFileMode,
      noFollow: false,
      nonBlocking: false,
    });
    return file;
  };
  try {
    await work((bytes) => writeAt(opened(), bytes));
    // A file without content has no first bytes.
    opened();
  } finally {
    if (file !== undefined) closeFile(file);
  }
}

function failed(what: string, place: Uint8Array): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: `the target ${what}`,
    details: { path: printablePath(place) },
  });
}
