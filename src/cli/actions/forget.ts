import { describeError, isHoldfastError } from '../../base/errors.ts';
import type { Monitor, Progress } from '../../base/monitor.ts';
import {
  type ForgetGroup,
  type ForgetMonitor,
  type ForgetResult,
  planSoundForget,
  removeSnapshots,
} from '../../engine/forget.ts';
import { isKept } from '../../engine/retention/decide.ts';
import {
  describePolicy,
  isEmptyPolicy,
  type RetentionPolicy,
} from '../../engine/retention/policy.ts';
import type { GroupBy } from '../../engine/snapshot-groups.ts';
import type { Id } from '../../repository/id.ts';
import type { HeldLock } from '../../repository/locks.ts';
import { removeSnapshot, type StoredSnapshot } from '../../repository/snapshots.ts';
import type { Invocation } from '../command.ts';
import type { ForgetFlags } from '../commands/forget.ts';
import { forgetJson, printGroups, printWouldRemove } from '../forget-output.ts';
import { parseGroupBy } from '../group-by.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { checkPruneFlags, pruneOptionsOf } from '../prune-flags.ts';
import { policyOf } from '../retention-flags.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';

type ForgetInvocation = Invocation<ForgetFlags>;

const partialExitCode = 3;

/** `holdfast forget`. */
export async function forget(invocation: ForgetInvocation): Promise<number> {
  const { flags, output, globals } = invocation;
  const policy = policyOf(flags);
  const groupBy = groupingOf(flags);
  if (globals.noLock && !flags.dryRun) {
    throw usage('--no-lock is only applicable in combination with --dry-run for forget command');
  }
  checkPruneFlags(flags, globals.compression);
  const hasIds = invocation.arguments.length > 0;
  if (!hasIds) refuseUnfiltered(invocation, policy);
  const writes = !flags.dryRun;
  const options = { lock: 'exclusive', settleLater: true, lockIfRoom: true, writes } as const;
  return withSession(invocation, options, async (session) => {
    if (hasIds && hasFilter(invocation)) {
      output.errorLine('Ignoring "filters": explicit snapshot ids are given');
    }
    const choice = { ids: invocation.arguments, filter: filterOf(flags) };
    const snapshots = await selectSnapshots(session, choice, output);
    const groups = hasIds ? [] : await planGroups(invocation, session, snapshots);
    if (!hasIds) output.info(`Applying Policy: ${describePolicy(policy)}`);
    if (!output.isJson) printGroups(invocation, groups, groupBy);
    const chosen = hasIds ? snapshots : removedOf(groups);
    const plan = { groups, ids: chosen.map(({ id }) => id), snapshotCount: snapshots.length };
    return withRoom(invocation, { session, plan }, (locked, gone) =>
      carryOut(invocation, locked, { ...plan, gone }),
    );
  });
}

/** What is to be done. */
interface Removal {
  readonly groups: readonly ForgetGroup[];
  /** Snapshots that are to go. */
  readonly ids: readonly Id[];
  /** Of which they were chosen. */
  readonly snapshotCount: number;
}

/** Removes what is to go, and prunes if that is wanted. @param plan.gone the first of `ids`, which are removed already */
async function carryOut(
  invocation: ForgetInvocation,
  session: Session,
  { groups, ids, gone, snapshotCount }: Removal & { readonly gone: readonly Id[] },
): Promise<number> {
  const { flags, output } = invocation;
  const rest = await remove(invocation, session, ids.slice(gone.length));
  const result = { ...rest, removed: [...gone, ...rest.removed] };
  if (output.isJson && groups.length > 0) {
    output.line(forgetJson(groups, groupingOf(flags)));
  }
  const exitCode = finish(output, result) ?? session.exitCode();
  const removed = flags.dryRun ? ids : result.removed;
  if (!flags.prune || removed.length === 0) return exitCode;
  const what = flags.dryRun
    ? 'would be removed, running prune dry run'
    : 'have been removed, running prune';
  output.info(`${removed.length} snapshots ${what}`);
  // Loaded late: most do not prune with it, and loading what that needs takes as long as removing a thousand snapshots.
  const { runPrune } = await import('../prune-run.ts');
  const pruned = await runPrune(invocation, session, {
    options: pruneOptionsOf(flags, session.repository),
    dryRun: flags.dryRun,
    removedSnapshots: new Set(removed),
    // Of those that it saw none is left.
    allowRemoveAll: removed.length === snapshotCount,
  });
  return exitCode === 0 ? pruned : exitCode;
}

/** Snapshots that are removed without a lock at most, to make room for one. */
const unlockedCountMax = 5;

/**
 * Does the rest of the work under a lock, also on a storage so full that none could be stored when it began: then the
 * first snapshots go without one, until there is room. Nobody else held a lock by then, nor could store one.
 * @param work is told which snapshots are gone already: the first ones
 */
async function withRoom(
  { flags, globals }: ForgetInvocation,
  { session, plan: { ids } }: { readonly session: Session; readonly plan: Removal },
  work: (locked: Session, gone: readonly Id[]) => Promise<number>,
): Promise<number> {
  const { repository, signal } = session;
  if (session.lock || flags.dryRun || globals.noLock) return work(session, []);
  for (const [i, id] of ids.entries()) {
    await removeSnapshot(repository, id, { signal });
    let lock: HeldLock;
    try {
      lock = await session.lockPart('exclusive');
    } catch (error) {
      const isLast = i + 1 === Math.min(unlockedCountMax, ids.length);
      if (isLast || !isHoldfastError(error, 'STORAGE_FULL')) throw error;
      continue;
    }
    try {
      const both = AbortSignal.any([signal, lock.signal]);
      return await work({ ...session, lock, signal: both }, ids.slice(0, i + 1));
    } finally {
      await lock.release();
    }
  }
  return work(session, []);
}

/** What the policy of the command line makes of the snapshots. */
function planGroups(
  { flags, environment }: ForgetInvocation,
  session: Session,
  snapshots: readonly StoredSnapshot[],
): Promise<ForgetGroup[]> {
  const request = {
    policy: policyOf(flags),
    groupBy: groupingOf(flags),
    allowRemoveAll: flags.allowRemoveAll,
    loadIndex: () => session.loadIndex(),
  };
  const { signal, monitor } = session;
  return planSoundForget(snapshots, request, { environment, signal, monitor });
}

function groupingOf({ groupBy }: ForgetInvocation['flags']): GroupBy {
  return parseGroupBy(groupBy ?? 'host,paths');
}

function hasFilter({ flags }: ForgetInvocation): boolean {
  const { hosts = [], tags, paths } = filterOf(flags);
  return hosts.length + (tags?.length ?? 0) + (paths?.length ?? 0) > 0;
}

/** @throws USAGE if all snapshots of the repository would go by the absence of two options */
function refuseUnfiltered(invocation: ForgetInvocation, policy: RetentionPolicy): void {
  const { allowRemoveAll } = invocation.flags;
  if (!allowRemoveAll || !isEmptyPolicy(policy) || hasFilter(invocation)) return;
  throw usage(
    '--unsafe-allow-remove-all is not allowed unless a snapshot filter option is specified',
    'Add --host, --tag or --path.',
  );
}

function removedOf(groups: readonly ForgetGroup[]): ForgetGroup['snapshots'] {
  return groups.flatMap(({ decisions }) =>
    decisions.filter((decision) => !isKept(decision)).map(({ snapshot }) => snapshot),
  );
}

async function remove(
  invocation: ForgetInvocation,
  { repository, lock, signal, monitor }: Session,
  ids: readonly Id[],
): Promise<ForgetResult> {
  const { flags, output, environment } = invocation;
  // Snapshots were listed and read beside the lock's second look; nothing is removed before that has ended well.
  await lock?.settled;
  if (flags.dryRun) {
    printWouldRemove(output, ids);
    return { removed: [], failed: [] };
  }
  const view = new ProgressView<Progress>(invocation, { unit: 'snapshots' });
  try {
    const context = { environment, signal, monitor: progressTo(view, monitor) };
    return await removeSnapshots(repository, ids, context);
  } finally {
    view.stop();
  }
}

function progressTo(view: ProgressView<Progress>, monitor: Monitor): ForgetMonitor {
  return {
    problem: (problem) => monitor.problem(problem),
    note: (text) => monitor.note(text),
    progress: (progress) => view.update(progress),
  };
}

/** Says how the removal went. @returns the exit code if it did not go well */
function finish(output: Output, { removed, failed }: ForgetResult): number | undefined {
  for (const { id, error } of failed) {
    output.errorLine(`unable to remove snapshot ${id}: ${describeError(error)}`);
  }
  if (removed.length > 0) output.info(`removed ${removed.length} snapshots`);
  if (failed.length === 0) return undefined;
  output.exitError(partialExitCode, 'failed to remove one or more snapshots');
  return partialExitCode;
}
