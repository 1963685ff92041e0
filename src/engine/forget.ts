import { removeSnapshot, removeSnapshotsAtOnce } from '../repository/snapshots.ts';
import { throwIfAborted } from '../base/abort.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { endsWork, HoldfastError } from '../base/errors.ts';
import type { Monitor, Progress } from '../base/monitor.ts';
import { timestampFromNs } from '../base/timestamp.ts';
import { type Id, idBytes } from '../repository/id.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { EngineContext } from './context.ts';
import { type Decision, decide, isKept } from './retention/decide.ts';
import { isEmptyPolicy, type RetentionPolicy } from './retention/policy.ts';
import { type GroupBy, groupSnapshots, type SnapshotGroup } from './snapshot-groups.ts';

/** Which snapshots are kept, a group at a time. */
export interface ForgetRequest {
  readonly policy: RetentionPolicy;
  readonly groupBy: GroupBy;
  /** A policy that keeps nothing at all, or no sound snapshot of a group, is meant so. */
  readonly allowRemoveAll: boolean;
  /** Topmost trees that are known not to be loadable: their snapshots are damaged. */
  readonly lostTrees?: ReadonlySet<Id>;
}

/** A group and what becomes of its snapshots, newest first. */
export interface ForgetGroup extends SnapshotGroup {
  readonly decisions: readonly Decision[];
}

/**
 * Decides what a policy keeps and what it removes. Reads nothing and changes nothing.
 *
 * @returns every group with a decision for each of its snapshots
 * @throws RETENTION_REFUSED if the policy keeps nothing, or would leave a group without any snapshot or without any
 *   sound one, and that was not asked for
 */
export function planForget(
  snapshots: readonly StoredSnapshot[],
  request: ForgetRequest,
  { environment }: Pick<EngineContext, 'environment'>,
): ForgetGroup[] {
  const { policy, groupBy, allowRemoveAll, lostTrees = new Set<Id>() } = request;
  const removesAll = isEmptyPolicy(policy);
  if (removesAll && !allowRemoveAll) {
    throw new HoldfastError('RETENTION_REFUSED', {
      message: 'no policy was specified, no snapshots will be removed',
      hint: 'Say what to keep with one of the --keep-* options.',
    });
  }
  const now = timestampFromNs(environment.clock.wallNs());
  return groupSnapshots(snapshots, groupBy).map((group) => {
    const decisions = decide(group.snapshots, policy, { now, lostTrees });
    if (!removesAll) refuseTooMuch(group, decisions, allowRemoveAll);
    return { ...group, decisions };
  });
}

/**
 * As `planForget`, with a look at the snapshots that would take the place of others: one whose topmost tree cannot be loaded
 * takes none. Only what is kept where others go is looked at, each tree once; where nothing goes, nothing is read. What lies
 * deeper is for `check`.
 * @param loadIndex called once at most
 * @throws as `planForget`; what ends the work
 */
export async function planSoundForget(
  snapshots: readonly StoredSnapshot[],
  {
    loadIndex,
    ...request
  }: ForgetRequest & { readonly loadIndex: () => Promise<IndexedRepository> },
  context: EngineContext,
): Promise<ForgetGroup[]> {
  const lostTrees = new Set(request.lostTrees);
  const seen = new Set<Id>();
  let indexed: IndexedRepository | undefined;
  // Once a snapshot is known to be damaged, others are kept, which are to be looked at as well.
  for (;;) {
    const groups = planForget(snapshots, { ...request, lostTrees }, context);
    const trees = [...treesLeantOn(groups)].filter((tree) => !seen.has(tree));
    if (trees.length === 0) return groups;
    indexed ??= await loadIndex();
    for (const tree of await lostAmong(indexed, trees, context)) lostTrees.add(tree);
    for (const tree of trees) seen.add(tree);
  }
}

/** Topmost trees of what is kept, and taken for sound, where something goes. */
function treesLeantOn(groups: readonly ForgetGroup[]): Set<Id> {
  const trees = new Set<Id>();
  for (const { decisions } of groups) {
    if (decisions.every(isKept)) continue;
    for (const decision of decisions) {
      if (isKept(decision) && !decision.unsound) trees.add(decision.snapshot.tree);
    }
  }
  return trees;
}

/** Those of the trees that cannot be loaded from the storage itself. */
async function lostAmong(
  indexed: IndexedRepository,
  trees: readonly Id[],
  { signal }: EngineContext,
): Promise<Id[]> {
  const lost: Id[] = [];
  const { connectionCount } = indexed.repository.backend;
  await forEachConcurrent(trees, connectionCount, async (tree) => {
    throwIfAborted(signal);
    try {
      await indexed.openTree(idBytes(tree), { signal, direct: true });
    } catch (error) {
      if (endsWork(error)) throw error;
      lost.push(tree);
    }
  });
  return lost;
}

function refuseTooMuch(
  group: SnapshotGroup,
  decisions: readonly Decision[],
  allowRemoveAll: boolean,
): void {
  if (!decisions.some(isKept)) {
    throw new HoldfastError('RETENTION_REFUSED', {
      message: `refusing to delete last snapshot of snapshot group "${describeGroup(group)}"`,
      hint: 'Nothing was removed. Change the policy, or name the snapshots by their ids.',
    });
  }
  const sound = decisions.filter(({ unsound }) => unsound === undefined);
  if (allowRemoveAll || sound.length === 0 || sound.some(isKept)) return;
  throw new HoldfastError('RETENTION_REFUSED', {
    message:
      `refusing to delete the last sound snapshot of snapshot group "${describeGroup(group)}": ` +
      'what the policy keeps is incomplete, damaged, from the future or dated by hand',
    hint: 'Nothing was removed. Change the policy, or add --unsafe-allow-remove-all.',
  });
}

function describeGroup({ hostname, paths, tags }: SnapshotGroup): string {
  const parts: string[] = [];
  if (hostname !== '') parts.push(`host ${hostname}`);
  if (paths) parts.push(`path [${paths.join(' ')}]`);
  if (tags) parts.push(`tags [${tags.join(' ')}]`);
  return parts.join(', ');
}

/** Hears how far the removal is. */
export interface ForgetMonitor extends Monitor {
  progress(progress: Progress): void;
}

/** A snapshot that could not be removed, and why. */
export interface FailedRemoval {
  readonly id: Id;
  readonly error: unknown;
}

/** What became of the snapshots to remove, in no order: each is in one of the two. */
export interface ForgetResult {
  readonly removed: readonly Id[];
  readonly failed: readonly FailedRemoval[];
}

/** Snapshots that are removed in one go. */
const removedAtOnce = 250;

/**
 * Removes snapshots, many in one go where the storage can; the data they refer to stays. A failure with one does not keep the
 * others; one that is gone already counts as removed, so an interrupted run can be repeated.
 *
 * @throws what ends the work, such as LOCK_LOST, CANCELLED, BACKEND_UNAVAILABLE: some may be removed then
 */
export async function removeSnapshots(
  repository: Repository,
  ids: readonly Id[],
  context: EngineContext<ForgetMonitor>,
): Promise<ForgetResult> {
  const { signal, monitor } = context;
  const removed: Id[] = [];
  const failed: FailedRemoval[] = [];
  const tell = (): void =>
    monitor.progress({
      filesDone: removed.length + failed.length,
      filesTotal: ids.length,
      bytesDone: 0,
      errorCount: failed.length,
      currentItems: [],
    });
  for (let start = 0; start < ids.length; start += removedAtOnce) {
    throwIfAborted(signal);
    const part = ids.slice(start, start + removedAtOnce);
    const gone = new Set(await removeSnapshotsAtOnce(repository, part, { signal }));
    removed.push(...gone);
    tell();
    const others = part.filter((id) => !gone.has(id));
    await forEachConcurrent(others, repository.backend.connectionCount, async (id) => {
      throwIfAborted(signal);
      try {
        await removeSnapshot(repository, id, { signal });
        removed.push(id);
      } catch (error) {
        if (endsWork(error)) throw error;
        failed.push({ id, error });
      }
      tell();
    });
  }
  return { removed, failed };
}
