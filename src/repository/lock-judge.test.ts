import { describe, expect, test } from 'vitest';

import { type LockRecord, noIdentity, type OwnLockRecord } from './lock-codec.ts';
import { isStaleLock, judgeLock } from './lock-judge.ts';
import { minute, probeOf } from './lock-test-support.ts';

const nowMs = 1_800_000_000_000;
/** This machine, which started 100 minutes ago. Process 17 runs since tick 500. */
const identity = { machine: 'm1', boot: 'b1', space: 'pid:[1]', start: '999' };
const running = new Map([[17, '500']]);
const probe = probeOf({ hostname: 'alpha', running, identity, upSeconds: 6000 });
const timeOf = (ageMs: number) => ({ seconds: (nowMs - ageMs) / 1000, nanoseconds: 0 });

function lockOf(
  lock: Partial<Omit<LockRecord, 'own'>> & { ageMs?: number; own?: Partial<OwnLockRecord> },
): LockRecord {
  const { ageMs = 0, own, ...rest } = lock;
  const record = { hostname: 'alpha', username: 'anna', pid: 17, exclusive: true, ...rest };
  const ours = {
    ...noIdentity,
    instance: 'i',
    kind: 'exclusive',
    operation: 'check',
    began: timeOf(ageMs),
    ...own,
  } as const;
  return { ...record, time: timeOf(ageMs), ...(own && { own: ours }) };
}

const here = { ...identity, start: '500' };

describe('a lock of ours', () => {
  test.each([
    ['of a process that runs', {}, 'alive'],
    ['of a process that ended', { pid: 18 }, 'dead'],
    ['of a process whose number another has now', { own: { ...here, start: '400' } }, 'dead'],
    [
      'of a process that runs, but when it started is not known',
      { own: { ...here, start: '' } },
      'alive',
    ],
    ['of a process that ended, under an old name of the host', { pid: 18, hostname: 'x' }, 'dead'],
    ['of a process that runs and has not renewed it: stopped', { ageMs: 31 * minute }, 'suspect'],
    ['of another container', { pid: 18, own: { ...here, space: 'pid:[2]' } }, 'suspect'],
    [
      'of another container with another name',
      { pid: 18, hostname: 'c', own: { ...here, space: 'pid:[2]' } },
      'alive',
    ],
    [
      'of a machine with this name',
      { pid: 18, own: { ...here, boot: 'b2', machine: 'm2' } },
      'alive',
    ],
    [
      'of that machine, old',
      { pid: 18, own: { ...here, boot: 'b2', machine: 'm2' }, ageMs: 31 * minute },
      'suspect',
    ],
    ['of the earlier start', { own: { ...here, boot: 'b0' }, ageMs: 101 * minute }, 'dead'],
    [
      'of a copy of this machine that runs: renewed since the start',
      { own: { ...here, boot: 'b0' }, ageMs: 4 * minute },
      'alive',
    ],
    [
      'of a copy with another name',
      { hostname: 'beta', own: { ...here, boot: 'b0' }, ageMs: 101 * minute },
      'suspect',
    ],
    [
      'of the earlier start, in a container',
      { own: { ...here, boot: 'b0', machine: '' }, ageMs: 20 * minute },
      'alive',
    ],
    ['from where nothing is known', { pid: 18, own: noIdentity }, 'suspect'],
    ['dated in the future', { ageMs: -60 * minute, own: { ...here, boot: 'b2' } }, 'alive'],
  ] as const)('%s: %o is %s', (_, lock, expected) => {
    expect(judgeLock(lockOf({ own: here, ...lock }), probe, nowMs)).toBe(expected);
  });

  test('of the start before, when the machine has started just now, is watched', () => {
    const justNow = probeOf({ hostname: 'alpha', running, identity, upSeconds: 60 });
    const lock = { own: { ...here, boot: 'b0' } };
    expect(judgeLock(lockOf({ ...lock, ageMs: 2 * minute }), justNow, nowMs)).toBe('suspect');
    expect(judgeLock(lockOf({ ...lock, ageMs: 11 * minute }), justNow, nowMs)).toBe('dead');
  });

  test('is not judged by a machine that knows nothing of itself', () => {
    const blind = probeOf({ hostname: 'alpha', running: new Map(), upSeconds: 60 });
    expect(judgeLock(lockOf({ own: here, pid: 18 }), blind, nowMs)).toBe('alive');
    expect(judgeLock(lockOf({ own: noIdentity, pid: 18 }), blind, nowMs)).toBe('suspect');
  });
});

test.each([
  ['of a process that runs', {}, 'alive'],
  ['of a process that ended, or is in a container', { pid: 18 }, 'suspect'],
  ['of another host', { pid: 18, hostname: 'beta' }, 'alive'],
  ['of another host, old', { hostname: 'beta', ageMs: 31 * minute }, 'suspect'],
  ['from the future', { hostname: 'beta', ageMs: -31 * minute }, 'alive'],
] as const)('a lock of restic, %s: %o is %s', (_, lock, expected) => {
  expect(judgeLock(lockOf(lock), probe, nowMs)).toBe(expected);
});

test.each([
  ['of restic, of a process that ended', { pid: 18 }, true],
  ['of restic, old', { ageMs: 31 * minute }, true],
  ['of restic, of another host', { pid: 18, hostname: 'beta', ageMs: 29 * minute }, false],
  ['of ours, of a process that ended', { pid: 18, own: here }, true],
  ['of ours, in another container', { pid: 18, own: { ...here, space: 'pid:[2]' } }, false],
  ['of ours, of the earlier start', { own: { ...here, boot: 'b0' }, ageMs: 101 * minute }, true],
  [
    'of ours, of a machine with this name',
    { pid: 18, own: { ...here, boot: 'b2', machine: '' } },
    false,
  ],
  ['of ours, where nothing is known', { pid: 18, own: noIdentity }, true],
] as const)('unlock and a lock %s: %o is %s', (_, lock, expected) => {
  expect(isStaleLock(lockOf(lock), probe, nowMs)).toBe(expected);
});
