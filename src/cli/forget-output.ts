import type { ForgetGroup } from '../engine/forget.ts';
import { type Decision, isKept } from '../engine/retention/decide.ts';
import type { GroupBy } from '../engine/snapshot-groups.ts';
import { type Id, shortId } from '../repository/id.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { Invocation } from './command.ts';
import type { ForgetFlags } from './commands/forget.ts';
import { goJson, RawJson } from './go-json.ts';
import { asGrouped } from './group-by.ts';
import type { Output } from './output.ts';
import { snapshotJson } from './snapshot-json.ts';
import { groupTitle, snapshotTable } from './snapshot-table.ts';

/** The tables of what is kept and what goes, oldest first, as restic prints them. */
export function printGroups(
  { output, flags, variables }: Pick<Invocation<ForgetFlags>, 'output' | 'flags' | 'variables'>,
  groups: readonly ForgetGroup[],
  groupBy: GroupBy,
): void {
  if (output.verbosity < 1) return;
  const isGrouped = groupBy.host || groupBy.paths || groupBy.tags;
  for (const group of groups) {
    if (isGrouped) output.verbose(groupTitle(group));
    const shown = group.decisions
      .toReversed()
      .map((decision) => ({ ...decision, snapshot: asGrouped(decision.snapshot, groupBy) }));
    const reasons = new Map(shown.map((decision) => [decision.snapshot, decision.reasons]));
    const { compact } = flags;
    const print = (what: string, rows: readonly Decision[]): void => {
      if (rows.length === 0) return;
      const snapshots = rows.map(({ snapshot }) => snapshot);
      output.line(`${what} ${rows.length} snapshots:`);
      const options = { variables, compact, ...(what === 'keep' ? { reasons } : {}) };
      for (const line of snapshotTable(snapshots, options)) output.line(line);
      output.line('');
    };
    print('keep', shown.filter(isKept));
    print(
      'remove',
      shown.filter((decision) => !isKept(decision)),
    );
    noteUnsound(output, shown);
  }
}

/** Says which snapshots took no place from others: without it their number seems wrong. */
function noteUnsound(output: Output, decisions: readonly Decision[]): void {
  const notes = decisions.flatMap(({ snapshot, unsound }) =>
    unsound === undefined ? [] : [`${shortId(snapshot.id)} is ${unsound}`],
  );
  if (notes.length === 0) return;
  output.line(`take no place from others: ${notes.join(', ')}`);
  output.line('');
}

/** The groups as one document, newest snapshots first, as restic prints it. */
export function forgetJson(groups: readonly ForgetGroup[], groupBy: GroupBy): string {
  const json = (snapshot: StoredSnapshot): RawJson =>
    new RawJson(snapshotJson(asGrouped(snapshot, groupBy)));
  return goJson(
    groups.map(({ hostname, paths, tags, decisions }) => {
      const kept = decisions.filter(isKept);
      const gone = decisions.filter((decision) => !isKept(decision));
      return {
        tags: orNull(tags ?? []),
        host: hostname,
        paths: orNull(paths ?? []),
        keep: orNull(kept.map(({ snapshot }) => json(snapshot))),
        remove: orNull(gone.map(({ snapshot }) => json(snapshot))),
        reasons: orNull(
          kept.map(({ snapshot, reasons }) => ({ snapshot: json(snapshot), matches: reasons })),
        ),
      };
    }),
  );
}

/** Go writes a list that never got an element as null. */
function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length > 0 ? list : null;
}

/** What a dry run would have removed, as restic says it. */
export function printWouldRemove(output: Output, ids: readonly Id[]): void {
  if (ids.length === 0) return;
  output.info('Would have removed the following snapshots:');
  output.info(`{${ids.map(shortId).toSorted().join(' ')}}`);
  output.info('');
}
