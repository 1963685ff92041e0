import path from 'node:path';
import { describeError, isHoldfastError } from '../base/errors.ts';
import {
  loadSnapshots,
  matches,
  type ResolvedSnapshot,
  resolveSnapshot,
  type SnapshotFilter,
  type StoredSnapshot,
  tellUnreadable,
} from '../repository/snapshots.ts';
import type { FlagValues } from './command.ts';
import type { FilterFlags } from './filter-flags.ts';
import type { Output } from './output.ts';
import type { Session } from './session.ts';

/** The filter that `--host`, `--tag` and `--path` describe. */
export function filterOf(flags: FlagValues<FilterFlags>): SnapshotFilter {
  return {
    hosts: flags.hosts.filter((host) => host !== ''),
    tags: flags.tags.map(splitTags),
    paths: flags.paths.map(absolutePath),
  };
}

/** The tags of one comma list, trimmed; an empty text is the empty tag. */
export function splitTags(text: string): string[] {
  return text.split(',').map((tag) => tag.trim());
}

/** All tags of several comma lists, without empty ones. */
export function allTags(texts: readonly string[]): string[] {
  return texts.flatMap(splitTags).filter((tag) => tag !== '');
}

function absolutePath(text: string): string {
  // A path of Windows names its drive first and means the same on every system.
  if (/^[A-Za-z]:/.test(text)) return text;
  return path.resolve(text);
}

/**
 * The snapshots that ids and filter choose, oldest first: those of the ids, `latest` among them, or all that fit the
 * filter. An id that fits none is told on standard error and passed over, as in restic.
 */
export async function selectSnapshots(
  session: Pick<Session, 'repository' | 'signal' | 'monitor'>,
  choice: { readonly ids: readonly string[]; readonly filter: SnapshotFilter },
  output: Output,
): Promise<StoredSnapshot[]> {
  return chooseSnapshots(session, { ...choice, snapshots: await allSnapshots(session) }, output);
}

/** All snapshots that can be read, oldest first; the others are told as problems. */
export function allSnapshots({
  repository,
  signal,
  monitor,
}: Pick<Session, 'repository' | 'signal' | 'monitor'>): Promise<StoredSnapshot[]> {
  return loadSnapshots(repository, { signal, onUnreadable: tellUnreadable(monitor) });
}

/** As `selectSnapshots`, from all snapshots. */
export async function chooseSnapshots(
  { repository, signal }: Pick<Session, 'repository' | 'signal'>,
  choice: {
    readonly snapshots: readonly StoredSnapshot[];
    readonly ids: readonly string[];
    readonly filter: SnapshotFilter;
  },
  output: Output,
): Promise<StoredSnapshot[]> {
  const { snapshots, ids, filter } = choice;
  if (ids.length === 0) return snapshots.filter((snapshot) => matches(snapshot, filter));
  const chosen = new Set<StoredSnapshot>();
  for (const id of ids) {
    try {
      const { snapshot } = await resolveSnapshot(repository, id, { ...filter, signal });
      const known = snapshots.find((other) => other.id === snapshot.id);
      chosen.add(known ?? snapshot);
    } catch (error) {
      if (!isHoldfastError(error, 'SNAPSHOT_NOT_FOUND', 'ID_AMBIGUOUS')) throw error;
      output.errorLine(`Ignoring ${JSON.stringify(id)}: ${describeError(error)}`);
    }
  }
  return snapshots.filter((snapshot) => chosen.has(snapshot));
}

/** The one snapshot that an argument names. @throws SNAPSHOT_NOT_FOUND, ID_AMBIGUOUS */
export function selectSnapshot(
  { repository, signal }: Pick<Session, 'repository' | 'signal'>,
  text: string,
  filter: SnapshotFilter = {},
): Promise<ResolvedSnapshot> {
  return resolveSnapshot(repository, text, { ...filter, signal });
}
