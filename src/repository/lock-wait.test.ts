import { beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { hour, LockBed, minute, probeOf } from './lock-test-support.ts';
import { acquireLock, type LockKind } from './locks.ts';

let bed: LockBed;

beforeEach(() => {
  bed = new LockBed();
});

const code = (code: string): unknown => expect.objectContaining({ code });

describe('what was left', () => {
  const here = { machine: '', boot: 'b1', space: 'pid:[1]', start: '1' };
  const knowing = probeOf({ hostname: 'alpha', running: new Map([[1, '1']]), identity: here });

  async function leave(kind: LockKind): Promise<void> {
    const lock = await bed.acquire(bed.open(), bed.wanted(50, { kind, probe: knowing }));
    const left = [...bed.files].filter(([name]) => name.startsWith('lock/'));
    await lock.release();
    for (const [name, bytes] of left) bed.files.set(name, bytes);
  }

  test.each(['shared', 'prune', 'commit', 'exclusive'] as const)(
    'a lock (%s) of a process that is gone for sure is removed by the next, and that is said',
    async (kind) => {
      await leave(kind);
      const asked = bed.wanted(1, { kind: 'shared', probe: knowing });
      await (await bed.acquire(bed.open(), asked)).release();
      expect(bed.notes).toEqual([
        'removed the lock of process 50 of anna on alpha (test): it ended without removing it',
      ]);
      expect(bed.files.size).toBe(0);
    },
  );

  test('a storage that does not let it be removed is waited for no longer than a watch', async () => {
    await leave('exclusive');
    bed.backend.before = (call) => {
      if (call === 'remove') throw new HoldfastError('PERMISSION_DENIED');
    };
    const result = acquireLock(bed.open(bed.backend), bed.wanted(1, { probe: knowing }));
    result.catch(() => undefined);
    await bed.clock.advance(10 * minute);
    await expect(result).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(bed.notes).toContainEqual(expect.stringContaining('could not be removed'));
  });

  test.each([
    ['of another host, old', { pid: 7, hostname: 'beta', ageMs: 5 * hour }],
    ['of a process that is not seen', { pid: 4000 }],
  ])('a lock of restic %s is removed when it was watched', async (_, lock) => {
    await bed.storeLock({ ...lock, exclusive: true });
    const result = acquireLock(bed.open(), bed.wanted(2));
    await bed.clock.advance(6 * minute);
    expect(bed.lockNames()).toHaveLength(1);
    await bed.clock.advance(minute);
    await (await result).release();
    expect(bed.notes).toEqual([
      expect.stringMatching(/waiting up to 390 s; it seems left/),
      expect.stringMatching(
        /^removed the lock of process .*: nobody renewed it for the last 6 min/,
      ),
    ]);
    expect(bed.files.size).toBe(0);
  });

  test('a clock that is wrong makes no lock stale: its holder renews it', async () => {
    const holder = { pid: 7, hostname: 'beta', ageMs: 5 * hour, exclusive: true };
    const first = await bed.storeLock(holder);
    const result = acquireLock(bed.open(), bed.wanted(2));
    result.catch(() => undefined);
    await bed.clock.advance(4 * minute);
    await bed.storeLock({ ...holder, ageMs: 5 * hour - minute });
    bed.files.delete(`lock/${first}`);
    await bed.clock.advance(10 * minute);
    await expect(result).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(bed.lockNames()).toHaveLength(1);
  });

  test('a lock from the future stands, until it was watched for half an hour', async () => {
    await bed.storeLock({ pid: 1, hostname: 'beta', ageMs: -24 * hour, exclusive: true });
    await expect(bed.acquire(bed.open(), bed.wanted(2))).rejects.toThrow(code('REPOSITORY_LOCKED'));
    const result = acquireLock(bed.open(), bed.wanted(2, { retryMs: hour }));
    await bed.clock.advance(29 * minute);
    expect(bed.lockNames()).toHaveLength(1);
    await bed.clock.advance(2 * minute);
    await (await result).release();
    expect(bed.files.size).toBe(0);
  });

  test('a lock that cannot be read is removed when it was watched for half an hour', async () => {
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const result = acquireLock(bed.open(), bed.wanted(2, { retryMs: hour }));
    await bed.clock.advance(32 * minute);
    await (await result).release();
    expect(bed.files.size).toBe(0);
  });

  test('two that begin at once and exclude each other: one is first, the other is refused', async () => {
    const results = Promise.allSettled(
      [1, 2].map((pid) => acquireLock(bed.open(), bed.wanted(pid, { kind: 'exclusive' }))),
    );
    await bed.clock.advance(15_000);
    const held = (await results).flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
    expect(held).toHaveLength(1);
    await held[0]?.release();
    expect(bed.files.size).toBe(0);
  });
});
