import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import type { KillPoint } from './killed-run.ts';

const place = path.join(import.meta.dirname, 'known-calls.json');

/** How often each command makes each call: what a sample is drawn from without running the command to its end first. */
type KnownCalls = Record<string, Record<string, number>>;

/** The calls are counted anew, and nothing is killed: `HOLDFAST_CRASH=write`. */
export const countsCalls: boolean = process.env['HOLDFAST_CRASH'] === 'write';

/**
 * The calls that a command made when they were last counted; undefined if they never were. A command that makes others by now
 * is not missed: calls that it does not come to are tried in vain, and then they are counted.
 */
export function knownCalls(title: string): readonly KillPoint[] | undefined {
  const counts = load()[title];
  if (!counts) return undefined;
  return Object.entries(counts).flatMap(([call, count]) =>
    Array.from({ length: count }, (_, nth) => ({ call, nth: nth + 1 })),
  );
}

/** Remembers the calls of a command. */
export function keepCalls(title: string, points: readonly KillPoint[]): void {
  const counts: Record<string, number> = {};
  for (const { call, nth } of points) counts[call] = Math.max(nth, counts[call] ?? 0);
  // Several test files write, one after the other at best: what the others kept is read again.
  const all = { ...load(), [title]: counts };
  const sorted = Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(place, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

function load(): KnownCalls {
  return JSON.parse(readFileSync(place, 'utf8')) as KnownCalls;
}
