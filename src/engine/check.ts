import type { Id } from '../repository/id.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshot, type StoredSnapshot } from '../repository/snapshots.ts';
import { describeError, isHoldfastError } from '../base/errors.ts';
import { AffectedFiles } from './check/affected.ts';
import { Findings } from './check/findings.ts';
import { loadIndexForCheck } from './check/index-files.ts';
import type { AffectedFile, CheckMonitor, CheckOptions, CheckResult } from './check/options.ts';
import { PackOrder } from './check/pack-order.ts';
import { comparePacks } from './check/packs.ts';
import { type DataRead, readPacks } from './check/read-data.ts';
import { StructureCheck } from './check/structure.ts';
import type { EngineContext } from './context.ts';

export type {
  AffectedFile,
  CheckMonitor,
  CheckOptions,
  CheckResult,
  ReadData,
} from './check/options.ts';

/**
 * Checks a repository: index files, packs, snapshots, trees, and with `readData` the stored bytes.
 *
 * Reads only. Reports every problem to the monitor as it comes, goes on, and names the files and
 * snapshots that the damage reaches. A repository without damage has no `errors`.
 * @throws what the backend throws when it does not answer; CANCELLED
 */
export async function check(
  repository: Repository,
  options: CheckOptions,
  context: EngineContext<CheckMonitor>,
): Promise<CheckResult> {
  const { monitor } = context;
  const findings = new Findings(monitor);
  // Snapshots first: whatever a client adds meanwhile is then covered by the index read after it.
  monitor.phase('load snapshots');
  const snapshots = await readSnapshots(repository, findings, context);
  monitor.phase('load index files');
  const index = await loadIndexForCheck(repository, findings, context);
  const order = PackOrder.of(index);
  monitor.phase('check all packs');
  const packs = await comparePacks(repository, { index, order, findings }, context);
  const indexed = new IndexedRepository(repository, index);
  const { readData } = options;
  monitor.phase(`check snapshots, trees and blobs${readData ? ', read packs' : ''}`);
  // Beside reading packs, which other threads do, only that tells its progress.
  const quiet: CheckMonitor = {
    problem: (problem) => monitor.problem(problem),
    note: (text) => monitor.note(text),
    phase: (name) => monitor.phase(name),
    progress: () => {},
  };
  const structure = new StructureCheck(indexed, findings, {
    ...context,
    monitor: readData ? quiet : monitor,
  });
  const parts = { repository, index, order, packs, findings };
  const read = await both(
    structure.run(snapshots),
    readData ? readPacks(parts, readData, context) : Promise.resolve(nothingRead),
  );
  const damage = { lostBlobs: findings.lostBlobs, damagedTrees: structure.damagedTrees };
  const affectedFiles = await nameAffected(indexed, snapshots, { damage, findings, context });
  return {
    errors: findings.errors,
    hints: findings.hints,
    brokenPacks: [...findings.brokenPacks],
    suggestRepairIndex: findings.suggestRepairIndex,
    suggestPrune: findings.suggestPrune,
    affectedFiles,
    affectedSnapshots: [...findings.affectedSnapshots],
    snapshotCount: snapshots.length,
    ...read,
  };
}

const nothingRead: DataRead = { packsRead: 0, bytesRead: 0 };

/** The result of the second, once both have ended. @throws the first failure, once both have ended */
async function both<T>(first: Promise<unknown>, second: Promise<T>): Promise<T> {
  await Promise.allSettled([first, second]);
  await first;
  return second;
}

async function readSnapshots(
  repository: Repository,
  findings: Findings,
  { signal }: EngineContext,
): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  for await (const { name } of repository.backend.list('snapshot', { signal })) {
    try {
      snapshots.push(await loadSnapshot(repository, name, { signal }));
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      findings.error(`snapshot ${name}`, describeError(error));
      findings.affectedSnapshots.add(name);
    }
  }
  return snapshots.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function nameAffected(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  parts: {
    readonly damage: { lostBlobs: ReadonlySet<string>; damagedTrees: ReadonlySet<string> };
    readonly findings: Findings;
    readonly context: EngineContext<CheckMonitor>;
  },
): Promise<AffectedFile[]> {
  const { damage, findings, context } = parts;
  if (damage.lostBlobs.size === 0 && damage.damagedTrees.size === 0) return [];
  context.monitor.phase('find the files that are affected');
  const finder = new AffectedFiles(indexed, damage, context);
  const affected: AffectedFile[] = [];
  for (const snapshot of snapshots) {
    const files = await finder.of(snapshot);
    const id: Id = snapshot.id;
    if (files.length > 0) findings.affectedSnapshots.add(id);
    for (const file of files) affected.push(file);
  }
  return affected;
}
