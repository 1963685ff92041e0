import { describeError } from '../base/errors.ts';
import type { Problem } from '../base/monitor.ts';
import type { Duty } from '../policy/duties.ts';
import type { VerifyProgress } from '../policy/verify-share.ts';

/** Problems that a result names; all are counted. */
const problemsNamedMax = 1000;

/**
 * How a step ended. `incomplete`: a snapshot was stored that lacks something; `waiting`: a removable store is away, which is no
 * failure until the duty is overdue.
 */
export type Outcome = 'success' | 'incomplete' | 'failed' | 'waiting' | 'cancelled';

/** What carrying out a duty once came to. */
export interface StepResult {
  readonly duty: Duty;
  readonly outcome: Outcome;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly durationMs: number;
  /** How often it was tried. */
  readonly attempts: number;
  /** One line: what was done, or why not. */
  readonly summary: string;
  /** The first of `problemCount`, one line each. */
  readonly problems: readonly string[];
  readonly problemCount: number;
  /** What hooks and the backed up command printed, the end of it. */
  readonly output?: string | undefined;
  /** The snapshot that was stored. */
  readonly snapshotId?: string | undefined;
  /** Why it failed. */
  readonly error?: unknown;
}

/** What a step came to when it did not throw. */
export interface StepReport {
  readonly summary: string;
  /** The duty is not fulfilled though nothing ended the work: what was found wrong. */
  readonly failed?: boolean;
  readonly snapshotId?: string | undefined;
  /** Where the next verify goes on. */
  readonly verify?: VerifyProgress;
  /** How many drills there were, this one among them. */
  readonly drillCount?: number;
}

/** Collects the problems of a step. */
export class ProblemList {
  readonly named: string[] = [];
  count = 0;

  add(problem: Problem): void {
    const message = describeError(problem.error);
    this.addLine(problem.item === '' ? message : `${problem.item}: ${message}`);
  }

  addLine(line: string): void {
    this.count++;
    if (this.named.length < problemsNamedMax) this.named.push(line);
  }
}
