import { formatBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Problem, silentMonitor } from '../base/monitor.ts';
import { timestampToNs } from '../base/timestamp.ts';
import { restore, type RestoreMonitor } from '../engine/restore.ts';
import { exists } from '../platform/folders.ts';
import { isIncomplete } from '../repository/completeness.ts';
import { shortId } from '../repository/id.ts';
import { resolveSnapshot, type StoredSnapshot } from '../repository/snapshots.ts';
import type { AgentHost } from './host.ts';
import type {
  RestoreReport,
  RestoreTask,
  SnapshotFacts,
  SnapshotsReport,
  SnapshotsTask,
} from './run-messages.ts';
import { allSnapshots, sourceTag } from './source-snapshots.ts';
import { ProblemList } from './step-result.ts';
import { withEntry } from './with-entry.ts';

/** One page of the snapshots of a repository, the newest first. @throws what opening it throws */
export function listSnapshots(host: AgentHost, task: SnapshotsTask): Promise<SnapshotsReport> {
  const { name, entry, source, after, limit } = task;
  const use = {
    name,
    entry,
    operation: 'snapshots',
    lock: 'none',
    monitor: silentMonitor,
  } as const;
  return withEntry(host, use, async (session) => {
    const all = (await allSnapshots(session)).filter(
      ({ tags }) => source === undefined || tags?.includes(sourceTag(source)),
    );
    const keyed = all
      .map((snapshot) => ({ snapshot, key: keyOf(snapshot) }))
      .filter(({ key }) => after === undefined || key < after)
      .toSorted((a, b) => (a.key < b.key ? 1 : -1));
    return { snapshots: keyed.slice(0, limit).map(factsOf) };
  });
}

/** Sorts snapshots by time, and those of one moment by id. */
function keyOf({ time, id }: StoredSnapshot): string {
  return `${String(timestampToNs(time) / 1_000_000n).padStart(15, '0')} ${id}`;
}

function factsOf({
  snapshot,
  key,
}: {
  readonly snapshot: StoredSnapshot;
  readonly key: string;
}): SnapshotFacts {
  const { id, time, hostname, paths, tags, summary } = snapshot;
  return {
    key,
    id,
    timeMs: Number(timestampToNs(time) / 1_000_000n),
    hostname,
    paths,
    tags: tags ?? [],
    isComplete: !isIncomplete(snapshot),
    fileCount: summary?.totalFilesProcessed,
    sizeBytes: summary?.totalBytesProcessed,
  };
}

/**
 * Restores a snapshot, or a folder of it, to a folder that is not there yet, and reads back what was written.
 *
 * @throws STATE_CONFLICT if there is something at the target; SNAPSHOT_NOT_FOUND, PATH_NOT_FOUND, and what opening and restoring throw
 */
export function restoreSnapshot(
  host: AgentHost,
  task: RestoreTask,
  hears: RestoreMonitor,
): Promise<RestoreReport> {
  const { name, entry, snapshotId, path, target } = task;
  const { environment } = host;
  // Whoever may ask the server for a restore shall replace nothing with it.
  if (exists(Buffer.from(target))) {
    throw new HoldfastError('STATE_CONFLICT', {
      message: `there is something at ${JSON.stringify(target)} already`,
      hint: 'Name a folder that is not there yet.',
    });
  }
  const problems = new ProblemList();
  const monitor: RestoreMonitor = {
    note: (text) => hears.note(text),
    progress: (progress) => hears.progress(progress),
    problem(problem: Problem) {
      problems.add(problem);
      hears.problem(problem);
    },
  };
  const use = { name, entry, operation: 'restore', lock: 'shared', monitor } as const;
  return withEntry(host, use, async (session) => {
    const { repository, signal } = session;
    const { snapshot } = await resolveSnapshot(repository, snapshotId, { signal });
    const indexed = await session.loadIndex();
    const options = { overwrite: 'never', verify: true, subfolder: path } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    const result = await restore(indexed, request, { environment, signal, monitor });
    const { filesRestored, bytesRestored } = result;
    return {
      summary: `snapshot ${shortId(snapshot.id)}: ${filesRestored} items, ${formatBytes(bytesRestored)} restored to ${target} and compared`,
      snapshotId: snapshot.id,
      problems: problems.named,
      problemCount: problems.count,
    };
  });
}
