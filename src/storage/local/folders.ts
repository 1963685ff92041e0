import path from 'node:path';

import { HoldfastError } from '../../base/errors.ts';
import { makeFolder, status } from './files.ts';
import { fanNames, type Layout } from './layout.ts';
import { ignore, syncFolder } from './write-file.ts';

/** Makes the root, the folders of all types and the 256 folders of fanned-out types, and makes their names durable. */
export async function createFolders(root: string, layout: Layout, mode: number): Promise<void> {
  await makeRoot(root, mode);
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

async function makeRoot(root: string, mode: number): Promise<void> {
  if (await status(root).catch(ignore('ENOENT'))) return;
  const parent = path.dirname(root);
  if (parent !== root) await makeRoot(parent, mode);
  await makeFolder(root, mode).catch(ignoreExistingFolder(root));
  // The parent may be one that we may not read; then its durability is not ours to give.
  await syncFolder(parent).catch(ignore('EACCES', 'EPERM'));
}

function ignoreExistingFolder(folder: string): (error: unknown) => Promise<void> {
  return async (error) => {
    ignore('EEXIST')(error);
    if ((await status(folder)).isDirectory()) return;
    throw new HoldfastError('LOCATION_INVALID', {
      message: 'a file stands where the repository needs a folder',
      details: { path: folder },
    });
  };
}
