import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Policy } from '../contracts/policy.ts';
import { jitterMs } from './jitter.ts';
import { duenessOf, overdueAt, plannedStarts, type Schedule, scheduleOf } from './schedule.ts';
import { openTimesOf } from './windows.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const at = (text: string): number => Date.parse(text);

function policyOf(parts: Partial<Policy> = {}): Policy {
  return { repository: 'r', backup: { daily: ['02:30'] }, 'time-zone': 'Europe/Berlin', ...parts };
}

function schedule(parts: Partial<Policy> = {}, key = 'documents'): Schedule {
  const policy = policyOf(parts);
  return scheduleOf(policy, policy.backup, key);
}

const policies: fc.Arbitrary<Partial<Policy>> = fc.record({
  backup: fc.constantFrom<Policy['backup']>(
    { daily: ['02:30'] },
    { every: '6h' },
    { every: '35m' },
    { weekly: { on: ['mon', 'fri'], at: ['23:15'] } },
    { cron: '0 * * * *' },
  ),
  'time-zone': fc.constantFrom('Europe/Berlin', 'America/Santiago', 'Australia/Lord_Howe'),
  jitter: fc.constantFrom(undefined, '10m', '3h'),
  windows: fc.constantFrom(undefined, ['22:00-06:00'], ['mon-fri 01:00-04:00', 'sat,sun']),
  blackout: fc.constantFrom(undefined, ['12-24..01-02']),
});

const start = fc.oneof(
  fc.integer({ min: at('2026-01-01T00:00Z'), max: at('2028-01-01T00:00Z') }),
  fc
    .integer({ min: -30 * hourMs, max: 30 * hourMs })
    .map((shift) => at('2026-10-25T01:00Z') + shift),
);

/** What a caller does who looks at these times: each run serves its slot. */
function runsOf(one: Schedule, looks: readonly number[]): { slot: number; at: number }[] {
  const runs: { slot: number; at: number }[] = [];
  let served: number | undefined;
  for (const now of looks) {
    const dueness = duenessOf(one, served, now);
    if (dueness.state !== 'due') continue;
    served = dueness.slotMs;
    runs.push({ slot: dueness.slotMs, at: now });
  }
  return runs;
}

test('exactly one run for a slot, only where it may start, and never before its time', () => {
  fc.assert(
    fc.property(
      policies,
      start,
      fc.array(fc.integer({ min: 1, max: 300 })),
      (parts, from, steps) => {
        const one = schedule(parts);
        const looks: number[] = [];
        let now = from;
        for (const minutes of steps) looks.push((now += minutes * minuteMs));
        const runs = runsOf(one, looks);
        const slots = runs.map(({ slot }) => slot);
        expect(new Set(slots).size).toBe(slots.length);
        expect(slots).toEqual(slots.toSorted((a, b) => a - b));
        for (const { slot, at: ranAt } of runs) {
          expect(slot + one.jitterMs).toBeLessThanOrEqual(ranAt);
          expect(one.open.isOpen(ranAt)).toBe(true);
        }
      },
    ),
    { numRuns: 120 },
  );
});

test('who looks at each planned start runs there, and nowhere between', () => {
  fc.assert(
    fc.property(policies, start, (parts, from) => {
      const one = schedule(parts);
      // What is due already is none of the planned ones.
      const served = one.slots.last(from - one.jitterMs);
      const planned = plannedStarts(one, from, 4);
      expect(planned.length).toBe(4);
      let last = served;
      for (const [i, next] of planned.entries()) {
        const between = Math.floor(((planned[i - 1] ?? from) + next) / 2);
        const before = duenessOf(one, last, between);
        const mayWaitForWindow = i === 0 && !one.open.isOpen(between);
        if (!mayWaitForWindow) expect(before.state).not.toBe('due');
        const dueness = duenessOf(one, last, next);
        if (i > 0) expect(dueness.state).toBe('due');
        if ('slotMs' in dueness) last = dueness.slotMs;
      }
    }),
    { numRuns: 120 },
  );
});

test('a machine that was off for weeks catches up once', () => {
  const one = schedule();
  const looks = [
    '2026-11-01T02:00Z',
    '2026-11-20T10:00Z',
    '2026-11-20T10:15Z',
    '2026-11-21T01:31Z',
  ];
  const runs = runsOf(one, looks.map(at)).map(({ slot, at: ranAt }) => [
    new Date(slot).toISOString(),
    new Date(ranAt).toISOString(),
  ]);
  expect(runs).toEqual([
    ['2026-11-01T01:30:00.000Z', '2026-11-01T02:00:00.000Z'],
    ['2026-11-20T01:30:00.000Z', '2026-11-20T10:00:00.000Z'],
    ['2026-11-21T01:30:00.000Z', '2026-11-21T01:31:00.000Z'],
  ]);
});

test('a clock that jumps back runs no slot twice, and one that was far ahead does not silence the duty', () => {
  const one = schedule();
  const now = at('2026-11-20T10:00Z');
  const today = one.slots.last(now);
  expect(duenessOf(one, today, now - 5 * hourMs).state).toBe('served');
  expect(duenessOf(one, today, now - 12 * hourMs).state).toBe('served');
  const year2030 = one.slots.last(at('2030-01-01T00:00Z'));
  expect(duenessOf(one, year2030, now)).toEqual({ state: 'due', slotMs: today });
});

test('a served slot stays served for whatever jump of the clock within one slot', () => {
  fc.assert(
    fc.property(
      policies,
      start,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (parts, from, share) => {
        const one = schedule(parts);
        const slot = one.slots.last(from);
        const before = slot === undefined ? undefined : one.slots.last(slot - 1);
        if (slot === undefined || before === undefined) return;
        const back = before + one.jitterMs + Math.floor((slot - before) * share);
        expect(duenessOf(one, slot, back).state).toBe('served');
      },
    ),
    { numRuns: 120 },
  );
});

describe('windows', () => {
  const berlin = 'Europe/Berlin';
  const open = (parts: Parameters<typeof openTimesOf>[0]): ReturnType<typeof openTimesOf> =>
    openTimesOf(parts, berlin);

  test('one over midnight belongs to the day on which it begins', () => {
    const { isOpen, opensAt } = open({ windows: ['fri 22:00-06:00'] });
    expect(isOpen(at('2026-11-27T21:30Z'))).toBe(true);
    expect(isOpen(at('2026-11-28T04:59Z'))).toBe(true);
    expect(isOpen(at('2026-11-28T05:00Z'))).toBe(false);
    expect(isOpen(at('2026-11-27T04:00Z'))).toBe(false);
    expect(opensAt(at('2026-11-28T05:00Z'))).toBe(at('2026-12-04T21:00Z'));
  });

  test('what may not run wins, and days without runs may go over the end of the year', () => {
    const { isOpen, opensAt } = open({
      windows: ['mon-fri'],
      'not-during': ['08:00-18:00'],
      blackout: ['12-24..01-01'],
    });
    expect(isOpen(at('2026-11-24T12:00Z'))).toBe(false);
    expect(opensAt(at('2026-11-24T12:00Z'))).toBe(at('2026-11-24T17:00Z'));
    // New Year's Day 2027 is a Friday, the next day that is open a Monday.
    expect(opensAt(at('2026-12-24T12:00Z'))).toBe(at('2027-01-03T23:00Z'));
  });

  test('a window that begins in a gap opens with its end, and one that never opens says so', () => {
    expect(open({ windows: ['02:30-03:30'] }).opensAt(at('2026-03-29T00:30Z'))).toBe(
      at('2026-03-29T01:00Z'),
    );
    expect(open({ windows: ['mon'], 'not-during': ['mon'] }).opensAt(at('2026-11-24'))).toBe(
      undefined,
    );
  });

  test('what opensAt finds is open, and nothing before it is', () => {
    fc.assert(
      fc.property(policies, start, (parts, from) => {
        const { isOpen, opensAt } = openTimesOf(parts, parts['time-zone'] ?? 'UTC');
        const found = opensAt(from);
        if (found === undefined) throw new Error('these open');
        expect(isOpen(found)).toBe(true);
        for (let ms = from; ms < Math.min(found, from + 3 * dayMs); ms += 7 * minuteMs) {
          expect(isOpen(ms), new Date(ms).toISOString()).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });
});

test('jitter is the same for the same key, below its limit, and spread', () => {
  const values = Array.from({ length: 2000 }, (_, i) => jitterMs(`host-${i}`, 600_000));
  expect(values).toEqual(Array.from({ length: 2000 }, (_, i) => jitterMs(`host-${i}`, 600_000)));
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(600_000);
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = values.filter((ms) => Math.floor(ms / 60_000) === tenth).length;
    expect(count, `tenth ${tenth}`).toBeGreaterThan(140);
    expect(count, `tenth ${tenth}`).toBeLessThan(260);
  }
});

test('overdue: after the time that is named, else an hour after the second missed start', () => {
  const last = at('2026-11-24T01:35Z');
  expect(overdueAt(schedule(), last, 26 * hourMs)).toBe(last + 26 * hourMs);
  expect(overdueAt(schedule(), last, undefined)).toBe(at('2026-11-26T02:30Z'));
  const weekdays = schedule({ windows: ['mon-fri'] });
  // Friday's success: the weekend brings no run, and its slots wait for Monday's first minute.
  expect(overdueAt(weekdays, at('2026-11-27T01:35Z'), undefined)).toBe(at('2026-11-30T02:30Z'));
});
