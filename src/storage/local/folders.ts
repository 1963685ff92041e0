import path from 'node:path';

import { HoldfastError, systemCode } from '../../base/errors.ts';
import { makeFolder, status } from './files.ts';
import { fanNames, type Layout } from '../layout.ts';
import { ignore, syncFolder } from './write-file.ts';

/** Makes the root, the folders of all types and the 256 folders of fanned-out types, and makes their names durable. */
export async function createFolders(root: string, layout: Layout, mode: number): Promise<void> {
  await makeFolders(root, { mode, durable: true });
  for (const [type, folder] of Object.entries(layout.folders)) {
    const isLater = layout.madeLater?.some((later) => later === type) ?? false;
    if (folder === '' || isLater) continue;
    const parent = path.join(root, folder);
    await makeFolder(parent, mode).catch(ignoreExistingFolder(parent));
    if (!layout.fannedOut.some((fanned) => fanned === type)) continue;
    await Promise.all(
      fanNames.map(async (name) => {
        const fan = path.join(parent, name);
        await makeFolder(fan, mode).catch(ignoreExistingFolder(fan));
      }),
    );
    await syncFolder(parent);
  }
  await syncFolder(root);
}

/**
 * Makes a folder and those above it that are missing, each once: Node's own way (`recursive`) never ends where a folder
 * that exists takes no new ones and says ENOENT, as `/proc` does.
 *
 * @returns true if it was missing
 * @throws LOCATION_INVALID if a file is in the way, or no folder can be made there; or what `node:fs` throws
 */
export async function makeFolders(
  folder: string,
  options: { readonly mode: number; readonly durable: boolean },
): Promise<boolean> {
  const there = await status(folder).catch(ignore('ENOENT'));
  if (there?.isDirectory()) return false;
  if (there) throw fileInTheWay(folder);
  const parent = path.dirname(folder);
  if (parent !== folder) await makeFolders(parent, options);
  const isMade = await makeFolder(folder, options.mode).then(
    () => true,
    async (error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw noFolderHere(folder, error);
      await ignoreExistingFolder(folder)(error);
      return false;
    },
  );
  // The parent may be one that we may not read; then its durability is not ours to give.
  if (options.durable) await syncFolder(parent).catch(ignore('EACCES', 'EPERM'));
  return isMade;
}

/**
 * Makes the folders on the way from `root` to a file that is about to be written, where they are missing.
 *
 * Never makes the root, and with `needsConfig` nothing below one without a config or keys: a disk that was unplugged leaves an
 * empty mount point, and what is written there would be lost.
 *
 * @throws REPOSITORY_NOT_FOUND
 */
export async function makeMissingFolders(
  root: string,
  folders: readonly string[],
  options: { readonly mode: number; readonly needsConfig: boolean },
): Promise<void> {
  const isInside = options.needsConfig && folders.length > 0;
  const proofs = isInside ? ['config', 'keys'].map((name) => path.join(root, name)) : [root];
  if (!(await isAnyThere(proofs))) {
    throw new HoldfastError('REPOSITORY_NOT_FOUND', {
      message: 'the repository is no longer at its location',
      hint: 'Check that its disk is mounted.',
      details: { path: root },
    });
  }
  let parent = root;
  for (const folder of folders) {
    const child = path.join(parent, folder);
    await makeFolder(child, options.mode).catch(ignoreExistingFolder(child));
    await syncFolder(parent);
    parent = child;
  }
}

async function isAnyThere(places: readonly string[]): Promise<boolean> {
  for (const place of places) {
    if (await status(place).catch(ignore('ENOENT'))) return true;
  }
  return false;
}

function noFolderHere(folder: string, cause: unknown): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'no folder can be made here',
    details: { path: folder },
    cause,
  });
}

function ignoreExistingFolder(folder: string): (error: unknown) => Promise<void> {
  return async (error) => {
    ignore('EEXIST')(error);
    if ((await status(folder)).isDirectory()) return;
    throw fileInTheWay(folder);
  };
}

function fileInTheWay(folder: string): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'a file stands where a folder is needed',
    details: { path: folder },
  });
}
