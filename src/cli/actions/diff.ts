import { formatBytes } from '../../base/bytes.ts';
import {
  type DiffChange,
  type DiffCounts,
  type DiffStatistics,
  diffTrees,
} from '../../engine/diff.ts';
import { findTree } from '../../engine/trees/snapshot-path.ts';
import { shortId } from '../../repository/id.ts';
import { JsonWriter } from '../../repository/json.ts';
import type { Invocation } from '../command.ts';
import type { DiffFlags } from '../commands/diff.ts';
import type { JsonOutput } from '../go-json.ts';
import type { BulkWriter, Output } from '../output.ts';
import { usage } from '../parse.ts';
import { safeText } from '../safe-text.ts';
import { selectSnapshot } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

/** `holdfast diff`. */
export function diff(invocation: Invocation<DiffFlags>): Promise<number> {
  const { flags, output, environment } = invocation;
  const [source, target, extra] = invocation.arguments;
  if (source === undefined || target === undefined || extra !== undefined) {
    throw usage('specify two snapshot IDs', 'Usage: holdfast diff [flags] snapshotID snapshotID');
  }
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const { signal, monitor } = session;
    const one = await selectSnapshot(session, source);
    const two = await selectSnapshot(session, target);
    const indexed = await session.loadIndex();
    output.info(`comparing snapshot ${shortId(one.snapshot.id)} to ${shortId(two.snapshot.id)}:`);
    output.info('');
    const lines = output.bulk();
    const onChange = changePrinter(output, lines);
    const before = await findTree(indexed, one, { signal });
    const after = await findTree(indexed, two, { signal });
    const request = { before, after, metadata: flags.metadata, onChange };
    const context = { environment, signal, monitor };
    const statistics = await diffTrees(indexed, request, context).finally(() => lines.end());
    if (output.isJson) printJson(output, statistics, { source, target });
    else printText(output, statistics);
    return session.exitCode();
  });
}

function changePrinter(output: Output, lines: BulkWriter): (change: DiffChange) => void {
  const { isTerminal } = output.stdout;
  if (!output.isJson) {
    return ({ path, modifier }) => {
      lines.write(modifier.padEnd(5));
      lines.write(isTerminal ? safeText(path) : path);
      lines.write('\n');
    };
  }
  const writer = new JsonWriter();
  return ({ path, modifier }) => {
    writer.length = 0;
    writer.ascii('{"message_type":"change","path":');
    writer.string(path);
    writer.ascii(`,"modifier":"${modifier}"}\n`);
    lines.write(writer.bytes.slice(0, writer.length));
  };
}

function printJson(
  output: Output,
  { changedFiles, added, removed }: DiffStatistics,
  { source, target }: { readonly source: string; readonly target: string },
): void {
  output.json({
    message_type: 'statistics',
    source_snapshot: source,
    target_snapshot: target,
    changed_files: changedFiles,
    added: countsJson(added),
    removed: countsJson(removed),
  });
}

function countsJson(counts: DiffCounts): JsonOutput {
  const { files, dirs, others, dataBlobs, treeBlobs, bytes } = counts;
  return { files, dirs, others, data_blobs: dataBlobs, tree_blobs: treeBlobs, bytes };
}

function printText(output: Output, { changedFiles, added, removed }: DiffStatistics): void {
  const row = (label: string, key: keyof DiffCounts, more = ''): void => {
    const counts = `${pad(added[key])} new, ${pad(removed[key])} removed`;
    output.line(`${`${label}:`.padEnd(13)}${counts}${more}`);
  };
  output.line('');
  row('Files', 'files', `, ${pad(changedFiles)} changed`);
  row('Dirs', 'dirs');
  row('Others', 'others');
  row('Data Blobs', 'dataBlobs');
  row('Tree Blobs', 'treeBlobs');
  output.line(`  Added:   ${formatBytes(added.bytes).padEnd(5)}`);
  output.line(`  Removed: ${formatBytes(removed.bytes).padEnd(5)}`);
}

function pad(count: number): string {
  return String(count).padStart(5);
}
