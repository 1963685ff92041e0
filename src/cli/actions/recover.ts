import { allSnapshots } from '../select-snapshots.ts';
import { recover as recoverTrees, type RecoverResult } from '../../engine/recover.ts';
import { executeIndexRepair, planIndexRepair } from '../../engine/repair-index.ts';
import { shortId } from '../../repository/id.ts';
import { thisOwner } from '../../session/this-process.ts';
import type { Invocation } from '../command.ts';
import type { RecoverFlags } from '../commands/recover.ts';
import type { Output } from '../output.ts';
import { RepairOutput } from '../repair-output.ts';
import { withSession } from '../session.ts';
import { programVersion } from '../version.ts';

/** `holdfast recover`. */
export function recover(invocation: Invocation<RecoverFlags>): Promise<number> {
  const { output, environment, flags } = invocation;
  const options = { lock: 'exclusive', settleLater: true, writes: true } as const;
  return withSession(invocation, options, async (session) => {
    const { repository, signal, monitor, lock } = session;
    const view = new RepairOutput(invocation, monitor, 'trees');
    try {
      const context = { environment, signal, monitor: view };
      output.info('ensuring index is complete');
      const snapshots = await allSnapshots(session);
      const plan = await planIndexRepair(repository, { readAllPacks: false }, context);
      await executeIndexRepair(repository, plan, context);
      // The index that is loaded now must be the one that stays.
      await lock?.settled;
      const indexed = await session.loadIndex();
      const { pid: _, ...owner } = thisOwner();
      const result = await recoverTrees(
        indexed,
        {
          snapshots,
          takesIncomplete: flags.incomplete,
          owner: { ...owner, programVersion },
          lock,
        },
        context,
      );
      view.stop();
      report(output, result, flags.incomplete);
      return session.exitCode();
    } finally {
      view.stop();
    }
  });
}

function report(output: Output, result: RecoverResult, takesIncomplete: boolean): void {
  const { lostCount, incomplete, snapshotId } = result;
  output.info(`\nfound ${lostCount} unreferenced roots`);
  for (const id of incomplete) {
    output.errorLine(
      takesIncomplete
        ? `something is missing below tree ${shortId(id)}: run "holdfast repair snapshots"`
        : `something is missing below tree ${shortId(id)}, which is left out: --incomplete takes it`,
    );
  }
  output.info(
    snapshotId === undefined
      ? 'no snapshot to write.'
      : `saved new snapshot ${shortId(snapshotId)}`,
  );
}
