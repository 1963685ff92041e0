import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { sizeBytes } from '../../contracts/texts.ts';
import { isOwnerRefused, restore, type RestoreResult } from '../../engine/restore.ts';
import type { EntrySelect } from '../../engine/trees/entry-select.ts';
import { findTree } from '../../engine/trees/snapshot-path.ts';
import { walkTree } from '../../engine/trees/walk-paths.ts';
import { removeTree, temporaryDirectory } from '../../platform/folders.ts';
import type { DrillDuty } from '../../policy/duties.ts';
import { hash32 } from '../../policy/jitter.ts';
import { isIncomplete } from '../../repository/completeness.ts';
import { shortId } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { Session } from '../../session/session.ts';
import type { AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import { allSnapshots, snapshotsOf } from '../source-snapshots.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

const fileCountDefault = 50;
const sampleSizeDefault = '1G';

/**
 * Restores the newest complete snapshot of a source, or some of its files, to a new folder; reads everything back, compares it
 * with what the snapshot says, and removes the folder. Each drill of a sample takes other files.
 */
export function drillStep(
  run: AgentRun,
  duty: DrillDuty,
  monitor: StepMonitor,
): Promise<StepReport> {
  const { repository, policy, rule } = duty;
  const drillCount = run.memory.load(duty.id)?.drillCount ?? 0;
  const base = { repository, policy, operation: 'restore', monitor } as const;
  return withRepository(run, { ...base, lock: 'shared' }, async (session) => {
    const snapshot = newestComplete(snapshotsOf(await allSnapshots(session), duty));
    const indexed = await session.loadIndex();
    const drill = { run, monitor, session, indexed, snapshot };
    const sample = rule.what === 'all' ? undefined : await chooseFiles(drill, duty, drillCount);
    const result = await restoreAside(drill, { scratch: rule.scratch, sample });
    const expected = sample?.size;
    const { filesVerified, bytesRestored } = result;
    const summary = `snapshot ${shortId(snapshot.id)}: ${filesVerified} files, ${formatBytes(bytesRestored)} restored and compared`;
    if (expected !== undefined && filesVerified < expected) {
      return { summary: `${summary} of ${expected}`, failed: true, drillCount };
    }
    return { summary, failed: monitor.problems.count > 0, drillCount: drillCount + 1 };
  });
}

interface Drill {
  readonly run: AgentRun;
  readonly monitor: StepMonitor;
  readonly session: Session;
  readonly indexed: IndexedRepository;
  readonly snapshot: StoredSnapshot;
}

/** @throws SNAPSHOT_NOT_FOUND */
function newestComplete(snapshots: readonly StoredSnapshot[]): StoredSnapshot {
  const newest = snapshots.findLast((snapshot) => !isIncomplete(snapshot));
  if (newest) return newest;
  throw new HoldfastError('SNAPSHOT_NOT_FOUND', {
    message: 'there is no complete snapshot to restore',
    hint: 'Back the source up first.',
  });
}

/** Paths of the files of a sample, from the root of the snapshot, as the bytes' own text. */
async function chooseFiles(
  { run, monitor, session, indexed, snapshot }: Drill,
  { rule }: DrillDuty,
  drillCount: number,
): Promise<ReadonlySet<string>> {
  const { signal } = session;
  const { environment } = run.host;
  const count = rule.files ?? fileCountDefault;
  let chosen: { readonly key: string; readonly rank: number; readonly sizeBytes: number }[] = [];
  const best = (): typeof chosen => chosen.sort((a, b) => a.rank - b.rank).slice(0, count);
  const tree = await findTree(indexed, { snapshot }, { signal });
  const visitor = {
    node: ({ path, node }: Parameters<Parameters<typeof walkTree>[2]['node']>[0]) => {
      if (node.type !== 'file') return;
      const rank = hash32(Buffer.concat([Buffer.from(`${drillCount} `), path]));
      chosen.push({ key: keyOf(path), rank, sizeBytes: node.sizeBytes });
      if (chosen.length > 4 * count + 1000) chosen = best();
    },
  };
  await walkTree(indexed, tree, visitor, { environment, signal, monitor });
  const files = new Set<string>();
  let roomBytes = sizeBytes(rule['size-max'] ?? sampleSizeDefault);
  for (const file of best()) {
    if (file.sizeBytes > roomBytes) continue;
    roomBytes -= file.sizeBytes;
    files.add(file.key);
  }
  return files;
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}

/** The files of a sample, and the folders that lead to them. */
function selectFiles(files: ReadonlySet<string>): EntrySelect {
  const folders = new Set<string>();
  for (const file of files) {
    for (let at = file.lastIndexOf('/'); at > 0; at = file.lastIndexOf('/', at - 1)) {
      folders.add(file.slice(0, at));
    }
  }
  return (path) => {
    const key = keyOf(path);
    return { selected: files.has(key), mayHoldSelected: folders.has(key) };
  };
}

async function restoreAside(
  { run, monitor, session, indexed, snapshot }: Drill,
  how: { readonly scratch: string | undefined; readonly sample: ReadonlySet<string> | undefined },
): Promise<RestoreResult> {
  const { signal } = session;
  const { environment } = run.host;
  const target = temporaryDirectory('holdfast-drill-', how.scratch);
  try {
    const select = how.sample && selectFiles(how.sample);
    const options = { overwrite: 'always', verify: true, ...(select ? { select } : {}) } as const;
    const request = { snapshot, target, options };
    return await restore(indexed, request, { environment, signal, monitor });
  } finally {
    removeTree(target);
  }
}

/** True for what a drill does not count: only root can give files to their owners. */
export function isNoneOfDrill({ error }: { readonly error: unknown }): boolean {
  return isOwnerRefused(error);
}
