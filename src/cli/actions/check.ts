import { check as checkRepository, type CheckResult, type ReadData } from '../../engine/check.ts';
import { matches, type StoredSnapshot } from '../../repository/snapshots.ts';
import { CheckOutput } from '../check-output.ts';
import type { Invocation } from '../command.ts';
import type { CheckFlags } from '../commands/check.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { safeText } from '../safe-text.ts';
import { filterOf, selectSnapshot } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';
import { parseSize } from '../values.ts';

/** Files named below the errors; all are in the JSON output. */
const affectedFilesShownMax = 100;

/** `holdfast check`. */
export function check(invocation: Invocation<CheckFlags>): Promise<number> {
  const { flags, environment, output } = invocation;
  const readData = readDataOf(invocation);
  const sessionOptions = {
    lock: 'exclusive',
    tellsLock: true,
    settleLater: true,
    useCache: flags.withCache,
  } as const;
  return withSession(invocation, sessionOptions, async (session) => {
    const { repository, signal } = session;
    const selectSnapshot = await selectionOf(invocation, session);
    const monitor = new CheckOutput(invocation);
    try {
      const context = { environment, signal, monitor };
      const options = { ...(readData && { readData }), ...(selectSnapshot && { selectSnapshot }) };
      const result = await checkRepository(repository, options, context);
      // What was read while somebody else may have changed the repository proves nothing.
      await session.lock?.settled;
      monitor.stop();
      if (output.isJson) output.json(summaryJson(result));
      else printText(output, result);
      if (result.errorCount === 0) return 0;
      output.exitError(1, 'Fatal: repository contains errors', nextStep(result));
      return 1;
    } finally {
      monitor.stop();
    }
  });
}

/** The snapshots that arguments and filters choose; undefined for all. @throws SNAPSHOT_NOT_FOUND, ID_AMBIGUOUS */
async function selectionOf(
  { flags, arguments: ids }: Invocation<CheckFlags>,
  session: Session,
): Promise<((snapshot: StoredSnapshot) => boolean) | undefined> {
  const filter = filterOf(flags);
  if (ids.length > 0) {
    const chosen = new Set<string>();
    for (const id of ids) chosen.add((await selectSnapshot(session, id, filter)).snapshot.id);
    return (snapshot) => chosen.has(snapshot.id);
  }
  if (flags.hosts.length + flags.tags.length + flags.paths.length === 0) return undefined;
  return (snapshot) => matches(snapshot, filter);
}

function readDataOf({ flags }: Invocation<CheckFlags>): ReadData | undefined {
  const { readData, readDataSubset: subset } = flags;
  if (readData && subset !== undefined) {
    throw usage('--read-data and --read-data-subset cannot be used together');
  }
  if (readData) return { kind: 'all' };
  return subset === undefined ? undefined : parseSubset(subset);
}

/** @throws USAGE */
function parseSubset(text: string): ReadData {
  const part = /^(\d{1,9})\/(\d{1,9})$/.exec(text);
  if (part) {
    const [n, t] = [Number(part[1]), Number(part[2])];
    if (n >= 1 && n <= t && t <= 256) return { kind: 'part', part: n, total: t };
    throw usage(`--read-data-subset=${text}: n/t needs 1 <= n <= t <= 256, such as 1/2`);
  }
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  if (percent) {
    const value = Number(percent[1]);
    if (value > 0 && value <= 100) return { kind: 'percent', percent: value };
    throw usage(`--read-data-subset=${text}: a percentage lies above 0 and is at most 100`);
  }
  const size = parseSize(text);
  if ('value' in size && size.value > 0) return { kind: 'size', sizeBytes: size.value };
  throw usage(
    `invalid argument ${JSON.stringify(text)} for "--read-data-subset"`,
    "Write it as n/t, as a percentage such as '2.5%', or as a size such as 10G.",
  );
}

function summaryJson(result: CheckResult): Parameters<Output['json']>[0] {
  const { affectedSnapshots, affectedFiles } = result;
  return {
    message_type: 'summary',
    num_errors: result.errorCount,
    broken_packs: result.brokenPacks.length > 0 ? result.brokenPacks : null,
    healable_packs: result.healablePacks.length > 0 ? [...result.healablePacks] : undefined,
    suggest_repair_index: result.suggestRepairIndex,
    suggest_prune: result.suggestPrune,
    affected_snapshots: affectedSnapshots.length > 0 ? affectedSnapshots : undefined,
    affected_files:
      affectedFiles.length > 0
        ? affectedFiles.map(({ snapshot, path }) => ({ snapshot, path }))
        : undefined,
  };
}

/** What helps first: a later step may not be needed any more after an earlier one. */
function nextStep(result: CheckResult): string | undefined {
  const { brokenPacks, healablePacks, affectedSnapshots } = result;
  if (result.suggestRepairIndex) return 'Run "holdfast repair index", then check again.';
  if (brokenPacks.length > healablePacks.length) {
    return 'Run "holdfast repair packs" with the ids above, or "holdfast repair index" if they are gone; then check again.';
  }
  if (healablePacks.length > 0) return 'Heal the packs as said above, then check again.';
  if (affectedSnapshots.length === 0) return undefined;
  return 'Back up again: that stores what the source still has. "holdfast repair snapshots --dry-run" says what is lost.';
}

function printText(output: Output, result: CheckResult): void {
  if (result.errorCount === 0) return output.info('no errors were found');
  const { affectedSnapshots, affectedFiles, brokenPacks } = result;
  if (affectedSnapshots.length > 0) {
    output.errorLine('');
    output.errorLine('Damaged snapshots:');
    for (const id of affectedSnapshots) output.errorLine(`  ${id}`);
  }
  if (affectedFiles.length > 0) {
    output.errorLine('');
    output.errorLine('Files and folders that cannot be restored whole:');
    for (const { snapshot, path } of affectedFiles.slice(0, affectedFilesShownMax)) {
      output.errorLine(`  ${snapshot.slice(0, 8)}:${safeText(path)}`);
    }
    const more = affectedFiles.length - affectedFilesShownMax;
    const orMore = result.hasMoreAffectedFiles ? ' or more' : '';
    if (more > 0)
      output.errorLine(`  and ${more}${orMore} others: "holdfast check --json" names them`);
  }
  if (brokenPacks.length > 0) {
    output.errorLine('');
    output.errorLine('Missing or damaged pack files:');
    for (const id of brokenPacks) output.errorLine(`  ${id}`);
  }
  if (result.healablePacks.length > 0) {
    output.errorLine('');
    output.errorLine(`Their parity heals ${result.healablePacks.length} of them, whole, with:`);
    output.errorLine(`  holdfast repair packs ${result.healablePacks.join(' ')}`);
  }
  output.errorLine('');
}
