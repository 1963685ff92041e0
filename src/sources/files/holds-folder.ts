import { HoldfastError } from '../../base/errors.ts';
import { resolvePath } from '../../platform/files.ts';
import { printablePath } from '../../platform/place.ts';
import { type FileStatus, tryReadStatus } from '../../platform/status.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { componentsOf } from './clean-path.ts';
import type { ExcludeRules } from './exclude-rules.ts';
import { isSameFolder } from './folder-guard.ts';

/**
 * Refuses targets that are one of `folders` or, with `inside`, hold one that neither a pattern nor a limit to one file
 * system leaves out (hazard C21).
 *
 * Folders are compared by device and inode, so links and other mounts of a target do not hide it; what is mounted below
 * a target another time is found while walking (`FolderGuard`).
 * @param targets absolute paths
 * @throws SOURCE_HOLDS_REPOSITORY
 */
export function assertHoldsNone(
  targets: readonly ByteText[],
  against: {
    readonly rules: ExcludeRules;
    readonly folders: readonly (string | Uint8Array)[];
    readonly inside: boolean;
  },
): void {
  const { rules, folders, inside } = against;
  for (const folder of folders) {
    const chain = chainTo(byteTextOf(folder));
    for (const target of targets) {
      const status = tryReadStatus(bytesOf(target));
      if (status?.kind !== 'directory') continue;
      const at = chain.findIndex((link) => isSameFolder(link.status, status));
      const holder = chain[at];
      if (holder === undefined) continue;
      // The folder itself, and what leads to it from the target: a file system mounted there is not entered.
      const isElsewhere = chain.slice(0, at).some((link) => link.status.device !== status.device);
      const isLeftOut =
        (rules.isOneFileSystem && isElsewhere) || isExcluded(rules, target, holder.below);
      if (at === 0 || (inside && !isLeftOut)) throw holdsError(target, byteTextOf(folder));
    }
  }
}

/** A directory on the real path to a folder, and what is left of the path from there. */
interface ChainLink {
  readonly status: FileStatus;
  readonly below: readonly ByteText[];
}

/** The folder, its parent, and so on to the root; none if it does not exist. */
function chainTo(folder: ByteText): ChainLink[] {
  const real = realPath(folder);
  if (real === undefined) return [];
  const components = componentsOf(real);
  const chain: ChainLink[] = [];
  for (let depth = components.length; depth >= 0; depth--) {
    const status = tryReadStatus(bytesOf(`/${components.slice(0, depth).join('/')}`));
    if (status) chain.push({ status, below: components.slice(depth) });
  }
  return chain;
}

function realPath(path: ByteText): ByteText | undefined {
  // It does not exist, or not for us: then nothing of it can be read either.
  const real = resolvePath(bytesOf(path));
  return real && byteTextOf(real);
}

function isExcluded(rules: ExcludeRules, target: ByteText, below: readonly ByteText[]): boolean {
  let state = rules.root;
  for (const component of componentsOf(target)) state = rules.descend(state, bytesOf(component));
  return rules.excludesBelow(state, below);
}

function holdsError(target: ByteText, folder: ByteText): HoldfastError {
  return new HoldfastError('SOURCE_HOLDS_REPOSITORY', {
    details: { source: printablePath(bytesOf(target)), folder: printablePath(bytesOf(folder)) },
    hint: 'Exclude the folder of the repository, or keep the repository elsewhere.',
  });
}
