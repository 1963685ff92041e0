import type { VerifyProgress } from '../policy/verify-share.ts';

/** What is known of a duty from the runs before. All of it can be lost: then it runs once more than it had to. */
export interface DutyRecord {
  /** Since when the duty is there, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** The slot of the last run that need not be repeated. */
  readonly servedMs?: number | undefined;
  readonly lastSuccessMs?: number | undefined;
  readonly lastFailure?: { readonly atMs: number; readonly message: string } | undefined;
  /** Where a verify was. */
  readonly verify?: VerifyProgress | undefined;
  /** How many drills there were, so that each takes other files. */
  readonly drillCount?: number | undefined;
}

/** Remembers duties by their ids from one run to the next. */
export interface DutyMemory {
  load(dutyId: string): DutyRecord | undefined;
  /** Keeps it, also if the process is killed right after. Never throws. */
  save(dutyId: string, record: DutyRecord): void;
}
