import { HoldfastError } from '../../base/errors.ts';
import { fanNames, type Layout } from '../layout.ts';
import { join } from './list-folder.ts';
import type { SftpSession } from './sftp-session.ts';
import { ignore } from './translate.ts';
import { StatusError } from './sftp-session.ts';
import { statusCodes } from './wire.ts';
import { syncFolder } from './write-file.ts';

const { noSuchFile, unsupported } = statusCodes;

/** Makes the root, the folders of all types and the 256 folders of fanned-out types. */
export async function createFolders(
  session: SftpSession,
  root: string,
  how: { readonly layout: Layout; readonly mode: number },
): Promise<void> {
  const { layout, mode } = how;
  if (root !== '') await makeRoot(session, root, mode);
  for (const [type, folder] of Object.entries(layout.folders)) {
    const isLater = layout.madeLater?.some((later) => later === type) ?? false;
    if (folder === '' || isLater) continue;
    const parent = join(root, folder);
    await makeFolder(session, parent, mode);
    if (!layout.fannedOut.some((fanned) => fanned === type)) continue;
    await Promise.all(fanNames.map((name) => makeFolder(session, join(parent, name), mode)));
    await syncFolder(session, parent);
  }
  await syncFolder(session, root === '' ? '.' : root);
}

/**
 * Makes the folders on the way from `root` to a file that is about to be written, where they are missing.
 *
 * Never makes the root, and nothing below one without a config or keys: a disk that was unplugged leaves an empty mount point,
 * and what is written there would be lost.
 *
 * @throws REPOSITORY_NOT_FOUND
 */
export async function makeMissingFolders(
  session: SftpSession,
  root: string,
  how: { readonly folders: readonly string[]; readonly mode: number },
): Promise<void> {
  const proofs =
    how.folders.length > 0 ? ['config', 'keys'].map((name) => join(root, name)) : [root];
  const found = await Promise.all(
    proofs.map((proof) => session.stat(proof === '' ? '.' : proof).catch(ignore(noSuchFile))),
  );
  if (found.every((one) => one === undefined)) {
    throw new HoldfastError('REPOSITORY_NOT_FOUND', {
      message: 'the repository is no longer at its location',
      hint: 'Check that its disk is mounted on the server.',
      details: { path: root },
    });
  }
  let parent = root;
  for (const folder of how.folders) {
    const child = join(parent, folder);
    await makeFolder(session, child, how.mode);
    await syncFolder(session, parent === '' ? '.' : parent);
    parent = child;
  }
}

/** Makes the root and what is missing above it, from the top down. */
async function makeRoot(session: SftpSession, root: string, mode: number): Promise<void> {
  const there = await session.stat(root).catch(ignore(noSuchFile));
  if (there) {
    if (there.kind === 'folder' || there.kind === undefined) return;
    throw fileInTheWay(root);
  }
  const slash = root.lastIndexOf('/');
  const parent = root.slice(0, slash);
  if (slash > 0) await makeRoot(session, parent, mode);
  await makeFolder(session, root, mode);
  // The parent may be one that we may not read; then its durability is not ours to give.
  await syncFolder(session, slash < 0 ? '.' : parent || '/').catch(() => {});
}

/** The protocol has no word for what exists already: who is refused looks whether it does. */
async function makeFolder(session: SftpSession, path: string, mode: number): Promise<void> {
  try {
    await session.makeFolder(path, mode);
  } catch (error) {
    const isRefusal = error instanceof StatusError && error.status !== unsupported;
    const found = isRefusal ? await session.stat(path).catch(() => undefined) : undefined;
    if (!found) throw error;
    if (found.kind !== undefined && found.kind !== 'folder') throw fileInTheWay(path);
  }
}

function fileInTheWay(path: string): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', {
    message: 'a file stands where a folder is needed',
    details: { path },
  });
}
