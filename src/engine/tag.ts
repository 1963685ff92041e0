import { type Publication, replaceSnapshot } from './publish-snapshot.ts';
import { throwIfAborted } from '../base/abort.ts';
import type { Id } from '../repository/id.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import type { Snapshot, StoredSnapshot } from '../repository/snapshots.ts';
import type { EngineContext } from './context.ts';

/** What to do with the tags of a snapshot: replace them all, or add some and remove some. */
export type TagChange =
  | { readonly kind: 'set'; readonly tags: readonly string[] }
  | { readonly kind: 'edit'; readonly add: readonly string[]; readonly remove: readonly string[] };

/** A snapshot that was stored anew with other tags. */
export interface RetaggedSnapshot {
  readonly oldId: Id;
  readonly newId: Id;
}

/** The tags after a change, or undefined if it changes nothing. Tags that are there twice stay so. */
export function changeTags(
  tags: readonly string[],
  change: TagChange,
): readonly string[] | undefined {
  if (change.kind === 'set') return change.tags;
  const changed = [...tags];
  let isChanged = false;
  for (const tag of change.add) {
    if (changed.includes(tag)) continue;
    changed.push(tag);
    isChanged = true;
  }
  for (const tag of change.remove) {
    for (let at = changed.indexOf(tag); at >= 0; at = changed.indexOf(tag)) {
      // As restic: the last tag takes the place of the removed one.
      const last = changed.pop();
      if (at < changed.length && last !== undefined) changed[at] = last;
      isChanged = true;
    }
  }
  return isChanged ? changed : undefined;
}

/**
 * Changes the tags of snapshots. Each is stored anew, which gives it another id, and only then the old one is removed: at
 * every instant at least one of the two is there.
 *
 * @param onChange told of each snapshot that was replaced
 * @returns the number of replaced snapshots
 * @throws LOCK_LOST, REFERENCE_LOST, CANCELLED and what the storage throws; snapshots told of before are changed
 */
export async function tagSnapshots(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  request: {
    readonly change: TagChange;
    readonly lock: HeldLock | undefined;
    /** Only called where listings may be behind. */
    loadIndex(): Promise<IndexedRepository>;
    onChange(changed: RetaggedSnapshot): void;
  },
  context: EngineContext,
): Promise<number> {
  const { signal } = context;
  let count = 0;
  let data: Publication['data'];
  for (const { id: oldId, ...snapshot } of snapshots) {
    throwIfAborted(signal);
    const tags = changeTags(snapshot.tags ?? [], request.change);
    if (tags === undefined) continue;
    data ??= await leanedOn(repository, request);
    const tagged = retagged(snapshot, tags, oldId);
    const changed = { snapshot: tagged, lock: request.lock, oldId, ...(data && { data }) };
    const newId = await replaceSnapshot(repository, changed, context);
    if (newId === oldId) continue;
    request.onChange({ oldId, newId });
    count++;
  }
  return count;
}

/** Where the data of the new snapshots is; undefined if that need not be known: the old ones refer to the same, and stay until they are there. */
async function leanedOn(
  repository: Repository,
  request: { loadIndex(): Promise<IndexedRepository> },
): Promise<Publication['data']> {
  if (repository.backend.listsAtOnce) return undefined;
  return { indexed: await request.loadIndex(), own: undefined, marked: 'shared' };
}

function retagged(snapshot: Snapshot, tags: readonly string[], oldId: Id): Snapshot {
  return { ...snapshot, tags, original: snapshot.original ?? oldId };
}
