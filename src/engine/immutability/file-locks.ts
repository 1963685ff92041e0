import { HoldfastError } from '../../base/errors.ts';
import type {
  Backend,
  CallOptions,
  FileHandle,
  FileLock,
  FileType,
  FileVersion,
  Retention,
  Versions,
} from '../../storage/backend.ts';
import { findGenuine } from '../../storage/genuine.ts';

/** What locks are asked of. */
export interface LockingStore {
  readonly versions: Versions;
  readonly retention: Retention;
}

/** @throws UNSUPPORTED for a storage without locks of files */
export function lockingStore({ versions, retention, location }: Backend): LockingStore {
  if (versions && retention) return { versions, retention };
  throw new HoldfastError('UNSUPPORTED', {
    message: 'this storage has no locks of files that last',
    details: { location },
    hint: 'Object Lock of S3 and immutable storage of Azure have them. Elsewhere, serve the repository append-only.',
  });
}

/** How a file stands. */
export interface FileLockState {
  readonly handle: FileHandle;
  /** The version with the content that belongs there; undefined if there is none. */
  readonly version: FileVersion | undefined;
  /** Of that version. */
  readonly lock: FileLock | undefined;
  /** Readers do not see it: it was removed, or something else was put over it. */
  readonly isHidden: boolean;
}

/** Versions by the name of their file, each the newest first. */
export type VersionsByName = ReadonlyMap<string, readonly FileVersion[]>;

/** All versions of all files of a type. */
export async function loadVersions(
  { versions }: LockingStore,
  type: FileType,
  options: CallOptions,
): Promise<VersionsByName> {
  const groups = new Map<string, FileVersion[]>();
  for (const version of await versions.list(type, options)) {
    const { name } = version.handle;
    const group = groups.get(name);
    if (group) group.push(version);
    else groups.set(name, [version]);
  }
  return groups;
}

/**
 * The version of a file that belongs there. Contents are read only where versions differ: anybody may have stored the others.
 * @param group its versions, the newest first
 */
export async function genuineOf(
  { versions }: LockingStore,
  group: readonly FileVersion[],
  options: CallOptions,
): Promise<FileVersion | undefined> {
  const contents = group.filter(({ kind }) => kind === 'content');
  const marks = new Set(contents.map(({ contentMark }) => contentMark));
  const [first] = contents;
  // Only a reader with the key can tell one config from another.
  const isPlain = contents.length < 2 || (marks.size === 1 && first?.contentMark !== '');
  if (isPlain || first?.handle.type === 'config') return first;
  return (await findGenuine(versions, contents, options))?.version;
}

/** How one file stands. @param group its versions, the newest first; empty if there is no such file */
export async function loadFileLock(
  store: LockingStore,
  handle: FileHandle,
  { group, ...options }: CallOptions & { readonly group: readonly FileVersion[] },
): Promise<FileLockState> {
  const version = await genuineOf(store, group, options);
  const lock = version && (await store.retention.load(version, options));
  const newest = group[0];
  const isShown = newest && (newest === version || newest.contentMark === version?.contentMark);
  return { handle, version, lock, isHidden: !isShown || newest.kind === 'removal' };
}
