import type { Stats } from 'node:fs';
import path from 'node:path';

import { throwIfAborted } from '../../base/abort.ts';
import { type FileStat, type FileType, isFileName } from '../backend.ts';
import { readFolder, status, unlink } from './files.ts';
import { fanNames, folderOf, type Layout } from '../layout.ts';
import { ignore } from './write-file.ts';

/** Which files are listed, and by which layout their folders are named. */
export interface ListOptions {
  readonly layout: Layout;
  readonly type: FileType;
  readonly signal?: AbortSignal | undefined;
}

// Enough to keep the four threads of libuv's pool busy.
const foldersAheadMax = 4;
const statusCallsMax = 256;

/** Lists the files of one type below `root`. @throws system errors untranslated */
export async function* listFiles(
  root: string,
  options: ListOptions,
): AsyncGenerator<FileStat, void, undefined> {
  const { layout, type, signal } = options;
  throwIfAborted(signal);
  if (type === 'config') {
    const found = await status(path.join(root, 'config')).catch(ignore('ENOENT'));
    if (found?.isFile()) yield { name: '', sizeBytes: found.size };
    return;
  }
  const ahead: Promise<FileStat[]>[] = [];
  try {
    for (const folder of foldersOf(root, layout, type)) {
      const read = readFiles(folder.path, folder.prefix);
      // It may fail before its turn comes; the failure is thrown then.
      read.catch(() => {});
      ahead.push(read);
      if (ahead.length < foldersAheadMax) continue;
      throwIfAborted(signal);
      yield* (await ahead.shift()) ?? [];
    }
    while (ahead.length > 0) yield* (await ahead.shift()) ?? [];
  } finally {
    // Left early: the rest must neither go on unseen nor fail unheard.
    await Promise.allSettled(ahead);
  }
}

interface Folder {
  readonly path: string;
  /** What names in it start with: a file in a wrong folder cannot be read, so it is not listed either. */
  readonly prefix: string;
}

function foldersOf(root: string, layout: Layout, type: FileType): Folder[] {
  const folder = path.join(root, folderOf(layout, type));
  if (!layout.fannedOut.includes(type)) return [{ path: folder, prefix: '' }];
  return fanNames.map((name) => ({ path: path.join(folder, name), prefix: name }));
}

/**
 * The files that were there at one instant. One that is gone when it is looked at may have got a successor that the names do
 * not have, as the lock of who renews it: then they are read again.
 */
async function readFiles(folder: string, prefix: string): Promise<FileStat[]> {
  // Also links to nowhere, which stay.
  const gone = new Set<string>();
  for (;;) {
    // A plain file in place of `data/ab` is ignored, one in place of `data` is not.
    const present = await readNames(folder).catch(ignore(...(prefix === '' ? [] : ['ENOTDIR'])));
    const isWanted = (name: string): boolean =>
      name.startsWith(prefix) && isFileName(name) && !gone.has(name);
    const { size } = gone;
    const files = await lookAt(folder, (present ?? []).filter(isWanted), gone);
    if (gone.size === size) return files;
  }
}

/** Those of the names that are files. @param gone gets those that are not there any more */
async function lookAt(
  folder: string,
  names: readonly string[],
  gone: Set<string>,
): Promise<FileStat[]> {
  const files: FileStat[] = [];
  for (let start = 0; start < names.length; start += statusCallsMax) {
    const batch = names.slice(start, start + statusCallsMax);
    const found = await Promise.all(batch.map((name) => statusIfAny(path.join(folder, name))));
    for (const [index, name] of batch.entries()) {
      const entry = found[index];
      if (!entry) gone.add(name);
      else if (entry.isFile()) files.push({ name, sizeBytes: entry.size });
    }
  }
  return files;
}

/** Names in a folder; none if it is missing. */
async function readNames(folder: string): Promise<string[]> {
  return (await readFolder(folder).catch(ignore('ENOENT'))) ?? [];
}

async function statusIfAny(file: string): Promise<Stats | undefined> {
  return await status(file).catch(ignore('ENOENT'));
}

/** Age from which on nobody can be writing a temporary file any more. */
export const leftoverAgeMsMin: number = 24 * 3600 * 1000;

// What interrupted writes of this program, of restic (local, sftp) and of rest-server are called.
const temporaryPattern =
  /^(?:[0-9a-f]{64}|config)(?:-tmp-[0-9]+|-restic-temp-[0-9a-f]{32}|\.rest-server-temp[0-9]+)$|^tmp-[0-9]+$/;

/** True for the name of a file that is being written, or that an interrupted write left. */
export function isTemporaryName(name: string): boolean {
  return temporaryPattern.test(name);
}

/** Removes temporary files last changed before `changedBeforeMs`. @returns their number */
export async function removeOldTemporaries(
  root: string,
  options: Omit<ListOptions, 'type'> & { readonly changedBeforeMs: number },
): Promise<number> {
  let count = 0;
  for (const folder of temporaryFolders(root, options.layout)) {
    throwIfAborted(options.signal);
    const present = (await readNames(folder).catch(ignore('ENOTDIR'))) ?? [];
    const names = present.filter(isTemporaryName);
    for (const name of names) {
      const file = path.join(folder, name);
      const entry = await statusIfAny(file);
      if (!entry?.isFile() || entry.mtimeMs >= options.changedBeforeMs) continue;
      await unlink(file).catch(ignore('ENOENT'));
      count++;
    }
  }
  return count;
}

function temporaryFolders(root: string, layout: Layout): string[] {
  const folders = Object.values(layout.folders).map((folder) => path.join(root, folder));
  const fans = layout.fannedOut.flatMap((type) => foldersOf(root, layout, type));
  return [...new Set([...folders, ...fans.map((fan) => fan.path)])];
}
