import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { markIncomplete } from '../../repository/completeness.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { formatTime, parseTime, utcZone } from '../../repository/time-format.ts';
import { applyPolicy, newestFirst } from './apply-policy.ts';
import { decide } from './decide.ts';
import {
  anyPolicy,
  policyWith,
  snapshotAt,
  soundSnapshots,
  unsoundSnapshots,
} from './retention-test-support.ts';

const now = parseTime('2026-01-01T00:00:00Z');

/** `time: reasons` of every snapshot, newest first. */
function told(snapshots: readonly StoredSnapshot[], policy = policyWith({ last: 1 })): string[] {
  return decide(snapshots, policy, { now }).map(({ snapshot, reasons, unsound }) => {
    const day = formatTime(snapshot.time, utcZone).slice(0, 16);
    return `${day}: ${reasons.join(', ') || 'goes'}${unsound ? ` [${unsound}]` : ''}`;
  });
}

function kept(
  snapshots: readonly StoredSnapshot[],
  policy: Parameters<typeof decide>[1],
): Set<string> {
  const decisions = decide(snapshots, policy, { now });
  return new Set(decisions.filter(({ reasons }) => reasons.length > 0).map((d) => d.snapshot.id));
}

describe('a policy', () => {
  const week = ['01T10', '01T12', '02T10', '03T08', '03T09'].map((at) =>
    snapshotAt(`2025-12-${at}:00:00Z`),
  );

  test('keeps the newest of each day, and the oldest while there is room', () => {
    expect(told(week, policyWith({ daily: 7 }))).toEqual([
      '2025-12-03T09:00: daily snapshot',
      '2025-12-03T08:00: goes',
      '2025-12-02T10:00: daily snapshot',
      '2025-12-01T12:00: daily snapshot',
      '2025-12-01T10:00: oldest daily snapshot',
    ]);
    expect(told(week, policyWith({ daily: 2 })).at(-1)).toBe('2025-12-01T10:00: goes');
  });

  test('counts back from the newest, so that a machine that was off keeps its history', () => {
    const old = week.map(({ time, ...rest }) => ({
      ...rest,
      time: { ...time, seconds: time.seconds - 40_000_000 },
    }));
    const policy = policyWith({ within: '1d', daily: 2 });
    const reasons = (all: StoredSnapshot[]): unknown[] =>
      decide(all, policy, { now }).map((decision) => decision.reasons);
    expect(reasons(old)).toEqual(reasons(week));
  });

  test('takes days by the offset that a snapshot was written with', () => {
    const nights = ['01T23:30:00-05:00', '02T23:30:00-05:00'].map((at) =>
      snapshotAt(`2025-12-${at}`),
    );
    expect(told(nights, policyWith({ daily: 1 }))[1]).toMatch(/goes/);
    const sameDay = ['02T00:30:00+01:00', '02T23:30:00+01:00'].map((at) =>
      snapshotAt(`2025-12-${at}`),
    );
    expect(told(sameDay, policyWith({ daily: 2 }))[1]).toMatch(/oldest daily/);
  });
});

describe('a snapshot that is not sound takes no place from others', () => {
  const good = ['2025-12-01', '2025-12-02', '2025-12-03'].map((day) =>
    snapshotAt(`${day}T10:00:00Z`),
  );

  test('one from the future', () => {
    expect(told([...good, snapshotAt('2031-01-01T00:00:00Z')])).toEqual([
      '2031-01-01T00:00: last snapshot [from the future]',
      '2025-12-03T10:00: last snapshot (of the sound ones)',
      '2025-12-02T10:00: goes',
      '2025-12-01T10:00: goes',
    ]);
  });

  test('an incomplete one, however many', () => {
    const programVersion = markIncomplete('holdfast 1.0.0');
    const bad = ['04', '05', '06'].map((day) =>
      snapshotAt(`2025-12-${day}T10:00:00Z`, { programVersion }),
    );
    expect(told([...good, ...bad], policyWith({ last: 2 }))).toEqual([
      '2025-12-06T10:00: last snapshot [incomplete]',
      '2025-12-05T10:00: last snapshot [incomplete]',
      '2025-12-04T10:00: goes [incomplete]',
      '2025-12-03T10:00: last snapshot (of the sound ones)',
      '2025-12-02T10:00: last snapshot (of the sound ones)',
      '2025-12-01T10:00: goes',
    ]);
  });

  test('one that was dated back: the oldest good one stays the oldest', () => {
    const summary = { backupStart: parseTime('2025-12-03T12:00:00Z') };
    const back = snapshotAt('2001-01-01T00:00:00Z', { summary });
    expect(told([...good, back], policyWith({ yearly: 3 }))).toEqual([
      '2025-12-03T10:00: yearly snapshot',
      '2025-12-02T10:00: goes',
      '2025-12-01T10:00: oldest yearly snapshot (of the sound ones)',
      '2001-01-01T00:00: yearly snapshot [dated by hand]',
    ]);
  });

  test('a damaged one', () => {
    const bad = snapshotAt('2025-12-04T10:00:00Z', { tree: 'd'.repeat(64) });
    const lostTrees = new Set([bad.tree]);
    const decisions = decide([...good, bad], policyWith({ last: 1 }), { now, lostTrees });
    expect(decisions.map(({ reasons, unsound }) => [reasons[0], unsound])).toEqual([
      ['last snapshot', 'damaged'],
      ['last snapshot (of the sound ones)', undefined],
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  test.each([
    ['a clock that is half an hour ahead', '2026-01-01T00:30:00Z', undefined],
    ['a frozen state of last night', '2025-12-31T01:00:00Z', '2025-12-31T09:00:00Z'],
    ['a summary without times', '2025-12-31T01:00:00Z', '0001-01-01T00:00:00Z'],
  ])('%s is none', (_, time, start) => {
    const summary = start === undefined ? undefined : { backupStart: parseTime(start) };
    const [first] = decide([snapshotAt(time, { summary })], policyWith({ last: 1 }), { now });
    expect(first?.unsound).toBeUndefined();
  });
});

describe('always', () => {
  test('what restic would keep is kept', () => {
    fc.assert(
      fc.property(soundSnapshots, unsoundSnapshots, anyPolicy, (sound, unsound, policy) => {
        const all = newestFirst([...sound, ...unsound]);
        const ids = kept(all, policy);
        const reasons = applyPolicy(all, policy, now);
        for (const [i, { id }] of all.entries()) {
          if (reasons[i]?.length) expect(ids.has(id)).toBe(true);
        }
      }),
    );
  });

  test('sound snapshots are kept as if there were no others', () => {
    fc.assert(
      fc.property(soundSnapshots, unsoundSnapshots, anyPolicy, (sound, unsound, policy) => {
        const alone = kept(sound, policy);
        const together = kept([...sound, ...unsound], policy);
        expect([...alone].filter((id) => !together.has(id))).toEqual([]);
      }),
    );
  });

  test('the order of a listing does not matter, and something sound is kept', () => {
    fc.assert(
      fc.property(soundSnapshots, anyPolicy, (sound, policy) => {
        const ids = kept(sound, policy);
        expect(kept(sound.toReversed(), policy)).toEqual(ids);
        expect(ids.size > 0).toBe(sound.length > 0);
      }),
    );
  });

  // As after a stop between two removals: the next run removes what is left of them, and nothing else.
  test('a run that was stopped comes to the same end when it is repeated', () => {
    fc.assert(
      fc.property(
        soundSnapshots,
        unsoundSnapshots,
        anyPolicy,
        fc.nat(20),
        (sound, unsound, policy, stop) => {
          const all = newestFirst([...sound, ...unsound]);
          const ids = kept(all, policy);
          const going = all.filter(({ id }) => !ids.has(id));
          const gone = new Set(going.slice(0, stop));
          expect(
            kept(
              all.filter((snapshot) => !gone.has(snapshot)),
              policy,
            ),
          ).toEqual(ids);
        },
      ),
    );
  });
});
