import { usefulThreadCount } from '../base/worker-module.ts';
import { publishSnapshot } from './publish-snapshot.ts';
import { cancelled } from '../base/abort.ts';
import { fromHex, toHex } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { sha256 } from '../kernels/sha256.ts';
import { isIncomplete, markIncomplete } from '../repository/completeness.ts';
import type { Id } from '../repository/id.ts';
import type { StoredByWork } from '../repository/index-writer.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Snapshot, SnapshotSummary, StoredSnapshot } from '../repository/snapshots.ts';
import { encodeSnapshot } from '../repository/snapshots.ts';
import { localTime } from '../repository/time-format.ts';
import type { StreamSource } from '../sources/source.ts';
import { reliablePacks } from './packs/known-packs.ts';
import type { ParentTime } from './backup/change-detection.ts';
import type { Counters } from './backup/counters.ts';
import type { BackupMonitor, BackupOptions, BackupResult } from './backup/options.ts';
import { selectParent } from './backup/parent-snapshot.ts';
import { Pipeline } from './backup/pipeline.ts';
import { emptyTreeId } from './backup/empty-tree.ts';
import { BackupReport } from './backup/report.ts';
import { BackupRun } from './backup/run.ts';
import { SourceWalk } from './source-walk.ts';
import { storeStream } from './backup/stream.ts';
import type { EngineContext } from './context.ts';

export type { BackupItem, BackupMonitor, BackupOptions, BackupResult } from './backup/options.ts';
export { SourceWalk } from './source-walk.ts';

/** What one backup does, and what it begins with. */
export interface BackupRequest {
  readonly options: BackupOptions;
  /** Snapshots that there are, the oldest first, loaded before the index. */
  readonly earlier: readonly StoredSnapshot[];
  /** Held for the whole backup; absent in a dry run or without locks. */
  readonly lock?: HeldLock | undefined;
}

/**
 * Backs up a source into a repository.
 *
 * Order: packs, index files, then the snapshot, so that a crash at any time leaves the repository
 * whole. Problems with single items go to the monitor and into the result; the snapshot is written
 * without those items, and the caller must not report success.
 * @throws SOURCE_EMPTY if nothing is left to store, SOURCE_MISSING, COMMAND_FAILED, CANCELLED,
 * VERIFY_FAILED and what the backend throws: no snapshot was written then
 */
export async function backup(
  loaded: IndexedRepository,
  source: SourceWalk | StreamSource,
  request: BackupRequest,
  context: EngineContext<BackupMonitor>,
): Promise<BackupResult> {
  const { options, earlier } = request;
  const { clock } = context.environment;
  const startedMs = clock.monotonicMs();
  const started = localTime(clock.wallNs());
  const time = options.time ?? started;
  const isStream = 'kind' in source && source.kind === 'stream';
  const paths = isStream ? source.paths : (source as SourceWalk).source.paths;
  const preparing = Promise.all([
    reliablePacks(loaded, context),
    isStream ? undefined : selectParent(loaded.repository, paths, { options, time, earlier }),
  ]);
  if (!isStream) await (source as SourceWalk).aheadOf(preparing);
  const [indexed, parent] = await preparing;
  const { signal } = context;
  const closeSource = (): void => {
    const reason = signal?.aborted ? cancelled(signal) : undefined;
    if (source instanceof SourceWalk) source.source.close?.(reason);
  };
  // Ends every wait for a file system that does not answer.
  signal?.addEventListener('abort', closeSource, { once: true });
  if (!isStream) context.monitor.parent?.(parent?.id);
  const report = new BackupReport(context.monitor, clock);
  const pipeline = startPipeline(indexed, options, context);
  let tree: Id;
  try {
    const work = { indexed, pipeline, report, options, context };
    tree = toHex(
      isStream
        ? await storeStream(source, { ...work, time })
        : await new BackupRun({
            ...work,
            time,
            earlier,
            walk: source as SourceWalk,
            parentTime: parentTimeOf(parent),
          }).run(idBytes(parent?.tree)),
    );
  } catch (error) {
    pipeline.fail(error);
    throw error;
  } finally {
    closeSource();
    await pipeline.close();
  }
  if (tree === emptyTreeId)
    throw new HoldfastError('SOURCE_EMPTY', { message: 'snapshot is empty' });
  const ended = localTime(clock.wallNs());
  const summary = summaryOf(report.counters, started, ended);
  const excludes = isStream ? [] : (source as SourceWalk).source.excludes;
  const snapshot = snapshotOf({ options, paths, excludes, parent, time, tree, summary, report });
  const own = pipeline.stored;
  const snapshotId = await publish(indexed, snapshot, { request, parent, own, context });
  return {
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(parent ? { parentId: parent.id } : {}),
    treeId: tree,
    dryRun: options.dryRun === true,
    summary,
    totalDurationMs: clock.monotonicMs() - startedMs,
    problems: report.problems,
  };
}

function startPipeline(
  indexed: IndexedRepository,
  options: BackupOptions,
  context: EngineContext,
): Pipeline {
  const workerCount = options.workerCount ?? usefulThreadCount();
  return Pipeline.start(indexed, { workerCount, dryRun: options.dryRun === true }, context);
}

/** Writes the snapshot, the last thing a backup writes; undefined if nothing changed and that was asked. */
async function publish(
  indexed: IndexedRepository,
  snapshot: Snapshot,
  how: {
    readonly request: BackupRequest;
    readonly parent: StoredSnapshot | undefined;
    /** What this run stored. */
    readonly own: StoredByWork | undefined;
    readonly context: EngineContext;
  },
): Promise<Id | undefined> {
  const { options, lock } = how.request;
  if (options.skipIfUnchanged && isAsGoodAs(how.parent, snapshot)) return undefined;
  if (options.dryRun) return toHex(sha256(encodeSnapshot(snapshot)));
  // All packs and index files are stored and synced.
  const isLookedAt = how.parent?.tree === snapshot.tree;
  const data = { indexed, own: how.own, marked: 'absent', isLookedAt } as const;
  const publication = { snapshot, lock, isLast: true, data };
  return publishSnapshot(indexed.repository, publication, how.context);
}

/** Whether `snapshot` says no more than `parent`: of one that was incomplete there may be a whole one now. */
function isAsGoodAs(parent: Snapshot | undefined, snapshot: Snapshot): boolean {
  if (parent?.tree !== snapshot.tree) return false;
  return !isIncomplete(parent) || isIncomplete(snapshot);
}

function snapshotOf(parts: {
  readonly options: BackupOptions;
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  readonly parent: StoredSnapshot | undefined;
  readonly time: Timestamp;
  readonly tree: Id;
  readonly summary: SnapshotSummary;
  readonly report: BackupReport;
}): Snapshot {
  const { options, parent, excludes, report } = parts;
  const isComplete = report.problems.length === 0;
  const { programVersion } = options;
  return {
    time: parts.time,
    ...(parent ? { parent: parent.id } : {}),
    tree: parts.tree,
    paths: parts.paths,
    hostname: options.hostname,
    username: options.username,
    uid: options.uid,
    gid: options.gid,
    ...(excludes.length > 0 ? { excludes } : {}),
    ...(options.tags.length > 0 ? { tags: options.tags } : {}),
    programVersion: isComplete ? programVersion : markIncomplete(programVersion),
    summary: parts.summary,
  };
}

function summaryOf(counters: Counters, started: Timestamp, ended: Timestamp): SnapshotSummary {
  return {
    backupStart: started,
    backupEnd: ended,
    filesNew: counters.files.new,
    filesChanged: counters.files.changed,
    filesUnmodified: counters.files.unmodified,
    dirsNew: counters.directories.new,
    dirsChanged: counters.directories.changed,
    dirsUnmodified: counters.directories.unmodified,
    dataBlobs: counters.dataBlobs,
    treeBlobs: counters.treeBlobs,
    dataAdded: counters.addedBytes,
    dataAddedPacked: counters.addedStoredBytes,
    totalFilesProcessed: counters.filesProcessed,
    totalBytesProcessed: counters.processedBytes,
  };
}

function parentTimeOf(parent: StoredSnapshot | undefined): ParentTime | undefined {
  const { backupStart: start, backupEnd: end } = parent?.summary ?? {};
  return start && end && { start, end };
}

function idBytes(id: Id | undefined): Uint8Array | undefined {
  return id === undefined ? undefined : fromHex(id);
}
