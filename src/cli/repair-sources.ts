import type { IndexedRepository } from '../repository/indexed.ts';
import type { Source } from '../sources/source.ts';
import { openFileSource } from '../sources/files/open-file-source.ts';
import type { BlobSources } from '../engine/repair/heal-blobs.ts';
import type { FlagValues, Invocation } from './command.ts';
import { type FromFlags, fromRepository } from './from-repository.ts';
import { withSession } from './session.ts';

/** Flags of repairs that name where good copies may be, besides a second repository. */
export const fromFolderFlags = {
  fromFolders: {
    kind: 'texts',
    name: 'from-folder',
    placeholder: 'directory',
    description:
      'look for lost content in the files of this folder, such as the one that was backed up (can be given several times)',
  },
} as const;

/** The flags that say where a repair may find lost content. */
export type RepairSourceFlags = typeof fromFolderFlags & FromFlags;

/** Opens what the flags name, lets `work` use it, and closes it. The second repository is only read, under a lock. */
export async function withRepairSources<T>(
  invocation: Invocation<RepairSourceFlags>,
  work: (sources: BlobSources, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const choice = fromRepository(invocation.flags);
  if (!choice) return withFiles(invocation, undefined, work);
  return withSession(invocation, { choice, lock: 'shared' }, async (session) => {
    const { signal } = session;
    const repository = await session.loadIndex();
    return withFiles({ ...invocation, signal }, repository, work);
  });
}

async function withFiles<T>(
  { flags, environment, signal }: Invocation<RepairSourceFlags>,
  repository: IndexedRepository | undefined,
  work: (sources: BlobSources, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const files = await filesOf(flags, environment);
  try {
    return await work({ repository, files }, signal);
  } finally {
    files?.close?.();
  }
}

async function filesOf(
  { fromFolders }: FlagValues<RepairSourceFlags>,
  environment: Invocation['environment'],
): Promise<Source | undefined> {
  if (fromFolders.length === 0) return undefined;
  return openFileSource(fromFolders, { environment });
}
