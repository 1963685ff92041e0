import {
  repairSnapshots as repair,
  type SnapshotOutcome,
  type SnapshotRepairListener,
} from '../../engine/repair-snapshots.ts';
import { shortId } from '../../repository/id.ts';
import { type StoredSnapshot } from '../../repository/snapshots.ts';
import type { Invocation } from '../command.ts';
import type { RepairSnapshotsFlags } from '../commands/repair.ts';
import { formatStoredTime } from '../format.ts';
import type { Output } from '../output.ts';
import { withRepairSources } from '../repair-sources.ts';
import { safeText } from '../safe-text.ts';
import { allSnapshots, chooseSnapshots, filterOf } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';

/** `holdfast repair snapshots`. */
export function repairSnapshots(invocation: Invocation<RepairSnapshotsFlags>): Promise<number> {
  const { dryRun } = invocation.flags;
  const options = { lock: dryRun ? 'none' : 'exclusive', writes: !dryRun } as const;
  return withRepairSources(invocation, (sources, signal) =>
    withSession({ ...invocation, signal }, options, (session) => run(invocation, session, sources)),
  );
}

async function run(
  invocation: Invocation<RepairSnapshotsFlags>,
  session: Session,
  sources: Parameters<typeof repair>[1]['sources'],
): Promise<number> {
  const { flags, environment, output } = invocation;
  const { repository, lock, signal, monitor } = session;
  const wanted = { ids: invocation.arguments, filter: filterOf(flags) };
  const existing = await allSnapshots(session);
  const snapshots = await chooseSnapshots(session, { ...wanted, snapshots: existing }, output);
  const { forget, dryRun } = flags;
  const listener = new Teller(output, dryRun, forget);
  const request = { snapshots, existing, sources, lock, forget, dryRun, listener };
  const result = await repair(repository, request, { environment, signal, monitor });
  if (output.isJson) {
    output.json({
      message_type: 'summary',
      modified_snapshots: result.modifiedCount,
      blobs_healed: result.healedCount,
    });
  } else printSummary(output, result, dryRun);
  return session.exitCode();
}

function printSummary(
  output: Output,
  { modifiedCount, healedCount }: Awaited<ReturnType<typeof repair>>,
  dryRun: boolean,
): void {
  output.info('');
  if (healedCount > 0) output.info(`${healedCount} missing blobs were found elsewhere and stored`);
  if (modifiedCount === 0) output.info(`no snapshots ${dryRun ? 'would be' : 'were'} modified`);
  else output.info(`${dryRun ? 'would modify' : 'modified'} ${modifiedCount} snapshots`);
}

/** Tells of each snapshot, as restic does. */
class Teller implements SnapshotRepairListener {
  readonly #output: Output;
  readonly #dryRun: boolean;
  readonly #forget: boolean;

  constructor(output: Output, dryRun: boolean, forget: boolean) {
    this.#output = output;
    this.#dryRun = dryRun;
    this.#forget = forget;
  }

  started({ id, paths, time, username = '', hostname = '' }: StoredSnapshot): void {
    const who = safeText(`${username}@${hostname}`);
    const what = paths.map((path) => safeText(path)).join(' ');
    const when = formatStoredTime(time);
    this.#output.info(`\nsnapshot ${shortId(id)} of [${what}] at ${when} by ${who}`);
  }

  loss(path: string, loss: 'content' | 'folder' | 'node'): void {
    const name = JSON.stringify(safeText(path));
    const text = {
      content: `  file ${name}: removed missing content`,
      folder: `  dir ${name}: replaced with empty directory`,
      node: `  ${name}: removed, it cannot be restored`,
    };
    this.#output.info(text[loss]);
    if (this.#output.isJson) this.#output.json({ message_type: 'removed', path, loss });
  }

  ended({ id }: StoredSnapshot, outcome: SnapshotOutcome): void {
    if (outcome.kind === 'whole') return;
    if (this.#output.isJson) {
      const newId = outcome.kind === 'repaired' ? outcome.newId : undefined;
      const ids = { old_snapshot_id: id, new_snapshot_id: newId };
      return this.#output.json({ message_type: 'changed', ...ids, removed: outcome.isRemoved });
    }
    if (outcome.kind === 'lost') this.#output.info('  its root is lost: nothing of it is left');
    else if (outcome.newId === undefined) this.#output.info('would save new snapshot');
    else if (outcome.isNew) this.#output.info(`saved new snapshot ${shortId(outcome.newId)}`);
    else this.#output.info(`snapshot ${shortId(outcome.newId)} is its repaired form already`);
    if (outcome.isRemoved) this.#output.info(`removed old snapshot ${shortId(id)}`);
    else if (this.#dryRun && this.#forget) this.#output.info('would remove old snapshot');
    else if (outcome.kind === 'lost') this.#output.info('  it is kept until --forget is given');
  }
}
