import path from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { type PackRepairResult, repairPacks as repair } from '../../engine/repair-packs.ts';
import type { Id } from '../../repository/id.ts';
import { isFileName } from '../../storage/backend.ts';
import type { Invocation } from '../command.ts';
import type { RepairPacksFlags } from '../commands/repair.ts';
import { keepPack } from '../keep-pack.ts';
import type { Output } from '../output.ts';
import { printLosses, RepairOutput } from '../repair-output.ts';
import { withRepairSources } from '../repair-sources.ts';
import { withSession } from '../session.ts';

/** `holdfast repair packs`. */
export function repairPacks(invocation: Invocation<RepairPacksFlags>): Promise<number> {
  const { environment, output } = invocation;
  const packs = [...new Set(invocation.arguments.map(packIdOf))];
  return withRepairSources(invocation, (sources, signal) =>
    withSession({ ...invocation, signal }, { lock: 'exclusive', writes: true }, async (session) => {
      const { repository } = session;
      const monitor = new RepairOutput(invocation, session.monitor);
      try {
        const request = { packs, sources, keep };
        const context = { environment, signal: session.signal, monitor };
        const result = await repair(repository, request, context);
        monitor.stop();
        if (output.isJson) output.json(summaryJson(result));
        else printText(output, result);
        return result.unreadPacks.length > 0 ? 1 : 0;
      } finally {
        monitor.stop();
      }
    }),
  );
}

/** Keeps a damaged pack where restic does: in the current directory. */
async function keep(id: Id, bytes: Uint8Array): Promise<string> {
  return keepPack(path.resolve('.'), id, bytes);
}

/** @throws USAGE */
function packIdOf(text: string): Id {
  if (isFileName(text)) return text;
  throw new HoldfastError('USAGE', {
    message: `${JSON.stringify(text)} is not the id of a pack`,
    hint: 'Give all 64 digits, as "holdfast check --read-data" or "holdfast list packs" print them.',
  });
}

function summaryJson(result: PackRepairResult): Parameters<Output['json']>[0] {
  return {
    message_type: 'summary',
    whole_packs: [...result.wholePacks],
    healed_packs: result.healedPacks.map(({ id, keptAt }) => ({ id, kept_at: keptAt })),
    removed_packs: result.removedPacks.map(({ id, keptAt }) => ({ id, kept_at: keptAt })),
    unread_packs: [...result.unreadPacks],
    new_packs: [...result.newPacks],
    blobs_salvaged: result.salvagedCount,
    blobs_healed: result.healedCount,
    blobs_lost: result.lostCount,
    affected_snapshots: [...result.affectedSnapshots],
    affected_files: result.affectedFiles.map(({ snapshot, path: at }) => ({ snapshot, path: at })),
  };
}

function printText(output: Output, result: PackRepairResult): void {
  const { wholePacks, removedPacks, unreadPacks, affectedFiles } = result;
  for (const id of wholePacks) output.info(`pack ${id} is whole: nothing was changed`);
  for (const { id, keptAt } of result.healedPacks) {
    const kept = keptAt === undefined ? '' : `; its damaged bytes are kept in ${keptAt}`;
    output.info(`healed pack ${id} with its parity${kept}`);
  }
  for (const { id, keptAt } of removedPacks) {
    output.info(
      keptAt === undefined
        ? `pack ${id} is gone, and no longer listed`
        : `removed pack ${id}; its damaged bytes are kept in ${keptAt}`,
    );
  }
  for (const id of unreadPacks) {
    output.errorLine(`pack ${id} stays: the storage fails to read it; what it gave is stored anew`);
  }
  const { salvagedCount, healedCount, lostCount } = result;
  output.info(`${salvagedCount} blobs saved, ${healedCount} found elsewhere, ${lostCount} lost`);
  if (lostCount === 0) return;
  printLosses(output, affectedFiles);
  output.errorLine(
    'A backup of the same files stores lost content again. Else "holdfast repair snapshots" takes it out of the snapshots.',
  );
}
