import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { MemoryFiles } from '../storage/memory/memory-backend.ts';
import {
  clientOf,
  hour,
  ManualClock,
  minute,
  probeOf,
  ScriptedBackend,
} from './lock-test-support.ts';
import {
  acquireLock,
  encodeLock,
  type HeldLock,
  loadLocks,
  type LockKind,
  type LockOptions,
  type ProcessProbe,
  removeStaleLocks,
} from './locks.ts';
import type { Repository } from './repository.ts';

const snapshotHandle = { type: 'snapshot', name: '22'.repeat(32) } as const;
const notes: string[] = [];
const monitor: Monitor = { problem: () => {}, note: (text) => notes.push(text) };

let clock: ManualClock;
let files: MemoryFiles;
let backend: ScriptedBackend;

beforeEach(() => {
  clock = new ManualClock();
  files = new Map();
  backend = new ScriptedBackend(files);
  notes.length = 0;
});

function openClient(inner = new ScriptedBackend(files), noLock = false): Repository {
  return clientOf(clock, inner, noLock);
}

/** Processes below 100 run on the machine alpha. */
const probe: ProcessProbe = probeOf({
  hostname: 'alpha',
  running: new Map(Array.from({ length: 99 }, (_, i) => [i + 1, ''])),
});

function wanted(pid: number, more: Partial<LockOptions> = {}): LockOptions {
  return {
    kind: 'shared',
    operation: 'test',
    owner: { hostname: 'alpha', username: 'anna', pid, uid: 1000, gid: 0 },
    probe,
    monitor,
    ...more,
  };
}

/** Acquires while the clock goes on as needed. */
async function acquire(repository: Repository, options: LockOptions): Promise<HeldLock> {
  const result = acquireLock(repository, options);
  result.catch(() => undefined);
  await clock.advance(200);
  return result;
}

const lockNames = (): string[] =>
  [...files.keys()].filter((key) => key.startsWith('lock/')).map((key) => key.slice(5));

async function race(clients: readonly { kind: LockKind; turns: number[] }[]): Promise<void> {
  files.clear();
  const looks = clients.map(async ({ kind, turns }, pid) => {
    const slow = new ScriptedBackend(files);
    const waits = [...turns];
    slow.before = async () => {
      for (let left = waits.shift() ?? 0; left > 0; left--) await clock.nextTurn();
    };
    return { kind, lock: await acquireLock(openClient(slow), wanted(pid + 1, { kind })) };
  });
  const results = Promise.allSettled(looks);
  await clock.advance(200);
  const held = (await results).flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
  expect(held.length <= 1 || held.every(({ kind }) => kind === 'shared')).toBe(true);
  await Promise.all(held.map(({ lock }) => lock.release()));
  expect(files.size).toBe(0);
}

const code = (code: string) => expect.objectContaining({ code });

describe('conflicts', () => {
  test.each([
    ['shared', 'shared', true],
    ['shared', 'prune', true],
    ['shared', 'commit', true],
    ['shared', 'exclusive', false],
    ['prune', 'shared', true],
    ['prune', 'prune', false],
    ['prune', 'commit', false],
    ['prune', 'exclusive', false],
    ['commit', 'shared', false],
    ['commit', 'prune', false],
    ['commit', 'commit', false],
    ['commit', 'exclusive', false],
    ['exclusive', 'shared', false],
    ['exclusive', 'prune', false],
    ['exclusive', 'commit', false],
    ['exclusive', 'exclusive', false],
  ] as const)('held %s, wanted %s: goes %s', async (held, asked, goes) => {
    const first = await acquire(openClient(), wanted(1, { kind: held }));
    const second = acquire(openClient(), wanted(2, { kind: asked }));
    if (goes) await (await second).release();
    else await expect(second).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await first.release();
    expect(files.size).toBe(0);
    await (await acquire(openClient(), wanted(2, { kind: asked }))).release();
    expect(clock.timerCount).toBe(0);
  });

  test('names the holder, and says when he is gone', async () => {
    const lock = await acquire(openClient(), wanted(17, { kind: 'exclusive' }));
    await expect(acquire(openClient(), wanted(2))).rejects.toMatchObject({
      message: 'the repository is locked exclusively by process 17 of anna on alpha (test)',
      details: { lockId: lockNames()[0] },
      hint: expect.stringContaining('--retry-lock'),
    });
    await lock.release();
    await storeLock({ pid: 4000 });
    await expect(acquire(openClient(), wanted(2, { kind: 'exclusive' }))).rejects.toMatchObject({
      message: 'the repository is locked by process 4000 of anna on alpha',
      hint: 'Its holder is gone: run "holdfast unlock", then try again.',
    });
  });

  test('in any order of calls, an exclusive lock has none beside it', async () => {
    const client = fc.record({
      kind: fc.constantFrom<LockKind>('shared', 'exclusive'),
      turns: fc.array(fc.nat(6), { minLength: 4, maxLength: 4 }),
    });
    await fc.assert(fc.asyncProperty(fc.array(client, { minLength: 2, maxLength: 4 }), race), {
      numRuns: 300,
    });
  });

  test('a lock of a dead process stands', async () => {
    await storeLock({ pid: 4000, exclusive: true, ageMs: 5 * hour });
    await expect(acquire(openClient(), wanted(2))).rejects.toThrow(code('REPOSITORY_LOCKED'));
  });

  test('an empty lock file is no lock', async () => {
    files.set(`lock/${'ab'.repeat(32)}`, new Uint8Array());
    await (await acquire(openClient(), wanted(2, { kind: 'exclusive' }))).release();
  });

  test('a lock that cannot be read is looked at four times within 35 s', async () => {
    files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const startMs = clock.monotonic;
    let endMs = 0;
    const result = acquireLock(openClient(), wanted(2)).finally(() => {
      endMs = clock.monotonic;
    });
    result.catch(() => undefined);
    await clock.advance(minute);
    await expect(result).rejects.toThrow(code('LOCK_DAMAGED'));
    expect(endMs - startMs).toBe(35_000);
  });

  test('a lock that can be read at the second try is no trouble', async () => {
    files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const result = acquireLock(openClient(), wanted(2));
    await clock.advance(1000);
    files.clear();
    await clock.advance(5000);
    await (await result).release();
  });
});

describe('--retry-lock', () => {
  test('waits 5, 10, 20, 40, 60, 60 s, and once more at the end', async () => {
    const other = openClient();
    const lock = await acquire(other, wanted(1, { kind: 'exclusive' }));
    const repository = openClient(backend);
    const looks: number[] = [];
    const startMs = clock.monotonic;
    const list = backend.list.bind(backend);
    backend.list = (type, options) => {
      looks.push((clock.monotonic - startMs) / 1000);
      return list(type, options);
    };
    const result = acquireLock(repository, wanted(2, { retryMs: 4 * minute }));
    result.catch(() => undefined);
    await clock.advance(5 * minute);
    await expect(result).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(looks).toEqual([0, 5, 15, 35, 75, 135, 195, 240]);
    expect(notes[0]).toContain('waiting up to 240 s');
    await lock.release();
  });

  test('gets the lock once it is free, and can be cancelled', async () => {
    const lock = await acquire(openClient(), wanted(1, { kind: 'exclusive' }));
    const result = acquireLock(openClient(), wanted(2, { retryMs: hour }));
    const end = new AbortController();
    const stopped = acquireLock(
      openClient(),
      wanted(3, { retryMs: hour, signal: end.signal, kind: 'exclusive' }),
    );
    stopped.catch(() => undefined);
    await clock.advance(4000);
    await lock.release();
    end.abort();
    await clock.advance(1200);
    await expect(stopped).rejects.toThrow(code('CANCELLED'));
    await (await result).release();
  });
});

describe('settling in the background', () => {
  test('gives the lock at once and holds changes back until the second look', async () => {
    const repository = openClient(backend);
    const lock = await acquireLock(repository, wanted(1, { settleLater: true }));
    expect(lockNames()).toHaveLength(1);
    lock.assertHeld();
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await clock.advance(199);
    expect(files.has(`snapshot/${snapshotHandle.name}`)).toBe(false);
    await clock.advance(1);
    await put;
    await lock.settled;
    expect(files.has(`snapshot/${snapshotHandle.name}`)).toBe(true);
    await lock.release();
    expect(lockNames()).toEqual([]);
  });

  test('makes no change when the second look finds another lock', async () => {
    const repository = openClient(backend);
    const lock = await acquireLock(repository, wanted(1, { settleLater: true }));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await storeLock({ pid: 2, exclusive: true });
    await clock.advance(200);
    await expect(put).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await expect(lock.settled).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(lock.signal.reason).toEqual(code('REPOSITORY_LOCKED'));
    expect(() => lock.assertHeld()).toThrow(code('REPOSITORY_LOCKED'));
    await expect(repository.backend.remove(snapshotHandle)).rejects.toThrow(
      code('REPOSITORY_LOCKED'),
    );
    await lock.release();
    expect(lockNames()).toHaveLength(1);
  });

  test('can be released before', async () => {
    const lock = await acquireLock(openClient(), wanted(1, { settleLater: true }));
    await Promise.all([lock.release(), lock.release()]);
    expect(lock.signal.aborted).toBe(false);
    expect(lockNames()).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });
});

describe('renewal', () => {
  test('every five minutes: the new file is there before the old one goes', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    const counts: number[] = [];
    backend.before = () => void counts.push(lockNames().length);
    const [first] = lockNames();
    await clock.advance(6 * minute);
    const [second, ...others] = lockNames();
    expect(others).toEqual([]);
    expect(second).not.toBe(first);
    expect(Math.min(...counts)).toBe(1);
    const { locks } = await loadLocks(repository);
    expect(locks[0]?.time.seconds).toBe(Math.floor((clock.wall - minute) / 1000));
    await clock.advance(4 * hour);
    expect(lockNames()).toHaveLength(1);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(files.size).toBe(0);
  });

  test('finds that somebody removed the lock', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    files.clear();
    await clock.advance(6 * minute);
    expect(lock.signal.reason).toMatchObject({
      code: 'LOCK_LOST',
      message: 'the lock was removed by somebody else while working',
    });
    await expect(repository.saveUnpacked('snapshot', utf8('{}'))).rejects.toThrow(
      code('LOCK_LOST'),
    );
    await lock.release();
    expect(files.size).toBe(0);
  });

  test('after a sleep of the machine, changes wait until the lock is renewed', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    clock.suspend(7 * 24 * hour);
    expect(() => lock.assertHeld()).toThrow(code('LOCK_LOST'));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await clock.advance(199);
    expect(files.has(`snapshot/${snapshotHandle.name}`)).toBe(false);
    await clock.advance(1);
    await put;
    lock.assertHeld();
    expect(lockNames()).toHaveLength(1);
    await lock.release();
  });

  test('after a sleep in which the lock was removed, nothing is changed', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    clock.suspend(hour);
    expect(await removeStaleLocks(openClient(), { ...unlocking, all: false })).toBe(1);
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await expect(put).rejects.toThrow(code('LOCK_LOST'));
    expect(lock.signal.aborted).toBe(true);
    await lock.release();
    expect(files.size).toBe(0);
  });

  test('a wall clock set back does not keep an old lock alive', async () => {
    const lock = await acquire(openClient(backend), wanted(1));
    backend.before = () => {
      throw new HoldfastError('BACKEND_UNAVAILABLE');
    };
    clock.suspend(-hour);
    await clock.advance(25 * minute);
    expect(() => lock.assertHeld()).toThrow(code('LOCK_LOST'));
    await lock.release();
  });

  test('storage that fails for a while delays, and then changes go on', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    backend.before = () => {
      throw new HoldfastError('BACKEND_UNAVAILABLE');
    };
    await clock.advance(30 * minute);
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await clock.advance(minute);
    expect(lock.signal.aborted).toBe(false);
    expect(notes[0]).toContain('the lock could not be renewed');
    backend.before = () => {};
    await clock.advance(10_000);
    await put;
    await lock.release();
    expect(lockNames()).toEqual([]);
  });

  test('storage that fails for long, or hangs, loses the lock', async () => {
    for (const failure of [
      () => {
        throw new HoldfastError('BACKEND_UNAVAILABLE');
      },
      () => new Promise<void>(() => {}),
    ]) {
      files.clear();
      backend.before = () => {};
      const repository = openClient(backend);
      const lock = await acquire(repository, wanted(1));
      backend.before = failure;
      await clock.advance(hour);
      expect(lock.signal.reason).toEqual(code('LOCK_LOST'));
      await expect(repository.backend.put(snapshotHandle, [])).rejects.toThrow(code('LOCK_LOST'));
      const released = lock.release();
      await clock.advance(minute);
      await released;
      expect(notes.at(-1)).toMatch(
        /^the lock [0-9a-f, ]+ could not be removed, run "holdfast unlock"/,
      );
    }
    expect(clock.timerCount).toBe(0);
  });

  test('a late answer of a renewal that was given up is not taken for a removal', async () => {
    const repository = openClient(backend);
    const lock = await acquire(repository, wanted(1));
    const answers: (() => void)[] = [];
    backend.before = (call) =>
      call === 'put' ? new Promise((resolve) => answers.push(resolve)) : undefined;
    await clock.advance(5 * minute);
    expect(answers).toHaveLength(1);
    backend.before = () => {};
    await clock.advance(5 * minute);
    answers[0]?.();
    await clock.advance(minute);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(lockNames()).toEqual([]);
  });
});

describe('release', () => {
  test('also when the put of the lock fails after it was stored', async () => {
    const store = backend.put.bind(backend);
    backend.put = async (handle, parts, options) => {
      await store(handle, parts, options);
      throw new HoldfastError('BACKEND_WRITE_FAILED');
    };
    await expect(acquire(openClient(backend), wanted(1))).rejects.toThrow(
      code('BACKEND_WRITE_FAILED'),
    );
    expect(files.size).toBe(0);
  });

  test('when cancelled while settling', async () => {
    const end = new AbortController();
    const result = acquireLock(openClient(), wanted(1, { signal: end.signal }));
    result.catch(() => undefined);
    await clock.advance(100);
    end.abort();
    await expect(result).rejects.toThrow(code('CANCELLED'));
    expect(files.size).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  test('a storage that cannot be written says what to do; noLock writes nothing', async () => {
    backend.before = () => {
      throw new HoldfastError('READ_ONLY');
    };
    await expect(acquire(openClient(backend), wanted(1))).rejects.toMatchObject({
      code: 'READ_ONLY',
      hint: 'Reading works without a lock: use --no-lock.',
    });
    const lock = await acquireLock(openClient(backend, true), wanted(1));
    await lock.settled;
    lock.assertHeld();
    await lock.release();
  });
});

const unlocking = { probe };

async function storeLock(lock: {
  pid: number;
  exclusive?: boolean;
  ageMs?: number;
  hostname?: string;
}): Promise<string> {
  const seconds = (clock.wall - (lock.ageMs ?? 0)) / 1000;
  const record = {
    time: { seconds, nanoseconds: 0, offsetMinutes: 60 },
    exclusive: lock.exclusive ?? false,
    hostname: lock.hostname ?? 'alpha',
    username: 'anna',
    pid: lock.pid,
  };
  return openClient().saveUnpacked('lock', encodeLock(record));
}

describe('unlock', () => {
  test('removes old locks and those of dead processes of this machine', async () => {
    const kept = [
      await storeLock({ pid: 1, ageMs: 29 * minute }),
      await storeLock({ pid: 4000, hostname: 'beta', ageMs: 29 * minute }),
      await storeLock({ pid: 1, ageMs: -hour }),
    ];
    await storeLock({ pid: 1, ageMs: 31 * minute });
    await storeLock({ pid: 4000 });
    await storeLock({ pid: 1, hostname: 'beta', ageMs: 31 * minute, exclusive: true });
    files.set(`lock/${'ab'.repeat(32)}`, utf8('not readable'));
    files.set(`lock/${'cd'.repeat(32)}`, new Uint8Array());
    expect(await removeStaleLocks(openClient(), { ...unlocking, all: false })).toBe(3);
    expect(lockNames().sort()).toEqual([...kept, 'ab'.repeat(32), 'cd'.repeat(32)].sort());
    expect(await removeStaleLocks(openClient(), { ...unlocking, all: true })).toBe(5);
    expect(lockNames()).toEqual([]);
  });
});
