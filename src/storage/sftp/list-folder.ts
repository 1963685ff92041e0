import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type FileStat, type FileType, isFileName } from '../backend.ts';
import { fanNames, folderOf, type Layout } from '../layout.ts';
import type { FolderEntry, SftpSession } from './sftp-session.ts';
import { hasStatus, ignore } from './translate.ts';
import { type Attributes, statusCodes } from './wire.ts';

/** What is listed of a repository. */
export interface ListOptions {
  readonly layout: Layout;
  readonly type: FileType;
  readonly signal?: AbortSignal | undefined;
  /** Names in one folder, of files of the repository or not. */
  readonly entriesMax?: number;
}

/** Opened, read and closed at the same time: with 50 ms to the server, all 256 are listed in a second. */
const foldersAheadMax = 32;
/** A folder with more is no repository's, and a server could go on for ever. */
const entriesMaxDefault = 2_000_000;
const leftoverPattern = /^(?:[0-9a-f]{64}|config)(?:-tmp-[0-9]+|-restic-temp-[0-9a-f]{32})$/;

const { noSuchFile, failure } = statusCodes;

/** Lists the files of one type below `root`. @throws StatusError, PROTOCOL_BROKEN */
export async function* listFiles(
  session: SftpSession,
  root: string,
  options: ListOptions,
): AsyncGenerator<FileStat, void, undefined> {
  const { layout, type, signal } = options;
  throwIfAborted(signal);
  if (type === 'config') {
    const found = await session.stat(join(root, 'config')).catch(ignore(noSuchFile));
    if (found && isFile(found)) yield { name: '', sizeBytes: found.sizeBytes };
    return;
  }
  const ahead: Promise<FileStat[]>[] = [];
  try {
    for (const folder of foldersOf(root, layout, type)) {
      const read = readFiles(session, folder, options);
      // It may fail before its turn comes; the failure is thrown then.
      read.catch(() => {});
      ahead.push(read);
      if (ahead.length < foldersAheadMax) continue;
      yield* (await ahead.shift()) ?? [];
      throwIfAborted(signal);
    }
    while (ahead.length > 0) yield* (await ahead.shift()) ?? [];
  } finally {
    // Left early: the rest must not go on unseen.
    await Promise.allSettled(ahead);
  }
}

/** Paths of files that interrupted writes left behind and that were last changed before `changedBeforeMs`. */
export async function findLeftovers(
  session: SftpSession,
  root: string,
  options: Omit<ListOptions, 'type'> & { readonly changedBeforeMs: number },
): Promise<string[]> {
  const found: string[] = [];
  for (const folder of allFolders(root, options.layout)) {
    throwIfAborted(options.signal);
    for await (const { name, attributes } of readEntries(session, folder, options)) {
      const { modifiedSeconds = Number.MAX_SAFE_INTEGER } = attributes;
      const isOld = modifiedSeconds * 1000 < options.changedBeforeMs;
      if (isOld && leftoverPattern.test(name)) found.push(join(folder, name));
    }
  }
  return found;
}

/** Joins two parts of a path of the server; the first may be `''`, the login folder. */
export function join(folder: string, name: string): string {
  if (folder === '') return name;
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`;
}

type ReadOptions = Pick<ListOptions, 'signal' | 'entriesMax'>;

interface Folder {
  readonly path: string;
  /** What names in it start with: a file in a wrong folder cannot be read, so it is not listed either. */
  readonly prefix: string;
}

function foldersOf(root: string, layout: Layout, type: FileType): Folder[] {
  const folder = join(root, folderOf(layout, type));
  if (!layout.fannedOut.includes(type)) return [{ path: folder, prefix: '' }];
  return fanNames.map((name) => ({ path: join(folder, name), prefix: name }));
}

function allFolders(root: string, layout: Layout): Set<string> {
  const folders = Object.values(layout.folders).map((folder) =>
    folder ? join(root, folder) : root,
  );
  const fans = layout.fannedOut.flatMap((type) => foldersOf(root, layout, type));
  return new Set([...folders, ...fans.map(({ path }) => path)]);
}

async function readFiles(
  session: SftpSession,
  { path, prefix }: Folder,
  options: ReadOptions,
): Promise<FileStat[]> {
  const files: FileStat[] = [];
  const unclear: string[] = [];
  for await (const { name, attributes } of readEntries(session, path, options)) {
    if (!name.startsWith(prefix) || !isFileName(name)) continue;
    if (isFile(attributes)) files.push({ name, sizeBytes: attributes.sizeBytes });
    else if (attributes.kind === 'link' || attributes.kind === undefined) unclear.push(name);
  }
  for (const name of unclear) {
    const found = await session.stat(join(path, name)).catch(ignore(noSuchFile));
    if (found && isFile(found)) files.push({ name, sizeBytes: found.sizeBytes });
  }
  return files;
}

/** The entries of a folder, `.` and `..` included; none if it is missing, or a plain file. */
async function* readEntries(
  session: SftpSession,
  path: string,
  { signal, entriesMax = entriesMaxDefault }: ReadOptions,
): AsyncGenerator<FolderEntry, void, undefined> {
  const handle = await session
    .openFolder(path === '' ? '.' : path)
    .catch(async (error: unknown) => {
      if (!hasStatus(error, noSuchFile) && !(await isPlainFile(session, path, error))) throw error;
      return undefined;
    });
  if (!handle) return;
  try {
    for (let count = 0; ; ) {
      const entries = await session.readFolder(handle);
      if (entries.length === 0) return;
      count += entries.length;
      if (count > entriesMax) throw endless(path, entriesMax);
      yield* entries;
      throwIfAborted(signal);
    }
  } finally {
    session.closeHandle(handle).catch(() => {});
  }
}

/** OpenSSH says "failure" for a file in place of a folder. */
async function isPlainFile(session: SftpSession, path: string, error: unknown): Promise<boolean> {
  if (!hasStatus(error, failure)) return false;
  const found = await session.stat(path).catch(() => undefined);
  return found !== undefined && isFile(found);
}

function isFile(attributes: Attributes): attributes is Attributes & { sizeBytes: number } {
  return attributes.kind === 'file' && attributes.sizeBytes !== undefined;
}

function endless(path: string, entriesMax: number): HoldfastError {
  return new HoldfastError('PROTOCOL_BROKEN', {
    message: `the server lists more than ${entriesMax} names in one folder`,
    details: { path },
  });
}
