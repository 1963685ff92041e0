import { IndexedRepository } from '../repository/indexed.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshots.ts';
import { describeError, endsWork } from '../base/errors.ts';
import { listKeys } from '../repository/keys.ts';
import { assertNeverAway } from './damage-if-held.ts';
import { type AffectedFile, AffectedFiles } from './trees/affected-files.ts';
import { BlobDamage } from './trees/blob-damage.ts';
import { Findings } from './check/findings.ts';
import { loadIndexForCheck } from './check/index-files.ts';
import type { CheckOptions, CheckResult } from './check/options.ts';
import { PackOrder } from './packs/pack-order.ts';
import { checkParity } from './check/parity.ts';
import { comparePacks, type PackList } from './check/packs.ts';
import { type DataRead, readPacks, type ReadParts } from './check/read-data.ts';
import { StructureCheck } from './check/structure.ts';
import type { EngineContext } from './context.ts';
import type { PhaseMonitor } from '../base/monitor.ts';

export type { AffectedFile } from './trees/affected-files.ts';
export type { CheckOptions, CheckResult, ReadData } from './check/options.ts';

/**
 * Checks a repository: index files, packs, snapshots, trees, and with `readData` the stored bytes.
 *
 * Reads only. Reports every problem to the monitor as it comes, goes on, and names the files and
 * snapshots that the damage reaches. A repository without damage has no `errors`.
 * @throws what the backend throws when it does not answer; CANCELLED; LOCK_LOST if there are errors and the lock was lost
 */
export async function check(
  repository: Repository,
  options: CheckOptions,
  context: EngineContext<PhaseMonitor>,
): Promise<CheckResult> {
  const { monitor } = context;
  const findings = new Findings(monitor);
  // Snapshots first: whatever a client adds meanwhile is then covered by the index read after it.
  monitor.phase('load snapshots');
  await checkKeys(repository, findings, context);
  const { selectSnapshot } = options;
  const loaded = await readSnapshots(repository, findings, context);
  const snapshots = selectSnapshot ? loaded.filter(selectSnapshot) : loaded;
  monitor.phase('load index files');
  const index = await loadIndexForCheck(repository, findings, context);
  const order = PackOrder.of(index);
  const damage = new BlobDamage(index);
  monitor.phase('check all packs');
  const parts = { repository, index, order, findings, damage };
  const packs = await comparePacks(repository, parts, context);
  if (loaded.length === 0 && findings.affectedSnapshots.size === 0)
    tellNoSnapshots(packs, findings);
  const indexed = new IndexedRepository(repository, index);
  const read = await follow(indexed, { snapshots, parts: { ...parts, packs }, options }, context);
  const readsAll = options.readData?.kind === 'all';
  const healablePacks = await checkParity(repository, { findings, index, readsAll }, context);
  const { affectedFilesMax = affectedFilesMaxDefault } = options;
  const named = { damage, findings, affectedFilesMax };
  const affected = await nameAffected(indexed, { snapshots, ...named }, context);
  if (findings.errorCount > 0) await assertNeverAway(repository);
  return {
    errors: findings.errors,
    errorCount: findings.errorCount,
    hints: findings.hints,
    brokenPacks: [...findings.brokenPacks],
    healablePacks,
    suggestRepairIndex: findings.suggestRepairIndex,
    suggestPrune: findings.suggestPrune,
    ...affected,
    affectedSnapshots: [...findings.affectedSnapshots],
    snapshotCount: snapshots.length,
    ...read,
  };
}

/** Follows the snapshots to their blobs, and reads packs beside it. */
async function follow(
  indexed: IndexedRepository,
  work: {
    readonly snapshots: readonly StoredSnapshot[];
    readonly parts: ReadParts;
    readonly options: CheckOptions;
  },
  context: EngineContext<PhaseMonitor>,
): Promise<DataRead> {
  const { snapshots, parts, options } = work;
  const { readData } = options;
  const { monitor } = context;
  const marksData = options.selectSnapshot !== undefined;
  monitor.phase(`check snapshots, trees and blobs${readData ? ', read packs' : ''}`);
  // Beside reading packs, which other threads do, only that tells its progress.
  const quiet: PhaseMonitor = {
    problem: (problem) => monitor.problem(problem),
    note: (text) => monitor.note(text),
    phase: (name) => monitor.phase(name),
    progress: () => {},
  };
  const structure = new StructureCheck(
    indexed,
    { ...parts, marksData },
    { ...context, monitor: readData ? quiet : monitor },
  );
  if (!readData) {
    await structure.run(snapshots);
    return nothingRead;
  }
  if (!marksData) return both(structure.run(snapshots), readPacks(parts, readData, context));
  await structure.run(snapshots);
  return readPacks({ ...parts, only: structure.marks }, readData, context);
}

/** Paths that are named; a hostile snapshot may have any number of them. */
const affectedFilesMaxDefault = 100_000;

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
  const snapshots = await loadSnapshots(repository, {
    signal,
    onUnreadable: (id, error) => {
      findings.error(`snapshot ${id}`, describeError(error), 'SNAPSHOT_DAMAGED');
      findings.affectedSnapshots.add(id);
    },
  });
  return snapshots.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** A folder of snapshots that is gone looks like one in which nothing is; only what they held is left to tell of them. */
function tellNoSnapshots({ sizes }: PackList, findings: Findings): void {
  const packCount = sizes.filter((size) => size !== undefined).length;
  if (packCount === 0) return;
  const text = `there are ${packCount} packs and no snapshots; if nobody removed them, bring the folder "snapshots" back from a copy, or run "holdfast recover"`;
  findings.hint(text);
}

/** Key files are not needed while one of them opens, so nothing else tells that one is damaged. */
async function checkKeys(
  repository: Repository,
  findings: Findings,
  { signal }: EngineContext,
): Promise<void> {
  try {
    const { damaged } = await listKeys(repository, { signal });
    for (const { id, error } of damaged) findings.error(`key ${id}`, error.message, 'KEY_DAMAGED');
  } catch (error) {
    if (endsWork(error)) throw error;
    findings.error('keys', describeError(error), 'KEY_DAMAGED');
  }
}

async function nameAffected(
  indexed: IndexedRepository,
  parts: {
    readonly snapshots: readonly StoredSnapshot[];
    readonly damage: BlobDamage;
    readonly findings: Findings;
    readonly affectedFilesMax: number;
  },
  context: EngineContext<PhaseMonitor>,
): Promise<Pick<CheckResult, 'affectedFiles' | 'hasMoreAffectedFiles'>> {
  const { snapshots, damage, findings, affectedFilesMax } = parts;
  const affectedFiles: AffectedFile[] = [];
  if (damage.isNone) return { affectedFiles, hasMoreAffectedFiles: false };
  context.monitor.phase('find the files that are affected');
  const finder = new AffectedFiles(indexed, damage, context);
  for (const snapshot of snapshots) {
    if (!(await finder.reaches(snapshot))) continue;
    findings.affectedSnapshots.add(snapshot.id);
    const left = affectedFilesMax + 1 - affectedFiles.length;
    for (const file of await finder.of(snapshot, left)) affectedFiles.push(file);
  }
  const hasMoreAffectedFiles = affectedFiles.length > affectedFilesMax;
  return { affectedFiles: affectedFiles.slice(0, affectedFilesMax), hasMoreAffectedFiles };
}
