import {
  attackLocks,
  type AttackOutcome,
  extendLocks,
  type ImmutabilityReport,
  loadImmutability,
  promiseLocks,
  type SnapshotLock,
} from '../../engine/immutability.ts';
import { timestampFromNs } from '../../base/timestamp.ts';
import { shortId } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { describeHandle, type RetentionPeriod } from '../../storage/backend.ts';
import type { Invocation } from '../command.ts';
import type { ImmutabilityFlags } from '../commands/immutability.ts';
import { formatLocalTime } from '../format.ts';
import { lockPeriodOf } from '../lock-flags.ts';
import type { Output } from '../output.ts';
import { allSnapshots } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';
import { formatTable } from '../table.ts';

const sampleCountDefault = 3;

/** `holdfast immutability`. */
export function immutability(invocation: Invocation<ImmutabilityFlags>): Promise<number> {
  const { flags } = invocation;
  const period = lockPeriodOf(flags);
  const writes = period !== undefined || flags.extend || flags.attack;
  return withSession(invocation, { lock: 'shared', writes }, async (session) => {
    const { repository } = session;
    if (period) {
      await session.lock?.settled;
      await promiseLocks(repository, period, contextOf(invocation, session));
    }
    const snapshots = await allSnapshots(session);
    const indexed = await session.loadIndex();
    const load = (): Promise<ImmutabilityReport> =>
      loadImmutability(indexed, snapshots, contextOf(invocation, session));
    let report = await load();
    await session.lock?.settled;
    if (flags.extend) {
      await extend(invocation, session, { indexed, report });
      report = await load();
    }
    const outcomes = flags.attack ? await attack(invocation, session, report) : undefined;
    if (invocation.output.isJson) printJson(invocation.output, report, outcomes);
    else printText(invocation.output, report, outcomes);
    const isBroken = report.snapshots.some(({ isKept }) => !isKept) || hidden(report).length > 0;
    const isBreakable = outcomes?.some(({ isSafe }) => !isSafe) ?? false;
    return isBroken || isBreakable ? 1 : session.exitCode();
  });
}

type Context = Parameters<typeof loadImmutability>[2];

function contextOf({ environment }: Invocation, { signal, monitor }: Session): Context {
  return { environment, signal, monitor };
}

async function extend(
  invocation: Invocation,
  session: Session,
  found: { readonly indexed: IndexedRepository; readonly report: ImmutabilityReport },
): Promise<void> {
  const { files, snapshots, needed } = found.report;
  const packs = new Map(needed.map((each) => [each.snapshot.id, each.packs]));
  const request = {
    files,
    snapshots: snapshots.map(({ snapshot: { id }, storedMs }) => ({
      id,
      storedMs,
      packs: packs.get(id) ?? new Set<string>(),
    })),
  };
  const context = contextOf(invocation, session);
  const { repository } = found.indexed;
  const { extendedCount, leftCount } = await extendLocks(repository, request, context);
  invocation.output.info(
    `extended the locks of ${extendedCount} files; ${leftCount} last long enough`,
  );
}

function attack(
  invocation: Invocation<ImmutabilityFlags>,
  session: Session,
  { files }: ImmutabilityReport,
): Promise<AttackOutcome[]> {
  const { sample: sampleCount = sampleCountDefault } = invocation.flags;
  const context = contextOf(invocation, session);
  return attackLocks(session.repository, { files, sampleCount }, context);
}

function hidden({ files }: ImmutabilityReport): ImmutabilityReport['files'] {
  return files.filter(({ isHidden }) => isHidden);
}

function printText(
  output: Output,
  report: ImmutabilityReport,
  outcomes: readonly AttackOutcome[] | undefined,
): void {
  const { promised, byDefault, snapshots } = report;
  output.line(`promised: ${periodText(promised) ?? 'nothing'}`);
  if (byDefault) output.line(`the storage locks by itself: ${periodText(byDefault)}`);
  output.line('');
  const columns = [
    { title: 'ID', cell: ({ snapshot }: SnapshotLock) => shortId(snapshot.id) },
    { title: 'Stored', cell: ({ storedMs }: SnapshotLock) => timeText(storedMs) },
    {
      title: 'Promised until',
      cell: ({ promisedUntilMs }: SnapshotLock) => timeText(promisedUntilMs) ?? 'nothing',
    },
    {
      title: 'All locked until',
      cell: ({ lockedUntilMs }: SnapshotLock) => timeText(lockedUntilMs) ?? 'not locked',
    },
    { title: 'Kept', cell: keptText },
  ];
  for (const line of formatTable(columns, snapshots)) output.line(line);
  const lockedCount = report.files.filter(({ lock }) => lock).length;
  output.line(`${lockedCount} of ${report.files.length} files that they need are locked`);
  for (const { handle } of hidden(report)) {
    output.errorLine(`${describeHandle(handle)} was removed or overwritten: run "holdfast rescue"`);
  }
  for (const outcome of outcomes ?? []) output.line(outcomeText(outcome));
}

function keptText({ isKept, weakest }: SnapshotLock): string {
  return isKept || !weakest ? 'yes' : `NO: ${describeHandle(weakest)}`;
}

function outcomeText({ target, attempt, answer, isSafe }: AttackOutcome): string {
  const what = target === 'canary' ? target : `pack ${shortId(target)}`;
  if (!isSafe) return `attack on ${what}, ${attempt}: SUCCEEDED`;
  return `attack on ${what}, ${attempt}: ${answer === 'refused' ? 'refused' : 'taken, and the locked version is untouched'}`;
}

function periodText(period: RetentionPeriod | undefined): string | undefined {
  return period && `${period.days} days from being stored on, ${period.mode}`;
}

function timeText(ms: number): string;
function timeText(ms: number | undefined): string | undefined;
function timeText(ms: number | undefined): string | undefined {
  return ms === undefined
    ? undefined
    : formatLocalTime(timestampFromNs(BigInt(Math.round(ms)) * 1_000_000n));
}

function printJson(
  output: Output,
  report: ImmutabilityReport,
  outcomes: readonly AttackOutcome[] | undefined,
): void {
  const { promised, byDefault } = report;
  output.json({
    message_type: 'summary',
    promised: promised && { mode: promised.mode, days: promised.days },
    default: byDefault && { mode: byDefault.mode, days: byDefault.days },
    snapshots: report.snapshots.map((each) => ({
      id: each.snapshot.id,
      stored: isoText(each.storedMs),
      promised_until: isoText(each.promisedUntilMs),
      locked_until: isoText(each.lockedUntilMs),
      kept: each.isKept,
      weakest: each.weakest && describeHandle(each.weakest),
    })),
    files: report.files.length,
    files_locked: report.files.filter(({ lock }) => lock).length,
    hidden: hidden(report).map(({ handle }) => describeHandle(handle)),
    attacks: outcomes?.map(({ target, attempt, answer, isSafe }) => ({
      target,
      attempt,
      answer,
      safe: isSafe,
    })),
  });
}

function isoText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
