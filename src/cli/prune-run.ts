import { executePrune, planPrune, type PruneOptions, type PrunePlan } from '../engine/prune.ts';
import type { Id } from '../repository/id.ts';
import { shortId } from '../repository/id.ts';
import type { LoadedIndex } from '../repository/index-load.ts';
import { toHex } from '../base/bytes.ts';
import type { Invocation } from './command.ts';
import { formatDuration } from './format.ts';
import { printPlan, printResult, PruneOutput } from './prune-output.ts';
import { thisProbe } from '../session/this-process.ts';
import type { Session } from './session.ts';

/** One prune of a command. */
export interface PruneRun {
  readonly options: PruneOptions;
  readonly dryRun: boolean;
  /** Snapshots that were removed just now, or, in a dry run, would be. */
  readonly removedSnapshots?: ReadonlySet<Id>;
  /** Go on without any snapshot. */
  readonly allowRemoveAll?: boolean;
}

/**
 * Prunes the repository of a session, and tells what is done: the whole of `prune`, and the end of `forget --prune`.
 * @returns the exit code
 */
export async function runPrune(
  invocation: Invocation,
  session: Session,
  { options, dryRun, removedSnapshots, allowRemoveAll }: PruneRun,
): Promise<number> {
  const { environment, output } = invocation;
  const { repository, lock, signal } = session;
  const monitor = new PruneOutput(invocation);
  const context = { environment, signal, monitor };
  try {
    const loadIndex = (): Promise<LoadedIndex> => session.loadWholeIndex();
    const source = { repository, loadIndex, removedSnapshots, allowRemoveAll };
    const plan = await planPrune(source, options, context);
    // What was read while somebody else may have changed the repository proves nothing.
    await lock?.settled;
    monitor.stop();
    if (dryRun) {
      output.info('\nWould have made the following changes:');
      printPlan(output, plan);
      printPacks(invocation, plan);
      return 0;
    }
    printPlan(output, plan);
    const locks = { lock, commit: () => session.lockPart('commit'), probe: thisProbe() };
    const result = await executePrune(plan, locks, context);
    monitor.stop();
    printResult(output, result, formatDuration(options.keepDeleteMs));
    if (result.blockedBy === undefined) output.info('done');
    return result.blockedBy === undefined ? 0 : output.fatal(result.blockedBy);
  } finally {
    monitor.stop();
  }
}

/** Names the packs of a plan, with -vv. */
function printPacks({ output }: Invocation, { packs, state }: PrunePlan): void {
  if (output.verbosity < 3) return;
  const { index } = state.indexed;
  const names = (numbers: readonly number[]): string =>
    `{${numbers
      .map((pack) => shortId(toHex(index.packId(pack))))
      .toSorted()
      .join(' ')}}`;
  output.verbose('Would have repacked and removed the following packs:');
  output.verbose(`${names(packs.repack)}\n`);
  output.verbose('Would have removed the following no longer used packs:');
  output.verbose(`${names([...packs.remove, ...packs.missing])}\n`);
}
