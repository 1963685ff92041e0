import { expect } from 'vitest';

import type { CrashBed, Expectation } from './crash-bed.ts';
import { namesIn } from './crash-bed.ts';
import type { Disturbed } from './kill-points.ts';
import { mustSucceed } from './killed-run.ts';

/** What must be true after a command that was disturbed, and when it was given again. */
export interface Outcome {
  /** Right after it. */
  readonly after: Omit<Expectation, 'withRestic'>;
  /** When it was given again, and ended well. */
  readonly atEnd: Omit<Expectation, 'withRestic'>;
  /** If it ended well though a call failed: default as at the end. */
  readonly done?: Omit<Expectation, 'withRestic'>;
}

/**
 * Holds what a command left against the invariants, gives it again, and looks again. Nobody removes the lock that was left:
 * the next run knows that its owner is gone.
 */
export async function judgeWhole(
  bed: CrashBed,
  { command, run, isDone, withRestic }: Disturbed,
  { after, atEnd, done = atEnd }: Outcome,
): Promise<void> {
  const { repository } = command;
  // I1: what it said is true, though it was killed afterwards.
  const [, saved] = /^snapshot ([0-9a-f]{8}) saved/m.exec(run.output) ?? [];
  const ids = namesIn(repository, 'snapshots').map((id) => id.slice(0, 8));
  if (saved) expect(ids, 'I1: the snapshot it reported').toContain(saved);
  // I1, I2, I4a, I6, I8.
  await bed.examine(repository, { ...(isDone ? done : after), withRestic });
  await mustSucceed(command);
  await bed.examine(repository, { ...atEnd, withRestic });
  expectUnlocked(repository);
}

/** Throws if a lock is left. */
export function expectUnlocked(repository: string): void {
  expect(namesIn(repository, 'locks')).toEqual([]);
}
