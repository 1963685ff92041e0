import {
  executeIndexRepair,
  type IndexRepairResult,
  planIndexRepair,
} from '../../engine/repair-index.ts';
import type { Invocation } from '../command.ts';
import type { RepairIndexFlags } from '../commands/repair.ts';
import type { Output } from '../output.ts';
import { RepairOutput } from '../repair-output.ts';
import { withSession } from '../session.ts';

/** `holdfast repair index`. */
export function repairIndex(invocation: Invocation<RepairIndexFlags>): Promise<number> {
  const { flags, environment, output } = invocation;
  const sessionOptions = {
    lock: 'exclusive',
    settleLater: true,
    writes: true,
    useCache: false,
  } as const;
  return withSession(invocation, sessionOptions, async (session) => {
    const { repository, signal, lock } = session;
    const monitor = new RepairOutput(invocation, session.monitor);
    try {
      const context = { environment, signal, monitor };
      const { readAllPacks } = flags;
      const plan = await planIndexRepair(repository, { readAllPacks }, context);
      // What was read before it was certain that nobody else writes may have changed meanwhile.
      await lock?.settled;
      const result = await executeIndexRepair(repository, plan, context);
      monitor.stop();
      if (output.isJson) output.json(summaryJson(result));
      else printText(output, result);
      return result.damagedPacks.length > 0 ? 1 : 0;
    } finally {
      monitor.stop();
    }
  });
}

function summaryJson(result: IndexRepairResult): Parameters<Output['json']>[0] {
  return {
    message_type: 'summary',
    added_packs: [...result.addedPacks],
    dropped_packs: [...result.droppedPacks],
    damaged_packs: [...result.damagedPacks],
    unreadable_packs: [...result.unreadablePacks],
    new_index_files: [...result.newIndexFiles],
    removed_index_files: [...result.removedIndexFiles, ...result.removedDamagedFiles],
  };
}

function printText(output: Output, result: IndexRepairResult): void {
  const { addedPacks, droppedPacks, damagedPacks, unreadablePacks } = result;
  for (const id of addedPacks) output.verbose(`entered pack ${id} into the index`);
  for (const id of droppedPacks) {
    output.errorLine(`pack ${id} is gone, or nothing of it can be read: it is no longer listed`);
  }
  for (const id of unreadablePacks) {
    output.errorLine(`pack ${id} is not listed: its header cannot be read`);
  }
  const removed = result.removedIndexFiles.length + result.removedDamagedFiles.length;
  if (result.newIndexFiles.length === 0 && removed === 0) {
    output.info('the index fits the packs: nothing was changed');
  } else {
    output.info(
      `wrote ${result.newIndexFiles.length} index files and removed ${removed}: ` +
        `${addedPacks.length} packs entered, ${droppedPacks.length} left out`,
    );
  }
  if (damagedPacks.length === 0) return;
  output.errorLine('These packs are damaged; what can be read of them is listed:');
  for (const id of damagedPacks) output.errorLine(`  ${id}`);
  output.errorLine(`Save it with: holdfast repair packs ${damagedPacks.slice(0, 10).join(' ')}`);
}
