import { formatBytes } from '../../base/bytes.ts';
import { createStatsCounter, type RepositoryStats, type StatsMode } from '../../engine/stats.ts';
import { idBytes } from '../../repository/id.ts';
import type { Invocation } from '../command.ts';
import type { StatsFlags } from '../commands/stats.ts';
import type { Output } from '../output.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

/** `holdfast stats`. */
export function stats(invocation: Invocation<StatsFlags>): Promise<number> {
  const { flags, output, environment } = invocation;
  const mode: StatsMode = flags.mode ?? 'restore-size';
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const choice = { ids: invocation.arguments, filter: filterOf(flags) };
    const snapshots = await selectSnapshots(session, choice, output);
    const indexed = await session.loadIndex();
    output.info('scanning...');
    const { signal, monitor } = session;
    const counter = createStatsCounter(indexed, mode);
    for (const { tree } of snapshots) {
      await counter.add(idBytes(tree), { environment, signal, monitor });
    }
    if (output.isJson) printJson(output, counter.result(), snapshots.length);
    else printText(output, counter.result(), { mode, count: snapshots.length });
    return session.exitCode();
  });
}

function printJson(output: Output, result: RepositoryStats, count: number): void {
  output.json({
    total_size: result.totalSize,
    total_uncompressed_size: result.totalUncompressedSize || undefined,
    compression_ratio: result.compressionRatio || undefined,
    compression_progress: result.compressionProgress || undefined,
    compression_space_saving: result.compressionSpaceSaving || undefined,
    total_file_count: result.totalFileCount || undefined,
    total_blob_count: result.totalBlobCount || undefined,
    snapshots_count: count,
  });
}

function printText(
  output: Output,
  result: RepositoryStats,
  { mode, count }: { readonly mode: StatsMode; readonly count: number },
): void {
  const row = (label: string, value: string): void => {
    output.line(`${label.padStart(24)}:  ${value}`);
  };
  output.line(`Stats in ${mode} mode:`);
  row('Snapshots processed', String(count));
  if (result.totalBlobCount > 0) row('Total Blob Count', String(result.totalBlobCount));
  if (result.totalFileCount > 0) row('Total File Count', String(result.totalFileCount));
  if (result.totalUncompressedSize > 0) {
    row('Total Uncompressed Size', formatBytes(result.totalUncompressedSize));
  }
  row('Total Size', formatBytes(result.totalSize).padEnd(5));
  if (result.compressionProgress > 0) {
    row('Compression Progress', `${result.compressionProgress.toFixed(2)}%`);
  }
  if (result.compressionRatio > 0) {
    row('Compression Ratio', `${result.compressionRatio.toFixed(2)}x`);
  }
  if (result.compressionSpaceSaving > 0) {
    row('Compression Space Saving', `${result.compressionSpaceSaving.toFixed(2)}%`);
  }
}
