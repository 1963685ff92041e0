import { formatBytes } from '../../base/bytes.ts';
import { sizeBytes } from '../../contracts/texts.ts';
import type { FilesSource } from '../../contracts/source-entry.ts';
import { backup, type BackupOptions, type BackupResult, SourceWalk } from '../../engine/backup.ts';
import { shortId } from '../../repository/id.ts';
import { type FileSourceOptions, openFileSource } from '../../sources/files/open-file-source.ts';
import { readPatternFiles } from '../../sources/files/pattern-files.ts';
import type { Source, StreamSource } from '../../sources/source.ts';
import { openCommandSource } from '../../sources/stream/command-source.ts';
import type { Session } from '../../session/session.ts';
import { thisOwner } from '../../session/this-process.ts';
import type { Backend } from '../../storage/backend.ts';
import type { BackupDuty } from '../../policy/duties.ts';
import type { AgentHost, AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import { allSnapshots, sourceHost, sourceTag } from '../source-snapshots.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

/** Backs up a source. What could not be stored as it was read is among the problems of the monitor. */
export async function backupStep(
  run: AgentRun,
  duty: BackupDuty,
  monitor: StepMonitor,
): Promise<StepReport> {
  const { host } = run;
  const { source, repository, policy } = duty;
  let walk: SourceWalk | undefined;
  const use = {
    repository,
    policy,
    operation: 'backup',
    monitor,
    lock: 'shared',
    writes: true,
    beside: async (storage: Backend, opening: Promise<unknown>) => {
      if (source.kind !== 'files') return;
      const files = await openFiles(source, { host, storage, monitor });
      walk = new SourceWalk(files, host.environment.clock);
      await walk.aheadOf(opening);
    },
  } as const;
  const result = await withRepository(run, use, (session) =>
    store({ host, duty, walk, monitor }, session),
  );
  const { snapshotId, summary } = result;
  const what =
    `${summary.totalFilesProcessed} files, ${formatBytes(summary.totalBytesProcessed ?? 0)}, ` +
    `of which ${formatBytes(summary.dataAddedPacked ?? 0)} new`;
  const named = snapshotId === undefined ? 'nothing new' : `snapshot ${shortId(snapshotId)}`;
  return { summary: `${named}: ${what}`, snapshotId };
}

interface BackupParts {
  readonly host: AgentHost;
  readonly duty: BackupDuty;
  readonly walk: SourceWalk | undefined;
  readonly monitor: StepMonitor;
}

async function store(parts: BackupParts, session: Session): Promise<BackupResult> {
  const { host, duty, walk, monitor } = parts;
  const { environment } = host;
  const { lock, signal } = session;
  const loading = (async () => {
    // Before the index, so that this has all that they refer to.
    const earlier = walk ? await allSnapshots(session) : [];
    return { earlier, indexed: await session.loadIndex() };
  })();
  await walk?.aheadOf(loading);
  const { earlier, indexed } = await loading;
  const source = walk ?? (await openStream(duty, host, signal));
  try {
    const request = { options: optionsOf(duty, host), earlier, lock };
    return await backup(indexed, source, request, { environment, signal, monitor });
  } finally {
    if (!(source instanceof SourceWalk)) await source.close();
  }
}

function optionsOf({ sourceName, source }: BackupDuty, host: AgentHost): BackupOptions {
  const owner = thisOwner();
  return {
    hostname: sourceHost(source),
    username: owner.username,
    uid: owner.uid ?? 0,
    gid: owner.gid ?? 0,
    programVersion: host.programVersion,
    tags: [sourceTag(sourceName), ...(source.tags ?? [])],
    // Of the same source, whatever its paths were.
    groupBy: { host: true, paths: false, tags: true },
  };
}

function openFiles(
  source: FilesSource,
  how: { readonly host: AgentHost; readonly storage: Backend; readonly monitor: StepMonitor },
): Promise<Source> {
  const { host, storage, monitor } = how;
  const { environment, signal, variables } = host;
  const read = (names: readonly string[] = []): Uint8Array[] =>
    readPatternFiles(names, { variables });
  const largest = source['exclude-larger-than'];
  const options: FileSourceOptions = {
    environment,
    signal,
    exclude: {
      patterns: [...(source.exclude ?? []), ...read(source['exclude-file'])],
      patternsIgnoringCase: [...(source.iexclude ?? []), ...read(source['iexclude-file'])],
      ifPresent: source['exclude-if-present'] ?? [],
      caches: source['exclude-caches'] ?? false,
      ...(largest === undefined ? {} : { largerThanBytes: sizeBytes(largest) }),
      oneFileSystem: source['one-file-system'] ?? false,
    },
    recordedExcludes: source.exclude ?? [],
    repositoryFolders: storage.localPath === undefined ? [] : [storage.localPath],
    cacheFolders: cacheFolders(host),
    onNote: (text) => monitor.note(text),
  };
  return openFileSource(
    source.paths.map((path) => Buffer.from(path)),
    options,
  );
}

function cacheFolders({ cache }: AgentHost): string[] {
  if (!cache) return [];
  try {
    return [cache.base()];
  } catch {
    // Without a folder for caches there is nothing to leave out.
    return [];
  }
}

/** Starts the producer late, when nothing is left that could fail before it is read. */
async function openStream(
  { source }: BackupDuty,
  { environment }: AgentHost,
  signal: AbortSignal,
): Promise<StreamSource> {
  if (source.kind === 'files') throw new Error('files have a walk');
  return openCommandSource(source.command, {
    environment,
    fileName: source['stdin-filename'],
    signal,
  });
}
