import type { RunRow } from '../state/tables.ts';

/** Tries of one slot at most, and what they wait for: a failed run has tried again by itself already. */
const attemptCountMax = 4;
const failurePauseMs = 10 * 60_000;

/** How often a removable store that is away is looked for. */
const awayPauseMs = 15 * 60_000;

/** Pause before what was interrupted is tried again; a run that kills its server must not do so in a loop. */
const interruptedPauseMs = 10_000;

/** The next try of a slot. */
export interface NextAttempt {
  readonly attempt: number;
  /** Not before; in milliseconds since 1970. Infinity: not at all. */
  readonly atMs: number;
}

/** What follows the last try of a slot, which did not serve it. @returns undefined while one is under way */
export function nextAttempt(last: RunRow | undefined): NextAttempt | undefined {
  if (!last) return { attempt: 1, atMs: 0 };
  const attempt = last.attempt + 1;
  const endedMs = last.ended_ms;
  if (last.state !== 'ended' || endedMs === null) return undefined;
  const never = { attempt, atMs: Number.POSITIVE_INFINITY };
  const isLast = last.attempt >= attemptCountMax;
  switch (last.outcome) {
    case 'waiting':
      return { attempt, atMs: endedMs + awayPauseMs };
    case 'interrupted':
      return isLast
        ? never
        : { attempt, atMs: endedMs + interruptedPauseMs * 4 ** (last.attempt - 1) };
    case 'failed':
      return isLast ? never : { attempt, atMs: endedMs + failurePauseMs * 2 ** (last.attempt - 1) };
    case null:
    default:
      // Cancelled by somebody, or superseded: the next slot is the next chance.
      return never;
  }
}
