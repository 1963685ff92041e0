import { throwIfAborted } from '../../base/abort.ts';
import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type Random, randomBytes } from '../../base/random.ts';
import { joinPieces } from './pieces.ts';
import type { SftpSession } from './sftp-session.ts';
import { hasStatus, ignore } from './translate.ts';
import { openFlags, statusCodes } from './wire.ts';

/** Permission bits of what is written. */
export interface Modes {
  readonly folder: number;
  readonly writing: number;
  readonly final: number;
}

/** Modes of a repository of one user. */
export const privateModes: Modes = { folder: 0o700, writing: 0o600, final: 0o400 };
/** Modes of a repository whose config its group may read. */
export const groupModes: Modes = { folder: 0o770, writing: 0o660, final: 0o440 };

/** How a file is written. */
export interface WriteOptions {
  readonly modes: Modes;
  readonly random: Random;
  /** Replace an existing file instead of FILE_EXISTS. */
  readonly replace: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A file to be written: its path and content. */
export interface NewFile {
  readonly path: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
}

const { noSuchFile, unsupported, failure, badMessage, permissionDenied } = statusCodes;

const extensions = {
  sync: 'fsync@openssh.com',
  link: 'hardlink@openssh.com',
  replace: 'posix-rename@openssh.com',
  space: 'statvfs@openssh.com',
} as const;

/**
 * Writes one file under a temporary name and then gives it its own: exclusive open, write, fsync, look at its size, publish,
 * fsync of the folder. What the server has no request for is left out. On OpenSSH these are three round trips, however
 * large the file is.
 *
 * After any failure nothing new stands under either name, unless the connection is lost: then the whole file may.
 *
 * @throws StatusError; FILE_EXISTS, BACKEND_WRITE_FAILED, STORAGE_FULL, READ_ONLY
 * @see docs/FORMAT.md#writing-a-file
 */
export async function writeFile(
  session: SftpSession,
  file: NewFile,
  options: WriteOptions,
): Promise<void> {
  const folder = holdFolder(session, folderOf(file.path));
  try {
    const temporary = `${file.path}-restic-temp-${toHex(randomBytes(options.random, 16))}`;
    try {
      await fill(session, { ...file, path: temporary }, options);
      throwIfAborted(options.signal);
      await publish(session, { temporary, target: file.path, folder }, options);
    } catch (error) {
      const cause = await explain(session, error, file);
      // Its failure says nothing new: most often there is no such file, or the connection is gone.
      await session.remove(temporary).catch(() => {});
      throw cause;
    }
  } finally {
    void folder.then((handle) => handle && session.closeHandle(handle)).catch(() => {});
  }
}

/** Makes the names in a folder durable, where the server can. */
export async function syncFolder(session: SftpSession, folder: string): Promise<void> {
  const held = holdFolder(session, folder);
  await syncNames(session, held).finally(() => {
    void held.then((handle) => handle && session.closeHandle(handle)).catch(() => {});
  });
}

/** Opens a folder to make its names durable later; undefined where the server cannot. Never rejects. */
async function holdFolder(session: SftpSession, folder: string): Promise<Buffer | undefined> {
  if (!session.offers(extensions.sync)) return undefined;
  return await session.open(folder, openFlags.read).catch(() => undefined);
}

async function syncNames(session: SftpSession, folder: Promise<Buffer | undefined>): Promise<void> {
  const handle = await folder;
  if (!handle) return;
  // OpenSSH says "bad message" for EINVAL, which file systems answer that have nothing to sync in a folder.
  await session.extended(extensions.sync, handle).catch(ignore(unsupported, badMessage));
}

/** Writes the temporary file. All requests behind the first go at once: a server keeps the order of those of one file. */
async function fill(session: SftpSession, file: NewFile, { modes }: WriteOptions): Promise<void> {
  const flags = openFlags.write | openFlags.create | openFlags.exclusive;
  const handle = await session.open(file.path, flags, modes.writing);
  const requests: Promise<unknown>[] = [];
  for (const { offset, parts } of joinPieces(file.parts, session.limits.writeSizeBytes)) {
    requests.push(session.write(handle, offset, parts));
  }
  const anyRefusal = ignore(unsupported, failure, permissionDenied, noSuchFile, badMessage);
  requests.push(session.setMode(handle, modes.final).catch(anyRefusal));
  if (session.offers(extensions.sync)) {
    requests.push(session.extended(extensions.sync, handle).catch(ignore(unsupported)));
  }
  requests.push(session.closeHandle(handle));
  const attributes = session.stat(file.path);
  await allOf([...requests, attributes]);
  const { sizeBytes } = await attributes;
  if (sizeBytes === file.sizeBytes) return;
  throw new HoldfastError('BACKEND_WRITE_FAILED', {
    message: 'the storage wrote a wrong number of bytes',
    details: { expected: file.sizeBytes, written: sizeBytes },
  });
}

/** Waits for all, then throws the first failure: what is still under way reads from memory of the caller. */
async function allOf(requests: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(requests)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

interface Names {
  readonly temporary: string;
  readonly target: string;
  /** Handle of the folder of both. */
  readonly folder: Promise<Buffer | undefined>;
}

/** Servers that have made a link before: then what comes behind it goes in the same round trip. */
const makesLinks = new WeakSet<SftpSession>();

async function publish(session: SftpSession, names: Names, how: WriteOptions): Promise<void> {
  if (!how.replace && session.offers(extensions.link)) {
    if (await linkToOwn(session, names)) return;
  }
  if (how.replace) await replaceFile(session, names);
  else await renameIfAbsent(session, names);
  await syncPublished(session, names, how);
}

/** Unlike a rename, a link never replaces what another process put there meanwhile. @returns false where it cannot */
async function linkToOwn(session: SftpSession, names: Names): Promise<boolean> {
  const { temporary, target } = names;
  const isKnown = makesLinks.has(session);
  const link = session.extended(extensions.link, temporary, target);
  // The file is there; a second name that stays behind is a leftover, not a failure.
  const rest = (): Promise<unknown>[] => [
    session.remove(temporary).catch(() => {}),
    syncNames(session, names.folder),
  ];
  const ahead = isKnown ? allOf(rest()) : undefined;
  ahead?.catch(() => {});
  try {
    await link;
  } catch (error) {
    makesLinks.delete(session);
    if (!hasStatus(error, failure, unsupported, permissionDenied, badMessage)) throw error;
    if (await isThere(session, target)) throw new HoldfastError('FILE_EXISTS', at(target));
    if (isKnown) throw error;
    return false;
  }
  makesLinks.add(session);
  await removeIfNotDurable(session, target, () => ahead ?? allOf(rest()));
  return true;
}

async function syncPublished(session: SftpSession, names: Names, how: WriteOptions): Promise<void> {
  const work = (): Promise<void> => syncNames(session, names.folder);
  // What was replaced is gone: the new file is all there is, and it is synced.
  if (how.replace) await work();
  else await removeIfNotDurable(session, names.target, work);
}

async function removeIfNotDurable(
  session: SftpSession,
  target: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    await session.remove(target).catch(() => {});
    throw error;
  }
}

async function replaceFile(session: SftpSession, { temporary, target }: Names): Promise<void> {
  if (session.offers(extensions.replace)) {
    return await session.extended(extensions.replace, temporary, target);
  }
  // Nothing else is left on such a server, and the new file is whole by now.
  await session.remove(target).catch(ignore(noSuchFile));
  await session.rename(temporary, target);
}

/** By the protocol a rename refuses a target that exists; not every server keeps to it, so it is looked at before. */
async function renameIfAbsent(session: SftpSession, { temporary, target }: Names): Promise<void> {
  if (await isThere(session, target)) throw new HoldfastError('FILE_EXISTS', at(target));
  try {
    await session.rename(temporary, target);
  } catch (error) {
    const isRefused = hasStatus(error, failure, permissionDenied, badMessage);
    if (isRefused && (await isThere(session, target))) {
      throw new HoldfastError('FILE_EXISTS', at(target));
    }
    throw error;
  }
}

async function isThere(session: SftpSession, path: string): Promise<boolean> {
  const found = await session.stat(path).catch(ignore(noSuchFile, permissionDenied));
  return found !== undefined;
}

const isReadOnlyFlag = 1;

/**
 * OpenSSH says "failure" whether the disk is full, broken or read-only: asks how full it is.
 * @param file that was to be written or removed, and the bytes that it needs
 * @returns STORAGE_FULL, READ_ONLY, or `error` where nothing more can be said
 */
export async function explain(
  session: SftpSession,
  error: unknown,
  file: { readonly path: string; readonly sizeBytes: number },
): Promise<unknown> {
  if (!hasStatus(error, failure) || !session.offers(extensions.space)) return error;
  const numbers = await session
    .numbers(extensions.space, folderOf(file.path))
    .catch(() => undefined);
  if (!numbers) return error;
  const [, blockBytes = 0, , , freeBlocks = 0, inodes = 0, , freeInodes = 0, , flags = 0] = numbers;
  const details = { details: { path: file.path }, cause: error };
  if (flags % 2 === isReadOnlyFlag) return new HoldfastError('READ_ONLY', details);
  const isFull = freeBlocks * blockBytes < file.sizeBytes || (inodes > 0 && freeInodes === 0);
  return isFull ? new HoldfastError('STORAGE_FULL', details) : error;
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, Math.max(1, slash));
}

function at(path: string): { readonly details: { readonly path: string } } {
  return { details: { path } };
}
