import { beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { PackedBlobs } from './blob.ts';
import { IndexWriter } from './index-writer.ts';
import { hour, LockBed, minute } from './lock-test-support.ts';
import { acquireLock, type HeldLock, loadLocks, removeStaleLocks } from './locks.ts';
import type { Repository } from './repository.ts';

const snapshotHandle = { type: 'snapshot', name: '22'.repeat(32) } as const;

let bed: LockBed;

beforeEach(() => {
  bed = new LockBed();
});

const code = (code: string): unknown => expect.objectContaining({ code });

describe('renewal', () => {
  test('every five minutes: the new file is there before the old one goes', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    const counts: number[] = [];
    bed.backend.before = () => void counts.push(bed.lockNames().length);
    const [first] = bed.lockNames();
    await bed.clock.advance(6 * minute);
    const [second, ...others] = bed.lockNames();
    expect(others).toEqual([]);
    expect(second).not.toBe(first);
    expect(Math.min(...counts)).toBe(1);
    const { locks } = await loadLocks(repository);
    expect(locks[0]?.time.seconds).toBe(Math.floor((bed.clock.wall - minute) / 1000));
    await bed.clock.advance(4 * hour);
    expect(bed.lockNames()).toHaveLength(1);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(bed.files.size).toBe(0);
  });

  test.each(['prune', 'commit', 'exclusive'] as const)(
    'finds that somebody removed the lock (%s), which is then lost',
    async (kind) => {
      const repository = bed.open(bed.backend);
      const lock = await bed.acquire(repository, bed.wanted(1, { kind }));
      bed.files.clear();
      await bed.clock.advance(6 * minute);
      expect(lock.signal.reason).toMatchObject({
        code: 'LOCK_LOST',
        message: 'the lock was removed by somebody else while working',
      });
      await expect(repository.saveUnpacked('snapshot', utf8('{}'))).rejects.toThrow(
        code('LOCK_LOST'),
      );
      await expect(lock.confirm()).rejects.toThrow(code('LOCK_LOST'));
      await lock.release();
      expect(bed.files.size).toBe(0);
    },
  );

  test('after a sleep of the machine, changes wait until the lock is renewed', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    bed.clock.suspend(7 * 24 * hour);
    expect(() => lock.assertHeld()).toThrow(code('LOCK_LOST'));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(199);
    expect(bed.files.has(`snapshot/${snapshotHandle.name}`)).toBe(false);
    await bed.clock.advance(1);
    await put;
    lock.assertHeld();
    expect(bed.lockNames()).toHaveLength(1);
    await lock.release();
  });

  test('after a sleep in which an exclusive lock was removed, nothing is changed', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1, { kind: 'exclusive' }));
    bed.clock.suspend(hour);
    expect(await removeStaleLocks(bed.open(), { probe: bed.probe, all: false })).toBe(1);
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await expect(put).rejects.toThrow(code('LOCK_LOST'));
    expect(lock.signal.aborted).toBe(true);
    await lock.release();
    expect(bed.files.size).toBe(0);
  });

  test.each(['prune', 'commit', 'exclusive'] as const)(
    'after a long sleep a lock (%s) whose file is there is lost: its removal may have been undone',
    async (kind) => {
      for (const [sleptMs, isLost] of [
        [25 * minute, false],
        [31 * minute, true],
      ] as const) {
        const repository = bed.open(bed.backend);
        const lock = await bed.acquire(repository, bed.wanted(1, { kind }));
        bed.clock.suspend(sleptMs);
        const put = repository.backend.put(snapshotHandle, [utf8('x')]).then(
          () => 'stored',
          (error: unknown) => error,
        );
        await bed.clock.advance(hour / 10);
        expect(await put).toEqual(
          isLost ? expect.objectContaining({ code: 'LOCK_LOST' }) : 'stored',
        );
        await lock.release();
        bed.files.clear();
      }
    },
  );

  test('who sleeps between the two looks changes nothing without his lock', async () => {
    const repository = bed.open(bed.backend);
    const lock = await acquireLock(repository, bed.wanted(1, { kind: 'prune', settleLater: true }));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await bed.clock.advance(0);
    bed.clock.suspend(hour);
    expect(await removeStaleLocks(bed.open(), { probe: bed.probe, all: false })).toBe(1);
    await bed.clock.advance(200);
    await expect(put).rejects.toThrow(code('LOCK_LOST'));
    await lock.release();
    expect(bed.files.size).toBe(0);
  });

  test('a wall clock set back does not keep an old lock alive', async () => {
    const lock = await bed.acquire(bed.open(bed.backend), bed.wanted(1));
    bed.backend.before = () => {
      throw new HoldfastError('BACKEND_UNAVAILABLE');
    };
    bed.clock.suspend(-hour);
    await bed.clock.advance(25 * minute);
    expect(() => lock.assertHeld()).toThrow(code('LOCK_LOST'));
    await lock.release();
  });

  test('storage that fails for a while delays, and then changes go on', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    bed.backend.before = () => {
      throw new HoldfastError('BACKEND_UNAVAILABLE');
    };
    await bed.clock.advance(30 * minute);
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(minute);
    expect(lock.signal.aborted).toBe(false);
    expect(bed.notes[0]).toContain('the lock could not be renewed');
    bed.backend.before = () => {};
    await bed.clock.advance(10_000);
    await put;
    await lock.release();
    expect(bed.lockNames()).toEqual([]);
  });

  test('storage that fails for long, or hangs, loses the lock', async () => {
    for (const failure of [
      () => {
        throw new HoldfastError('BACKEND_UNAVAILABLE');
      },
      () => new Promise<void>(() => {}),
    ]) {
      bed.files.clear();
      bed.backend.before = () => {};
      const repository = bed.open(bed.backend);
      const lock = await bed.acquire(repository, bed.wanted(1));
      bed.backend.before = failure;
      await bed.clock.advance(hour);
      expect(lock.signal.reason).toEqual(code('LOCK_LOST'));
      await expect(repository.backend.put(snapshotHandle, [])).rejects.toThrow(code('LOCK_LOST'));
      const released = lock.release();
      await bed.clock.advance(minute);
      await released;
      expect(bed.notes.at(-1)).toMatch(
        /^the lock [0-9a-f, ]+ could not be removed, run "holdfast unlock"/,
      );
    }
    expect(bed.clock.timerCount).toBe(0);
  });

  test('a late answer of a renewal that was given up is not taken for a removal', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    const answers: (() => void)[] = [];
    bed.backend.before = (call) =>
      call === 'put' ? new Promise((resolve) => answers.push(resolve)) : undefined;
    await bed.clock.advance(5 * minute);
    expect(answers).toHaveLength(1);
    bed.backend.before = () => {};
    await bed.clock.advance(5 * minute);
    answers[0]?.();
    await bed.clock.advance(minute);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(bed.lockNames()).toEqual([]);
  });
});

const isStored = (): boolean => bed.files.has(`snapshot/${snapshotHandle.name}`);

/** Holds a lock, falls asleep for an hour, in which somebody removes it. */
async function sleep(): Promise<{ repository: Repository; lock: HeldLock }> {
  const repository = bed.open(bed.backend);
  const lock = await bed.acquire(repository, bed.wanted(1));
  bed.clock.suspend(hour);
  expect(await removeStaleLocks(bed.open(), { probe: bed.probe, all: false })).toBe(1);
  return { repository, lock };
}

describe('a shared lock whose holder was away', () => {
  test('is taken anew, and then changes go on', async () => {
    const { repository, lock } = await sleep();
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(199);
    expect(isStored()).toBe(false);
    await bed.clock.advance(1);
    await put;
    lock.assertHeld();
    await lock.confirm();
    expect(repository.absences.count).toBe(1);
    expect(bed.lockNames()).toHaveLength(1);
    await lock.release();
    expect(bed.lockNames()).toEqual([]);
    expect(bed.clock.timerCount).toBe(0);
  });

  test('is taken anew when a renewal finds it removed', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    bed.files.clear();
    await bed.clock.advance(6 * minute);
    expect(bed.notes).toEqual([
      'the lock was removed by somebody else while working: taking it anew',
    ]);
    expect(bed.lockNames()).toHaveLength(1);
    expect(repository.absences.count).toBe(1);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(bed.files.size).toBe(0);
  });

  test('is found removed by who asks, without a sleep that a clock shows', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    await lock.confirm();
    expect(repository.absences.count).toBe(0);
    bed.files.clear();
    const confirmed = lock.confirm();
    await bed.clock.advance(200);
    await confirmed;
    expect(repository.absences.count).toBe(1);
    expect(bed.lockNames()).toHaveLength(1);
    await lock.release();
  });

  test('is found removed once an index file is stored, which is taken back if a pack is gone', async () => {
    const repository = bed.open(bed.backend);
    const lock = await bed.acquire(repository, bed.wanted(1));
    const writer = new IndexWriter(repository);
    await writer.add('33'.repeat(32), new PackedBlobs(new Uint8Array()));
    bed.files.clear();
    const refused = expect(writer.flush()).rejects.toThrow(code('LOCK_LOST'));
    await bed.clock.advance(minute);
    await refused;
    expect([...bed.files.keys()].filter((key) => key.startsWith('index'))).toEqual([]);
    await lock.release();
  });

  test.each(['exclusive', 'commit', 'prune'] as const)(
    'waits for the end of another lock (%s), for as long as that is',
    async (kind) => {
      const { repository, lock } = await sleep();
      const other = await bed.acquire(bed.open(), bed.wanted(2, { kind }));
      const put = repository.backend.put(snapshotHandle, [utf8('x')]);
      await bed.clock.advance(3 * hour);
      expect(isStored()).toBe(false);
      await other.release();
      await bed.clock.advance(2 * minute);
      await put;
      lock.assertHeld();
      await lock.release();
      expect(bed.lockNames()).toEqual([]);
    },
  );

  test('is not taken anew beside another shared lock only', async () => {
    const { repository, lock } = await sleep();
    const other = await bed.acquire(bed.open(), bed.wanted(2));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(200);
    await put;
    await lock.release();
    await other.release();
  });

  test('lets changes go on only when all checks have looked, and agree', async () => {
    const { repository, lock } = await sleep();
    const seen: string[] = [];
    let answer: (() => void) | undefined;
    const end = repository.absences.addCheck(async () => {
      seen.push(`lock ${bed.lockNames().length}, stored ${isStored()}`);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
    });
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(minute);
    expect(seen).toEqual(['lock 1, stored false']);
    answer?.();
    await put;
    end();
    await lock.release();
  });

  test('a check that does not agree stops what waits, and only that', async () => {
    const { repository, lock } = await sleep();
    const end = repository.absences.addCheck(() => {
      throw new HoldfastError('VERIFY_FAILED');
    });
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await bed.clock.advance(minute);
    await expect(put).rejects.toThrow(code('VERIFY_FAILED'));
    expect(isStored()).toBe(false);
    end();
    await repository.backend.put(snapshotHandle, [utf8('x')]);
    await lock.release();
  });

  test('sleeps again while it comes back', async () => {
    const { repository, lock } = await sleep();
    const seen: boolean[] = [];
    const end = repository.absences.addCheck(async () => {
      seen.push(isStored());
      if (seen.length === 1) bed.clock.suspend(hour);
    });
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(minute);
    await put;
    expect(seen).toEqual([false, false]);
    lock.assertHeld();
    end();
    await lock.release();
  });

  test('is lost when the storage does not answer for a quarter of an hour', async () => {
    const { repository, lock } = await sleep();
    bed.backend.before = () => {
      throw new HoldfastError('BACKEND_UNAVAILABLE');
    };
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await bed.clock.advance(14 * minute);
    expect(lock.signal.aborted).toBe(false);
    await bed.clock.advance(2 * minute);
    await expect(put).rejects.toThrow(code('LOCK_LOST'));
    bed.backend.before = () => {};
    await lock.release();
    expect(bed.clock.timerCount).toBe(0);
  });

  test('can be released while it is away', async () => {
    const { repository, lock } = await sleep();
    await bed.acquire(bed.open(), bed.wanted(2, { kind: 'exclusive' }));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await bed.clock.advance(minute);
    await lock.release();
    await expect(put).rejects.toThrow(code('CANCELLED'));
    expect(bed.lockNames()).toHaveLength(1);
  });
});
