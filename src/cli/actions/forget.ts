import { describeError } from '../../base/errors.ts';
import type { Monitor, Progress } from '../../base/monitor.ts';
import {
  type ForgetGroup,
  type ForgetMonitor,
  type ForgetResult,
  planForget,
  removeSnapshots,
} from '../../engine/forget.ts';
import { isKept } from '../../engine/retention/decide.ts';
import {
  describePolicy,
  isEmptyPolicy,
  type RetentionPolicy,
} from '../../engine/retention/policy.ts';
import type { Id } from '../../repository/id.ts';
import type { Invocation } from '../command.ts';
import type { ForgetFlags } from '../commands/forget.ts';
import { forgetJson, printGroups, printWouldRemove } from '../forget-output.ts';
import { parseGroupBy } from '../group-by.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { checkPruneFlags, pruneOptionsOf } from '../prune-flags.ts';
import { runPrune } from '../prune-run.ts';
import { policyOf } from '../retention-flags.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';

type ForgetInvocation = Invocation<ForgetFlags>;

const partialExitCode = 3;

/** `holdfast forget`. */
export async function forget(invocation: ForgetInvocation): Promise<number> {
  const { flags, output, globals } = invocation;
  const policy = policyOf(flags);
  const groupBy = parseGroupBy(flags.groupBy ?? 'host,paths');
  if (globals.noLock && !flags.dryRun) {
    throw usage('--no-lock is only applicable in combination with --dry-run for forget command');
  }
  checkPruneFlags(flags, globals.compression);
  const hasIds = invocation.arguments.length > 0;
  if (!hasIds) refuseUnfiltered(invocation, policy);
  const options = { lock: 'exclusive', settleLater: true, writes: !flags.dryRun } as const;
  return withSession(invocation, options, async (session) => {
    if (hasIds && hasFilter(invocation)) {
      output.errorLine('Ignoring "filters": explicit snapshot ids are given');
    }
    const choice = { ids: invocation.arguments, filter: filterOf(flags) };
    const snapshots = await selectSnapshots(session, choice, output);
    const request = { policy, groupBy, allowRemoveAll: flags.allowRemoveAll };
    const groups = hasIds ? [] : planForget(snapshots, request, invocation);
    if (!hasIds) output.info(`Applying Policy: ${describePolicy(policy)}`);
    if (!output.isJson) printGroups(invocation, groups, groupBy);
    const ids = (hasIds ? snapshots : removedOf(groups)).map(({ id }) => id);
    const result = await remove(invocation, session, ids);
    if (output.isJson && groups.length > 0) output.line(forgetJson(groups, groupBy));
    const exitCode = finish(output, result) ?? session.exitCode();
    const removed = flags.dryRun ? ids : result.removed;
    if (!flags.prune || removed.length === 0) return exitCode;
    output.info(`${removed.length} snapshots have been removed, running prune`);
    const pruned = await runPrune(invocation, session, {
      options: pruneOptionsOf(flags, session.repository),
      dryRun: flags.dryRun,
      removedSnapshots: new Set(removed),
      // Of those that it saw none is left.
      allowRemoveAll: removed.length === snapshots.length,
    });
    return exitCode === 0 ? pruned : exitCode;
  });
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
