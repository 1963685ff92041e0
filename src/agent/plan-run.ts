import type { Duty } from '../policy/duties.ts';
import { type Dueness, duenessOf, overdueAt } from '../policy/schedule.ts';
import { oldestReadMs } from '../policy/verify-share.ts';
import type { DutyMemory } from './memory.ts';

/** What a run is to do about one duty. */
export interface PlannedDuty {
  readonly duty: Duty;
  readonly dueness: Dueness;
  readonly isRun: boolean;
  /** The slot that it serves. */
  readonly slotMs: number;
}

/** A duty whose last success is older than its policy allows. */
export interface OverdueDuty {
  readonly duty: Duty;
  /** Undefined: it never succeeded. */
  readonly lastSuccessMs: number | undefined;
  /** Since when it is overdue, in milliseconds since 1970. */
  readonly overdueMs: number;
}

/** Names that are neither a source nor a repository of the duties. */
export function unknownNames(duties: readonly Duty[], names: readonly string[]): string[] {
  return names.filter((name) => !duties.some((duty) => isOf(duty, [name], duties)));
}

/** The duties of some sources, with those of the repositories they use, or of some repositories; of all without names. */
export function dutiesNamed(duties: readonly Duty[], names: readonly string[]): Duty[] {
  return duties.filter((duty) => names.length === 0 || isOf(duty, names, duties));
}

function isOf(duty: Duty, names: readonly string[], all: readonly Duty[]): boolean {
  if ('sourceName' in duty && names.includes(duty.sourceName)) return true;
  if (names.includes(duty.repository)) return true;
  if ('sourceName' in duty) return false;
  return all.some(
    (other) =>
      'sourceName' in other &&
      names.includes(other.sourceName) &&
      other.repository === duty.repository,
  );
}

/** What is due, in the order in which it runs. @param all run everything, due or not, also outside of its windows */
export function planRun(
  duties: readonly Duty[],
  memory: Pick<DutyMemory, 'load'>,
  { nowMs, all }: { readonly nowMs: number; readonly all: boolean },
): PlannedDuty[] {
  return duties.map((duty) => {
    const { schedule } = duty;
    const dueness = duenessOf(schedule, memory.load(duty.id)?.servedMs, nowMs);
    const slotMs =
      'slotMs' in dueness
        ? dueness.slotMs
        : (schedule.slots.last(nowMs - schedule.jitterMs) ?? nowMs);
    return { duty, dueness, isRun: all || dueness.state === 'due', slotMs };
  });
}

/** Duties whose last success is too old: the absence that alerts, whatever the runs said. */
export function overdueDuties(
  duties: readonly Duty[],
  memory: Pick<DutyMemory, 'load'>,
  nowMs: number,
): OverdueDuty[] {
  return duties.flatMap((duty) => {
    const record = memory.load(duty.id);
    if (!record) return [];
    const { sinceMs, lastSuccessMs, verify } = record;
    const isVerify = duty.kind === 'verify';
    const lastMs =
      isVerify && verify ? oldestReadMs(verify, sinceMs) : isVerify ? sinceMs : lastSuccessMs;
    const overdueMs = overdueAt(duty.schedule, lastMs ?? sinceMs, duty.overdueAfterMs);
    if (overdueMs === undefined || overdueMs > nowMs) return [];
    return [{ duty, lastSuccessMs, overdueMs }];
  });
}
