import { toHex } from '../../base/bytes.ts';
import {
  executeIndexRepair,
  type IndexRepairOptions,
  type IndexRepairResult,
  type LostBlob,
  planIndexRepair,
} from '../../engine/repair-index.ts';
import type { Invocation } from '../command.ts';
import type { RepairIndexFlags } from '../commands/repair.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { RepairOutput } from '../repair-output.ts';
import { withSession } from '../session.ts';

/** Lost blobs named; all are in the JSON output. */
const blobsShownMax = 100;

/** `holdfast repair index`. */
export function repairIndex(invocation: Invocation<RepairIndexFlags>): Promise<number> {
  const { flags, environment, output } = invocation;
  if (flags.readData && flags.headersOnly) {
    throw usage('--read-data and --headers-only cannot be given together');
  }
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
      const plan = await planIndexRepair(repository, optionsOf(flags), context);
      // Reads headers and makes index files while the lock settles; what it stores waits for that by itself.
      const result = await executeIndexRepair(repository, plan, context);
      // Nothing is told of a repository that another one may have been changing.
      await lock?.settled;
      monitor.stop();
      if (output.isJson) output.json(summaryJson(result));
      else printText(output, result);
      return result.damagedPacks.length > 0 ? 1 : 0;
    } finally {
      monitor.stop();
    }
  });
}

function optionsOf(flags: Invocation<RepairIndexFlags>['flags']): IndexRepairOptions {
  const { readAllPacks, readData, headersOnly } = flags;
  return { readAllPacks, readsWhole: readData ? 'all' : headersOnly ? 'none' : 'left' };
}

function summaryJson(result: IndexRepairResult): Parameters<Output['json']>[0] {
  return {
    message_type: 'summary',
    added_packs: [...result.addedPacks],
    dropped_packs: [...result.droppedPacks],
    damaged_packs: [...result.damagedPacks],
    unreadable_packs: [...result.unreadablePacks],
    lost_blobs: result.lostBlobs.map(({ pack, blob }) => ({
      pack,
      type: blob.type,
      id: toHex(blob.id),
    })),
    unread_packs: result.unreadCount,
    new_index_files: [...result.newIndexFiles],
    removed_index_files: [...result.removedIndexFiles, ...result.removedDamagedFiles],
  };
}

function printText(output: Output, result: IndexRepairResult): void {
  const { addedPacks, droppedPacks, damagedPacks, unreadablePacks, unreadCount } = result;
  for (const id of addedPacks) output.verbose(`entered pack ${id} into the index`);
  for (const id of droppedPacks) {
    output.errorLine(`pack ${id} is gone, or nothing of it can be read: it is no longer listed`);
  }
  for (const id of unreadablePacks) {
    output.errorLine(
      `pack ${id} is not listed: nothing of it can be read that is not stored elsewhere`,
    );
  }
  printLostBlobs(output, result.lostBlobs);
  const removed = result.removedIndexFiles.length + result.removedDamagedFiles.length;
  if (result.newIndexFiles.length === 0 && removed === 0) {
    output.info('the index fits the packs: nothing was changed');
  } else {
    output.info(
      `wrote ${result.newIndexFiles.length} index files and removed ${removed}: ` +
        `${addedPacks.length} packs entered, ${droppedPacks.length} left out`,
    );
  }
  if (unreadCount > 0) {
    output.info(
      `${unreadCount} packs were entered by their headers: "holdfast check --read-data" reads them whole`,
    );
  }
  if (damagedPacks.length === 0) return;
  output.errorLine('These packs are damaged; what can be read of them is listed:');
  for (const id of damagedPacks) output.errorLine(`  ${id}`);
  output.errorLine(`Save it with: holdfast repair packs ${damagedPacks.slice(0, 10).join(' ')}`);
}

function printLostBlobs(output: Output, lost: readonly LostBlob[]): void {
  for (const { pack, blob } of lost.slice(0, blobsShownMax)) {
    const { type, id } = blob;
    output.errorLine(`${type} blob ${toHex(id)} of pack ${pack} is not listed: it cannot be read`);
  }
  const more = lost.length - blobsShownMax;
  if (more > 0) output.errorLine(`and ${more} other blobs: --json names them`);
}
