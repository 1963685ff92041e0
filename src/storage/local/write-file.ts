import { constants } from 'node:fs';
import path from 'node:path';

import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { type Random, randomBelow } from '../../base/random.ts';
import {
  changeMode,
  closeFile,
  link,
  openFile,
  rename,
  status,
  syncFile,
  unlink,
  writeFully,
} from './files.ts';

/** Permission bits of what is written. The umask applies to the first two. */
export interface Modes {
  readonly folder: number;
  readonly writing: number;
  readonly final: number;
}

/** Modes of a repository of one user. */
export const privateModes: Modes = { folder: 0o700, writing: 0o600, final: 0o400 };
/** Modes where the group may read the config: the group gets what the owner has, as in restic. */
export const groupModes: Modes = { folder: 0o770, writing: 0o660, final: 0o440 };

/** How one file is written: under which name first, with which modes, and how durably. */
export interface WriteOptions {
  readonly modes: Modes;
  readonly random: Random;
  /** Name while it is written, from a random number. */
  readonly temporaryName: (number: number) => string;
  /** Replace an existing file instead of FILE_EXISTS. */
  readonly replace: boolean;
  /** Others may want the name at the same time, for something else. Other names say what stands in the file. */
  readonly isContended: boolean;
  /** Wait until file and name are on the disk. */
  readonly durable: boolean;
  readonly signal?: AbortSignal | undefined;
}

const temporaryNameTries = 10;

/**
 * Writes one file under a temporary name and then gives it its own, as restic does: O_EXCL, write, count, fsync, close,
 * publish, fsync of the folder, read-only mode. After any failure nothing new stands under either name, but for what has
 * replaced a file already; so a later attempt always starts with a new file, which matters after a failed fsync (the kernel drops the pages, and the next fsync of
 * the same file succeeds without them: Rebello et al., ATC 2020).
 *
 * @throws system errors untranslated; FILE_EXISTS
 * @see docs/FORMAT.md#writing-a-file
 */
export async function writeFile(
  target: string,
  parts: readonly Uint8Array[],
  options: WriteOptions,
): Promise<void> {
  const folder = path.dirname(target);
  const temporary = await openTemporary(folder, options);
  try {
    await fill(temporary.file, parts, options);
    throwIfAborted(options.signal);
    await publish(temporary.path, target, options);
  } catch (error) {
    await unlink(temporary.path).catch(() => {});
    throw error;
  }
  try {
    if (options.durable) await syncFolder(folder);
  } catch (error) {
    // What was replaced is gone: the new file is all there is, and it is synced.
    if (!options.replace) await unlink(target).catch(() => {});
    throw error;
  }
  await changeMode(target, options.modes.final).catch(ignore('EPERM', 'EACCES', 'ENOTSUP'));
}

/** Makes the file that is written, under a name that nobody has. @throws system errors untranslated */
export async function openTemporary(
  folder: string,
  options: Pick<WriteOptions, 'modes' | 'random' | 'temporaryName'>,
): Promise<{ file: number; path: string }> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  for (let attempt = 1; ; attempt++) {
    const name = options.temporaryName(randomBelow(options.random, 2 ** 32));
    const temporaryPath = path.join(folder, name);
    try {
      return {
        file: await openFile(temporaryPath, flags, options.modes.writing),
        path: temporaryPath,
      };
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || attempt === temporaryNameTries) throw error;
    }
  }
}

async function fill(
  file: number,
  parts: readonly Uint8Array[],
  options: WriteOptions,
): Promise<void> {
  try {
    const expected = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const written = await writeFully(file, parts);
    if (written !== expected) {
      throw new HoldfastError('BACKEND_WRITE_FAILED', {
        message: 'the storage wrote a wrong number of bytes',
        details: { expected, written },
      });
    }
    if (options.durable) await syncFile(file).catch(ignore('ENOTSUP'));
  } catch (error) {
    await closeFile(file).catch(() => {});
    throw error;
  }
  await closeFile(file);
}

// File systems without hard links answer one of these.
const noHardLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'];

/** Gives a file that is written whole its own name. @throws system errors untranslated; FILE_EXISTS */
export async function publish(
  temporary: string,
  target: string,
  how: Pick<WriteOptions, 'replace' | 'isContended'>,
): Promise<void> {
  if (how.replace) return await replaceFile(temporary, target);
  try {
    // Unlike a rename, a link never replaces what another process put there meanwhile.
    await link(temporary, target);
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'EEXIST' && (await isSameFile(temporary, target))) {
      // A network file system made the link, lost the answer and asked again.
    } else if (noHardLinks.includes(code)) {
      return await (how.isContended ? renameToOwn : renameIfAbsent)(temporary, target);
    } else throw error;
  }
  // The file is there; a second name that stays behind is a leftover, not a failure.
  await unlink(temporary).catch(() => {});
}

async function replaceFile(temporary: string, target: string): Promise<void> {
  if (process.platform === 'win32') await changeMode(target, 0o600).catch(ignore('ENOENT'));
  await rename(temporary, target);
}

async function renameIfAbsent(temporary: string, target: string): Promise<void> {
  const existing = await status(target).catch(ignore('ENOENT'));
  if (existing) throw new HoldfastError('FILE_EXISTS', { details: { path: target } });
  await rename(temporary, target);
}

/** Takes the name first, with an empty file: of two who want it at once, one alone gets it. */
async function renameToOwn(temporary: string, target: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  await closeFile(await openFile(target, flags, 0o600));
  try {
    await rename(temporary, target);
  } catch (error) {
    await unlink(target).catch(() => {});
    throw error;
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([status(a), status(b)]);
  return first.dev === second.dev && first.ino === second.ino && first.ino !== 0;
}

/** Makes the names in a folder durable, where the file system can. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const file = await openFile(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncNames(file);
  } finally {
    await closeFile(file);
  }
}

/** As `syncFolder`, of a folder that is open. */
export async function syncNames(folder: number): Promise<void> {
  await syncFile(folder).catch(ignore('ENOTSUP', 'EINVAL', 'ENOENT'));
}

/** A rejection handler that lets errors with these codes pass as `undefined`. */
export function ignore(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error;
    return undefined;
  };
}
