import { isHoldfastError } from '../base/errors.ts';
import type { HeldLock, ProcessProbe } from '../repository/locks.ts';
import type { BareMark } from '../repository/pack-marks.ts';
import type { EngineContext } from './context.ts';
import { damageIfHeld } from './damage-if-held.ts';
import { pruneAtOnce } from './prune/instant.ts';
import { assertMayRemove, type KeptPacks, noKeptPacks } from './prune/locked-packs.ts';
import { replacedOf, unneededOf } from './prune/needed.ts';
import type { PruneMonitor, PrunePolicy } from './prune/options.ts';
import { PackUsage } from './prune/pack-usage.ts';
import { emptyStatistics, type PackPlan, planPacks } from './prune/plan.ts';
import type { MarkedPack } from './prune/save-marks.ts';
import { type PruneSource, PruneState } from './prune/state.ts';
import { deleteMarked, type MarkPlan, markUnneeded, planMarks } from './prune/two-phase.ts';

export type { PruneMonitor, PrunePolicy, PruneStatistics, UnusedLimit } from './prune/options.ts';
export type { KeptPacks } from './prune/locked-packs.ts';
export type { PruneSource } from './prune/state.ts';

/** What a prune may leave unused, and when it deletes. */
export interface PruneOptions {
  readonly policy: PrunePolicy;
  /** Remove at once; else packs are marked, and those that were marked before are deleted. */
  readonly instant: boolean;
  /** For how long packs stay marked before they are deleted, in milliseconds. */
  readonly keepDeleteMs: number;
}

/** What a prune would do. */
export interface PrunePlan {
  readonly options: PruneOptions;
  readonly packs: PackPlan;
  /** What becomes of packs that are marked already; all of them go their way without being marked in an instant prune. */
  readonly marks: MarkPlan;
  readonly state: PruneState;
}

/** The locks that an executed prune works under. */
export interface PruneLocks {
  /** That of the whole prune: exclusive for an instant one; absent without locks. */
  readonly lock: HeldLock | undefined;
  /** Takes the lock under which marked packs are deleted; see docs/CONCURRENCY.md. */
  readonly commit: () => Promise<HeldLock>;
  /** Tells which holders of other locks are alive. */
  readonly probe: ProcessProbe;
}

/** What a prune did. Each pack of a two-phase prune is marked in one run, and deleted in a later one. */
export interface PruneResult {
  /** Packs that were deleted because they were marked before. */
  readonly deleted: readonly BareMark[];
  /** Packs that were marked for long enough, but stay because an operation runs that may have begun before. */
  readonly awaiting: readonly BareMark[];
  /** Packs that were marked now. */
  readonly marked: readonly MarkedPack[];
  /** Packs that nobody needs, but that the storage keeps locked: they stay as they are until then. */
  readonly kept: KeptPacks;
  /** REPOSITORY_LOCKED, if marked packs could not be deleted because somebody else works with the repository. */
  readonly blockedBy: unknown;
}

/**
 * Finds out what a prune would do. Reads only.
 * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED, SNAPSHOT_DAMAGED, INDEX_DAMAGED, UNPACKED_DAMAGED, PACK_DAMAGED if
 *   not everything is there and readable that decides about it; PRUNE_REFUSED if there is no snapshot; CANCELLED and what the backend throws
 */
export async function planPrune(
  source: PruneSource,
  options: PruneOptions,
  context: EngineContext<PruneMonitor>,
): Promise<PrunePlan> {
  const { repository } = source;
  const state = await damageIfHeld(repository, () => PruneState.load(source, context));
  context.monitor.phase('collecting packs for deletion and repacking');
  const marks = options.instant
    ? { due: [], waiting: [], dropped: [] }
    : planMarks(state, options.keepDeleteMs);
  return { options, packs: packsOf(state, options), marks, state };
}

function packsOf(state: PruneState, { policy, instant }: PruneOptions): PackPlan {
  const { index } = state.indexed;
  const statistics = emptyStatistics();
  const settled = instant ? new Set<number>() : unneededOf(state, state.settledPacks());
  const replaced = replacedOf(state, state.gonePacks());
  const isPassedOver = (pack: number): boolean =>
    settled.has(pack) || (replaced.has(pack) && state.isOnlyMarked(pack));
  const isReplaced = (pack: number): boolean => replaced.has(pack);
  const usage = PackUsage.of(index, { used: state.used, isPassedOver, isReplaced, statistics });
  const { version } = state.repository.config;
  const { stored } = state;
  const unlisted = state.unlistedPacks().filter(({ id }) => instant || !state.marks.has(id));
  const input = { index, usage, stored, unlisted, isPassedOver, version, statistics };
  return planPacks(input, policy);
}

/**
 * Does what was planned.
 *
 * Instant: as restic, under an exclusive lock. Else: what was marked long ago and is still not needed is deleted, under a
 * short lock of its own; what is used of packs that are to be repacked is stored anew; and what then is of no use is marked.
 * At every instant all that snapshots need is stored and listed. A run that was stopped is completed by the next one.
 * @throws as `planPrune`, LOCK_LOST, STORAGE_FULL, PERMISSION_DENIED (append-only storage, before anything is changed) and
 *   what the backend throws
 */
export async function executePrune(
  plan: PrunePlan,
  locks: PruneLocks,
  context: EngineContext<PruneMonitor>,
): Promise<PruneResult> {
  const { state, packs, options } = plan;
  await locks.lock?.settled;
  locks.lock?.assertHeld();
  if (state.repository.backend.mayRemove) await assertMayRemove(state.repository, context);
  return damageIfHeld(state.repository, async () => {
    if (options.instant) {
      const kept = await pruneAtOnce(state, packs, context);
      return { deleted: [], awaiting: [], marked: [], kept, blockedBy: undefined };
    }
    const done = await deleteDue(plan, locks, context);
    return { ...done, marked: await markUnneeded(state, packs, context) };
  });
}

async function deleteDue(
  { state, marks, options }: PrunePlan,
  locks: PruneLocks,
  context: EngineContext<PruneMonitor>,
): Promise<Omit<PruneResult, 'marked'>> {
  const nothing = { deleted: [], awaiting: [], kept: noKeptPacks, blockedBy: undefined };
  if (marks.due.length + marks.dropped.length === 0) return nothing;
  let lock: HeldLock;
  try {
    lock = await locks.commit();
  } catch (error) {
    if (!isHoldfastError(error, 'REPOSITORY_LOCKED')) throw error;
    // Marks that say nothing more can stay for another day.
    return { ...nothing, blockedBy: marks.due.length > 0 ? error : undefined };
  }
  try {
    const own = locks.lock ? [lock, locks.lock] : [lock];
    const request = { keepMs: options.keepDeleteMs, lock, own, probe: locks.probe };
    return { ...(await deleteMarked(state, request, context)), blockedBy: undefined };
  } finally {
    await lock.release();
  }
}
