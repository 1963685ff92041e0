import { lengthMs } from '../contracts/durations.ts';
import type { Estate } from '../contracts/estate.ts';
import type { FieldProblem } from '../contracts/estate-references.ts';
import type { Policy } from '../contracts/policy.ts';
import type { Rhythm } from '../contracts/rhythm.ts';
import { verifyRhythm } from './duties.ts';
import { longestGapMs, slotsOf } from './slots.ts';
import { datesProblem, openTimesOf } from './windows.ts';
import { machineZone } from './zone.ts';

type Path = readonly (string | number)[];

/**
 * What is wrong with policies whose form is right: what would never run, and what cannot be held.
 *
 * @param nowMs from when on it is to be true
 */
export function meaningProblems({ policies }: Estate, nowMs: number): FieldProblem[] {
  return Object.entries(policies).flatMap(([name, policy]) => {
    const at: Path = ['policies', name];
    const zone = policy['time-zone'] ?? machineZone();
    const problems = rhythmsOf(policy).flatMap(({ path, rhythm }) =>
      rhythmProblems(rhythm, { path: [...at, ...path], zone, nowMs }),
    );
    problems.push(...windowProblems(policy, { at, zone, nowMs }));
    if (problems.length === 0) problems.push(...verifyProblems(policy, { at, zone, nowMs }));
    return problems;
  });
}

function rhythmsOf(policy: Policy): { readonly path: Path; readonly rhythm: Rhythm }[] {
  const { backup, copies = [], prune, verify, drill } = policy;
  return [
    { path: ['backup'], rhythm: backup },
    ...copies.map(({ when }, i) => ({ path: ['copies', i, 'when'], rhythm: when })),
    { path: ['prune', 'when'], rhythm: prune?.when },
    { path: ['verify', 'when'], rhythm: verify?.when },
    { path: ['drill', 'when'], rhythm: drill?.when },
  ].flatMap(({ path, rhythm }) => (rhythm === undefined ? [] : [{ path, rhythm }]));
}

function rhythmProblems(
  rhythm: Rhythm,
  { path, zone, nowMs }: { readonly path: Path; readonly zone: string; readonly nowMs: number },
): FieldProblem[] {
  if (rhythm.cron === undefined) return [];
  const at = [...path, 'cron'];
  try {
    const slots = slotsOf(rhythm, zone);
    return slots.next(nowMs) === undefined ? [{ path: at, message: 'never comes' }] : [];
  } catch (error) {
    if (error instanceof RangeError) return [{ path: at, message: error.message }];
    throw error;
  }
}

interface Place {
  readonly at: Path;
  readonly zone: string;
  readonly nowMs: number;
}

function windowProblems(policy: Policy, { at, zone, nowMs }: Place): FieldProblem[] {
  const problems = (policy.blackout ?? []).flatMap((text, i) => {
    const message = datesProblem(text);
    return message === undefined ? [] : [{ path: [...at, 'blackout', i], message }];
  });
  if (problems.length > 0 || openTimesOf(policy, zone).opensAt(nowMs) !== undefined)
    return problems;
  const field = policy.windows ? 'windows' : policy['not-during'] ? 'not-during' : 'blackout';
  return [{ path: [...at, field], message: 'leaves no time in which anything may start' }];
}

/** Runs that are further apart than the time for all of it leave some unread. */
function verifyProblems({ verify }: Policy, { at, zone, nowMs }: Place): FieldProblem[] {
  if (verify === undefined) return [];
  const gapMs = longestGapMs(slotsOf(verifyRhythm(verify), zone), nowMs);
  if (gapMs !== undefined && gapMs <= lengthMs(verify.within)) return [];
  const message = `is shorter than the time between two runs`;
  return [{ path: [...at, 'verify', 'within'], message }];
}
