import { beforeEach, describe, expect, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import { hour, LockBed } from '../repository/lock-test-support.ts';
import {
  acquireLock,
  type HeldLock,
  type LockKind,
  removeStaleLocks,
} from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type Snapshot } from '../repository/snapshots.ts';
import { storeProven } from './store-proven.ts';

const snapshot: Snapshot = {
  time: { seconds: 1_700_000_000, nanoseconds: 0, offsetMinutes: 0 },
  tree: 'aa'.repeat(32),
  paths: ['/x'],
};

let bed: LockBed;
let repository: Repository;
let lock: HeldLock;
/** What happened, in order. */
let log: string[];

async function begin(kind: LockKind = 'shared'): Promise<void> {
  bed = new LockBed();
  repository = bed.open(bed.backend);
  lock = await bed.acquire(repository, bed.wanted(1, { kind }));
  log = [];
  bed.backend.before = (call, { type }) => {
    if (type === 'snapshot' && call !== 'stat') log.push(call);
  };
}

beforeEach(() => begin());

/** The machine sleeps for an hour; meanwhile somebody finds the lock old and removes it. */
async function sleep(): Promise<void> {
  log.push('sleep');
  bed.clock.suspend(hour);
  await removeStaleLocks(bed.open(), { probe: bed.probe, all: false });
}

const proveAlways = async (): Promise<void> => void log.push('prove');

/** Stores, while the clock goes on as needed. */
async function store(prove = proveAlways): Promise<string> {
  const result = storeProven(snapshot, { repository, lock, prove });
  result.catch(() => undefined);
  await bed.clock.advance(5000);
  return result;
}

async function storedCount(): Promise<number> {
  return (await loadSnapshots(repository)).length;
}

test('proves, then stores', async () => {
  const id = await store();
  expect(log).toEqual(['prove', 'put']);
  expect((await loadSnapshots(repository)).map((stored) => stored.id)).toEqual([id]);
});

test('without locks as well', async () => {
  await storeProven(snapshot, { repository, lock: undefined, prove: proveAlways });
  expect(log).toEqual(['prove', 'put']);
});

test('stores nothing without a proof', async () => {
  await expect(store(() => Promise.reject(new HoldfastError('VERIFY_FAILED')))).rejects.toThrow(
    expect.objectContaining({ code: 'VERIFY_FAILED' }),
  );
  expect(log).toEqual([]);
});

test('takes back what the storage did not say that it has', async () => {
  bed.backend.before = (call, { type }) => {
    if (type !== 'snapshot') return;
    log.push(call);
    if (call === 'stat') throw new HoldfastError('BACKEND_UNAVAILABLE');
  };
  await expect(store()).rejects.toThrow(expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' }));
  expect(log).toEqual(['prove', 'put', 'stat', 'remove']);
  expect(await storedCount()).toBe(0);
});

describe('proves again after a sleep', () => {
  test('during the proof', async () => {
    let isFirst = true;
    await store(async () => {
      log.push('prove');
      if (isFirst) await sleep();
      isFirst = false;
    });
    expect(log).toEqual(['prove', 'sleep', 'prove', 'put']);
  });

  test('during a proof that was storing something', async () => {
    let isFirst = true;
    await store(async () => {
      log.push('prove');
      if (!isFirst) return;
      isFirst = false;
      await sleep();
      await repository.backend.put({ type: 'pack', name: 'bb'.repeat(32) }, []);
    });
    expect(log).toEqual(['prove', 'sleep', 'prove', 'put']);
    expect(bed.files.has(`pack/${'bb'.repeat(32)}`)).toBe(false);
  });

  test('between the last look at the lock and the end of the put: the same file stays', async () => {
    const put = bed.backend.put.bind(bed.backend);
    let isFirst = true;
    bed.backend.put = async (handle, parts, options) => {
      if (handle.type === 'snapshot' && isFirst) await sleep();
      if (handle.type === 'snapshot') isFirst = false;
      return put(handle, parts, options);
    };
    await store();
    expect(log).toEqual(['prove', 'sleep', 'put', 'prove', 'put']);
    expect(await storedCount()).toBe(1);
  });

  test('and removes a snapshot that turns out unproven', async () => {
    const put = bed.backend.put.bind(bed.backend);
    bed.backend.put = async (handle, parts, options) => {
      if (handle.type === 'snapshot') await sleep();
      return put(handle, parts, options);
    };
    const failing = store(async () => {
      if (log.includes('sleep')) throw new HoldfastError('VERIFY_FAILED');
    });
    await expect(failing).rejects.toThrow(expect.objectContaining({ code: 'VERIFY_FAILED' }));
    expect(log).toEqual(['sleep', 'put', 'remove']);
    expect(await storedCount()).toBe(0);
  });

  test('but not for ever', async () => {
    const failing = store(async () => {
      log.push('prove');
      await sleep();
    });
    await expect(failing).rejects.toThrow(expect.objectContaining({ code: 'LOCK_LOST' }));
    expect(log.filter((step) => step === 'prove')).toHaveLength(5);
    expect(await storedCount()).toBe(0);
  });
});

test('without a sleep that the clocks show, a lock that is gone is noticed before and after', async () => {
  bed.files.clear();
  await store();
  expect(log).toEqual(['prove', 'put']);
  expect(repository.absences.count).toBe(1);
  await begin();
  const put = bed.backend.put.bind(bed.backend);
  let isFirst = true;
  bed.backend.put = async (handle, parts, options) => {
    if (handle.type === 'snapshot' && isFirst) {
      bed.files.clear();
      isFirst = false;
    }
    return put(handle, parts, options);
  };
  await store();
  expect(log).toEqual(['prove', 'put', 'prove', 'put']);
});

test('an exclusive lock that is gone ends the work, and no snapshot stays', async () => {
  await begin('exclusive');
  bed.files.clear();
  await expect(store()).rejects.toThrow(expect.objectContaining({ code: 'LOCK_LOST' }));
  expect(log).toEqual(['prove']);
  await begin('exclusive');
  const put = bed.backend.put.bind(bed.backend);
  bed.backend.put = async (handle, parts, options) => {
    bed.files.clear();
    return put(handle, parts, options);
  };
  await expect(store()).rejects.toThrow(expect.objectContaining({ code: 'LOCK_LOST' }));
  expect(await storedCount()).toBe(0);
  await lock.release();
  // The next one finds nothing in its way.
  bed.backend.put = put;
  const next = acquireLock(bed.open(), bed.wanted(2, { kind: 'exclusive' }));
  await bed.clock.advance(200);
  await (await next).release();
});

/** As `store`, of what was looked at under the lock. */
async function storeLookedAt(): Promise<string> {
  const result = storeProven(snapshot, { repository, lock, prove: proveAlways, isLookedAt: true });
  result.catch(() => undefined);
  await bed.clock.advance(5000);
  return result;
}

describe('what was looked at under the lock', () => {
  test('is proof enough for a minute, and the lock is asked for afterwards', async () => {
    const calls: string[] = [];
    bed.backend.before = (call, { type }) => void calls.push(`${call} ${type}`);
    await storeLookedAt();
    expect(calls).toEqual(['put snapshot', 'stat snapshot', 'stat lock']);
    expect(await storedCount()).toBe(1);
  });

  test('is proven again after that', async () => {
    await bed.clock.advance(61_000);
    await storeLookedAt();
    expect(log).toEqual(['prove', 'put']);
  });

  test('is proven again once the lock was renewed, for a renewal is no sign of a short time', async () => {
    await bed.clock.advance(301_000);
    await storeLookedAt();
    expect(log).toEqual(['prove', 'put']);
  });

  test('is proven after all if the computer slept while the snapshot was stored', async () => {
    let isFirst = true;
    bed.backend.before = async (call, { type }) => {
      if (type !== 'snapshot' || call === 'stat') return;
      log.push(call);
      if (!isFirst) return;
      isFirst = false;
      await sleep();
    };
    await storeLookedAt();
    expect(log).toEqual(['put', 'sleep', 'prove', 'put']);
    expect(await storedCount()).toBe(1);
  });

  test('is proven after all if somebody removed the lock by force', async () => {
    let isFirst = true;
    bed.backend.before = async (call, { type }) => {
      if (type !== 'snapshot' || call === 'stat') return;
      log.push(call);
      if (isFirst) await removeStaleLocks(bed.open(), { probe: bed.probe, all: true });
      isFirst = false;
    };
    await storeLookedAt();
    expect(log).toEqual(['put', 'prove', 'put']);
  });
});
