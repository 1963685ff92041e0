import { lengthMs } from '../contracts/durations.ts';
import type { Estate } from '../contracts/estate.ts';
import type {
  CopyRule,
  DrillRule,
  Policy,
  PruneRule,
  Retention,
  VerifyRule,
} from '../contracts/policy.ts';
import type { Rhythm } from '../contracts/rhythm.ts';
import type { SourceEntry } from '../contracts/source-entry.ts';
import { type Schedule, scheduleOf } from './schedule.ts';
import { longestGapMs } from './slots.ts';
import { partCount } from './verify-share.ts';

/** How often a share is read where a policy does not say. */
const verifyRhythmDefault: Rhythm = { every: '1d' };

/** What every duty has. */
interface DutyBase {
  /** Names the duty, unique in its estate and the same as long as it is there: `copy documents to cloud`. */
  readonly id: string;
  /** The policy that asks for it. */
  readonly policyName: string;
  readonly policy: Policy;
  readonly schedule: Schedule;
  /** When the last success is too old; undefined: see `overdueAt`. */
  readonly overdueAfterMs: number | undefined;
  /** The repository that it changes or reads. */
  readonly repository: string;
}

/** What every duty of a source has. */
interface SourceDuty extends DutyBase {
  readonly sourceName: string;
  readonly source: SourceEntry;
}

/** A snapshot of a source. */
export interface BackupDuty extends SourceDuty {
  readonly kind: 'backup';
}
/** Snapshots of a source that no rule keeps are removed, in one repository; after each backup or copy. */
export interface RetentionDuty extends SourceDuty {
  readonly kind: 'retention';
  readonly retention: Retention;
}
/** Snapshots of a source are copied to a second repository. */
export interface CopyDuty extends SourceDuty {
  readonly kind: 'copy';
  readonly from: string;
  readonly rule: CopyRule;
}
/** A restore of a source that proves that it works. */
export interface DrillDuty extends SourceDuty {
  readonly kind: 'drill';
  readonly rule: DrillRule;
}
/** Space that no snapshot uses is freed. */
export interface PruneDuty extends DutyBase {
  readonly kind: 'prune';
  readonly rule: PruneRule;
}
/** A share of all that is stored is read back. */
export interface VerifyDuty extends DutyBase {
  readonly kind: 'verify';
  readonly withinMs: number;
  /** Between two runs at most. */
  readonly gapMs: number;
  /** Shares that the repository is cut into. */
  readonly total: number;
}

/** Something that must be done again and again, each with its own last success, which alerts when it stays away. */
export type Duty = BackupDuty | RetentionDuty | CopyDuty | DrillDuty | PruneDuty | VerifyDuty;

/** The kinds of duties, in the order in which they run: a prune frees what a retention leaves, a verify reads what is left. */
export const dutyKinds = ['backup', 'copy', 'retention', 'prune', 'verify', 'drill'] as const;

/**
 * All duties of an estate, in the order in which they run. Those of a repository are there once, by the strictest policy that
 * uses it.
 * @param nowMs for how far apart the runs of cron expressions are
 */
export function dutiesOf(estate: Estate, nowMs: number): Duty[] {
  const ofSources = Object.entries(estate.sources).flatMap(([sourceName, source]) => {
    const policy = estate.policies[source.policy];
    return policy === undefined ? [] : sourceDuties({ sourceName, source, policy });
  });
  const all = [...ofSources, ...pruneDuties(estate, nowMs), ...verifyDuties(estate, nowMs)];
  return all.toSorted((a, b) => dutyKinds.indexOf(a.kind) - dutyKinds.indexOf(b.kind));
}

interface PlacedSource {
  readonly sourceName: string;
  readonly source: SourceEntry;
  readonly policy: Policy;
}

function sourceDuties({ sourceName, source, policy }: PlacedSource): Duty[] {
  const { repository } = policy;
  const make = (id: string, rhythm: Rhythm, overdueAfter: string | undefined) => ({
    id,
    policyName: source.policy,
    policy,
    // The key is the source's alone: what follows its backup keeps the distance to it.
    schedule: scheduleOf(policy, rhythm, sourceName),
    overdueAfterMs: overdueAfter === undefined ? undefined : lengthMs(overdueAfter),
    sourceName,
    source,
  });
  const duties: Duty[] = [
    {
      kind: 'backup',
      ...make(`back up ${sourceName}`, policy.backup, policy['overdue-after']),
      repository,
    },
  ];
  const retained = (place: string, retention: Retention, rhythm: Rhythm): Duty => ({
    kind: 'retention',
    ...make(`apply retention to ${sourceName} in ${place}`, rhythm, undefined),
    repository: place,
    retention,
  });
  if (policy.retention) duties.push(retained(repository, policy.retention, policy.backup));
  for (const rule of policy.copies ?? []) {
    const rhythm = rule.when ?? policy.backup;
    const id = `copy ${sourceName} to ${rule.repository}`;
    const copy = make(id, rhythm, rule['overdue-after']);
    duties.push({ kind: 'copy', ...copy, repository: rule.repository, from: repository, rule });
    if (rule.retention) duties.push(retained(rule.repository, rule.retention, rhythm));
  }
  const { drill } = policy;
  if (drill) {
    const made = make(`drill ${sourceName}`, drill.when, drill['overdue-after']);
    duties.push({ kind: 'drill', ...made, repository, rule: drill });
  }
  return duties;
}

/** A policy that is used, and a repository that it uses. */
interface Use {
  readonly policyName: string;
  readonly policy: Policy;
  readonly repository: string;
}

/** Policies that sources have, with each of their repositories. */
function usesOf({ sources, policies }: Estate): Use[] {
  const names = new Set(Object.values(sources).map(({ policy }) => policy));
  return [...names].flatMap((policyName) => {
    const policy = policies[policyName];
    if (policy === undefined) return [];
    const places = [policy.repository, ...(policy.copies ?? []).map((copy) => copy.repository)];
    return places.map((repository) => ({ policyName, policy, repository }));
  });
}

/** Of each repository the candidate with the lowest rank. */
function strictest<T extends { readonly repository: string; readonly rank: number }>(
  candidates: readonly T[],
): T[] {
  const best = new Map<string, T>();
  for (const candidate of candidates) {
    const known = best.get(candidate.repository);
    if (!known || candidate.rank < known.rank) best.set(candidate.repository, candidate);
  }
  return [...best.values()];
}

function pruneDuties(estate: Estate, nowMs: number): PruneDuty[] {
  const candidates = usesOf(estate).flatMap(({ policyName, policy, repository }) => {
    const rule = policy.prune;
    if (rule === undefined) return [];
    const schedule = scheduleOf(policy, rule.when, repository);
    const rank = longestGapMs(schedule.slots, nowMs) ?? Number.POSITIVE_INFINITY;
    return [{ policyName, policy, repository, rule, schedule, rank }];
  });
  return strictest(candidates).map((parts) => {
    const overdueAfter = parts.rule['overdue-after'];
    return {
      kind: 'prune',
      id: `free space in ${parts.repository}`,
      overdueAfterMs: overdueAfter === undefined ? undefined : lengthMs(overdueAfter),
      ...parts,
    };
  });
}

function verifyDuties(estate: Estate, nowMs: number): VerifyDuty[] {
  const candidates = usesOf(estate).flatMap(({ policyName, policy, repository }) => {
    const { verify } = policy;
    if (verify === undefined) return [];
    const schedule = scheduleOf(policy, verifyRhythm(verify), repository);
    return [{ policyName, policy, repository, schedule, rank: lengthMs(verify.within) }];
  });
  return strictest(candidates).map(({ rank: withinMs, ...parts }) => {
    const gapMs = longestGapMs(parts.schedule.slots, nowMs) ?? withinMs;
    return {
      kind: 'verify',
      id: `verify ${parts.repository}`,
      // All of it must have been read within this time: that is the duty.
      overdueAfterMs: withinMs,
      withinMs,
      gapMs,
      total: partCount(withinMs, gapMs),
      ...parts,
    };
  });
}

/** When a share is read. */
export function verifyRhythm({ when }: VerifyRule): Rhythm {
  return when ?? verifyRhythmDefault;
}
