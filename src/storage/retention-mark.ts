import type { FileLock, RetentionPeriod } from './backend.ts';

/** The longest period that is taken: what is locked by mistake for longer outlives whoever made it. */
export const retentionDaysMax = 3650;

const dayMs = 86_400_000;
/** A backup takes time, and all of it is to be locked for the whole period from its end on. */
const slackDays = 1;

/** What the config of a repository carries beside its content, where a storage keeps such marks: `governance:30d`. */
export function encodeRetentionMark({ mode, days }: RetentionPeriod): string {
  return `${mode}:${days}d`;
}

/** What such a mark says; undefined for none, and for what is none. */
export function decodeRetentionMark(text: string | undefined): RetentionPeriod | undefined {
  const match = /^(governance|compliance):([0-9]{1,5})d$/.exec(text ?? '');
  const days = Number(match?.[2] ?? 0);
  if (days < 1 || days > retentionDaysMax) return undefined;
  return { mode: match?.[1] === 'compliance' ? 'compliance' : 'governance', days };
}

/** The lock of a file that is stored now: a day longer than the period. */
export function lockFrom(nowMs: number, { mode, days }: RetentionPeriod): FileLock {
  // Some servers know no milliseconds.
  const untilMs = Math.ceil((nowMs + (days + slackDays) * dayMs) / 1000) * 1000;
  return { mode, untilMs };
}

/** True if `lock` holds at least as long as `wanted`, and is no easier to lift. */
export function isAtLeast(lock: FileLock | undefined, wanted: FileLock): boolean {
  if (!lock || lock.untilMs < wanted.untilMs - 1000) return false;
  return lock.mode === 'compliance' || wanted.mode === 'governance';
}
