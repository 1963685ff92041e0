import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { lockSettleMs } from './lock-times.ts';
import { hour, LockBed, minute, ScriptedBackend } from './lock-test-support.ts';
import { acquireLock, type LockKind, removeStaleLocks } from './locks.ts';

const snapshotHandle = { type: 'snapshot', name: '22'.repeat(32) } as const;

let bed: LockBed;

beforeEach(() => {
  bed = new LockBed();
});

const code = (code: string): unknown => expect.objectContaining({ code });

async function race(
  clients: readonly { kind: LockKind; turns: number[] }[],
  listsAtOnce: boolean,
): Promise<void> {
  bed.files.clear();
  const looks = clients.map(async ({ kind, turns }, pid) => {
    const slow = Object.assign(new ScriptedBackend(bed.files), { listsAtOnce });
    const waits = [...turns];
    slow.before = async () => {
      for (let left = waits.shift() ?? 0; left > 0; left--) await bed.clock.nextTurn();
    };
    return { kind, lock: await acquireLock(bed.open(slow), bed.wanted(pid + 1, { kind })) };
  });
  const results = Promise.allSettled(looks);
  // As long as those that met at the second look try again.
  await bed.clock.advance(15_000);
  const held = (await results).flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
  expect(held.length <= 1 || held.every(({ kind }) => kind === 'shared')).toBe(true);
  await Promise.all(held.map(({ lock }) => lock.release()));
  expect(bed.files.size).toBe(0);
}

describe('where nothing can be written', () => {
  test.each([['READ_ONLY'], ['PERMISSION_DENIED']] as const)(
    'it says so, and speaks of no lock that was never there: %s',
    async (refusal) => {
      bed.backend.before = (call) => {
        if (call !== 'stat') throw new HoldfastError(refusal);
      };
      for (const [writes, hint] of [
        [false, 'This command only reads: it works with --no-lock.'],
        [true, 'This command has to write to it.'],
      ] as const) {
        const asked = acquireLock(bed.open(bed.backend), { ...bed.wanted(1), writes });
        await expect(asked).rejects.toMatchObject({
          code: refusal,
          message: expect.stringMatching(/^the repository cannot be written: /),
          hint,
        });
      }
      expect(bed.notes).toEqual([]);
      expect(bed.clock.timerCount).toBe(0);
    },
  );
});

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
    ['exclusive', 'shared', false],
    ['exclusive', 'prune', false],
    ['exclusive', 'commit', false],
    ['exclusive', 'exclusive', false],
  ] as const)('held %s, wanted %s: goes %s', async (held, asked, goes) => {
    const first = await bed.acquire(bed.open(), bed.wanted(1, { kind: held }));
    const second = bed.acquire(bed.open(), bed.wanted(2, { kind: asked }));
    if (goes) await (await second).release();
    else await expect(second).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await first.release();
    expect(bed.files.size).toBe(0);
    await (await bed.acquire(bed.open(), bed.wanted(2, { kind: asked }))).release();
    expect(bed.clock.timerCount).toBe(0);
  });

  test('names the holder', async () => {
    const lock = await bed.acquire(bed.open(), bed.wanted(17, { kind: 'exclusive' }));
    await expect(bed.acquire(bed.open(), bed.wanted(2))).rejects.toMatchObject({
      message: 'the repository is locked exclusively by process 17 of anna on alpha (test)',
      details: { lockId: bed.lockNames()[0] },
      hint: expect.stringContaining('--retry-lock'),
    });
    await lock.release();
  });

  test.each(['shared', 'prune', 'commit', 'exclusive'] as const)(
    'a commit is waited for by who wants a lock that is %s, unasked',
    async (kind) => {
      const commit = await bed.acquire(bed.open(), bed.wanted(1, { kind: 'commit' }));
      const second = acquireLock(bed.open(), bed.wanted(2, { kind, settleLater: true }));
      await bed.clock.advance(minute);
      expect(bed.lockNames()).toHaveLength(1);
      await commit.release();
      await bed.clock.advance(2000);
      await (await second).release();
      expect(bed.notes).toEqual([]);
    },
  );

  test('a commit that takes long: shared work begins beside it, all else is refused', async () => {
    const commit = await bed.acquire(bed.open(), bed.wanted(1, { kind: 'commit' }));
    const others = (['prune', 'commit', 'exclusive'] as const).map((kind) =>
      acquireLock(bed.open(), bed.wanted(2, { kind })),
    );
    const refused = Promise.allSettled(others);
    const shared = acquireLock(bed.open(), bed.wanted(2));
    await bed.clock.advance(3 * minute);
    await (await shared).release();
    for (const result of await refused) {
      expect(result).toMatchObject({ status: 'rejected', reason: code('REPOSITORY_LOCKED') });
    }
    await commit.release();
  });

  test('a commit that comes while shared work settles is suffered', async () => {
    const shared = acquireLock(bed.open(), bed.wanted(1));
    const commit = acquireLock(bed.open(), bed.wanted(2, { kind: 'commit' }));
    await bed.clock.advance(200);
    await (await shared).release();
    await (await commit).release();
  });

  test('a commit and its own prune suffer each other, and other programs stand against it', async () => {
    const prune = await bed.acquire(bed.open(), bed.wanted(1, { kind: 'prune' }));
    const commit = bed.acquire(bed.open(), bed.wanted(1, { kind: 'commit', beside: prune }));
    await (await commit).release();
    await bed.storeLock({ pid: 2 });
    const refused = bed.acquire(bed.open(), bed.wanted(1, { kind: 'commit', beside: prune }));
    await expect(refused).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await prune.release();
  });

  test('who publishes and a commit: whoever comes second waits for the first, unasked', async () => {
    const shared = await bed.acquire(bed.open(), bed.wanted(1));
    const log: string[] = [];
    const work = Promise.withResolvers<void>();
    const published = shared.publish(() => {
      log.push('publish');
      return work.promise;
    });
    await bed.clock.advance(0);
    expect(bed.lockNames()).toHaveLength(1);
    const commit = acquireLock(bed.open(), bed.wanted(2, { kind: 'commit' })).then((lock) => {
      log.push('commit');
      return lock;
    });
    await bed.clock.advance(10_000);
    expect(log).toEqual(['publish']);
    work.resolve();
    await published;
    await bed.clock.advance(2000);
    expect(log).toEqual(['publish', 'commit']);
    const second = shared.publish(async () => void log.push('publish again'));
    await bed.clock.advance(minute);
    expect(log).toHaveLength(2);
    await (await commit).release();
    await bed.clock.advance(minute);
    await second;
    expect(log.at(-1)).toBe('publish again');
    await shared.release();
    expect(bed.files.size).toBe(0);
  });

  test('who publishes and a commit, both at once: never both', async () => {
    const shared = await bed.acquire(bed.open(), bed.wanted(1));
    let isCommitted = false;
    let isPublishing = false;
    const commit = acquireLock(bed.open(), bed.wanted(2, { kind: 'commit' })).then((lock) => {
      isCommitted = true;
      expect(isPublishing).toBe(false);
      return lock;
    });
    const published = shared.publish(async () => {
      expect(isCommitted).toBe(false);
      isPublishing = true;
      await bed.clock.sleep(5000);
      isPublishing = false;
    });
    await bed.clock.advance(minute);
    await published;
    await (await commit).release();
    await shared.release();
  });

  test('in any order of calls, an exclusive lock has none beside it', async () => {
    const client = fc.record({
      kind: fc.constantFrom<LockKind>('shared', 'exclusive'),
      turns: fc.array(fc.nat(6), { minLength: 4, maxLength: 4 }),
    });
    const some = fc.array(client, { minLength: 2, maxLength: 4 });
    await fc.assert(fc.asyncProperty(some, fc.boolean(), race), {
      numRuns: 300,
    });
  });

  test('an empty lock file is no lock', async () => {
    bed.files.set(`lock/${'ab'.repeat(32)}`, new Uint8Array());
    await (await bed.acquire(bed.open(), bed.wanted(2, { kind: 'exclusive' }))).release();
  });

  test('a lock that cannot be read is looked at four times within 35 s', async () => {
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const startMs = bed.clock.monotonic;
    let endMs = 0;
    const result = acquireLock(bed.open(), bed.wanted(2)).finally(() => {
      endMs = bed.clock.monotonic;
    });
    result.catch(() => undefined);
    await bed.clock.advance(minute);
    await expect(result).rejects.toThrow(code('LOCK_DAMAGED'));
    expect(endMs - startMs).toBe(35_000);
  });

  test('who only reads goes on beside it after 5 s, and says so once', async () => {
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const startMs = bed.clock.monotonic;
    let endMs = 0;
    const result = acquireLock(bed.open(), bed.wanted(2, { onlyReads: true })).finally(() => {
      endMs = bed.clock.monotonic;
    });
    await bed.clock.advance(minute);
    const lock = await result;
    expect(endMs - startMs).toBe(5000 + lockSettleMs);
    expect(bed.notes).toEqual([expect.stringMatching(/abababab.* cannot be read.*unlock/)]);
    // Nor does it come in the way later, when the machine has slept.
    bed.clock.suspend(hour);
    await bed.clock.advance(10 * minute);
    expect(() => lock.assertHeld()).not.toThrow();
    expect(bed.notes.filter((note) => note.includes('cannot be read'))).toHaveLength(1);
    await lock.release();
  });

  test('who only reads is still kept out by a lock that stands against it', async () => {
    const lock = await bed.acquire(bed.open(), bed.wanted(1, { kind: 'exclusive' }));
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const result = acquireLock(bed.open(), bed.wanted(2, { onlyReads: true }));
    result.catch(() => undefined);
    await bed.clock.advance(minute);
    await expect(result).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await lock.release();
  });

  test('a lock that can be read at the second try is no trouble', async () => {
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
    const result = acquireLock(bed.open(), bed.wanted(2));
    await bed.clock.advance(1000);
    bed.files.clear();
    await bed.clock.advance(5000);
    await (await result).release();
  });
});

describe('--retry-lock', () => {
  test('waits 5, 10, 20, 40, 60, 60 s, and once more at the end', async () => {
    const other = bed.open();
    const lock = await bed.acquire(other, bed.wanted(1, { kind: 'exclusive' }));
    const repository = bed.open(bed.backend);
    const looks: number[] = [];
    const startMs = bed.clock.monotonic;
    const list = bed.backend.list.bind(bed.backend);
    bed.backend.list = (type, options) => {
      looks.push((bed.clock.monotonic - startMs) / 1000);
      return list(type, options);
    };
    const result = acquireLock(repository, bed.wanted(2, { retryMs: 4 * minute }));
    result.catch(() => undefined);
    await bed.clock.advance(5 * minute);
    await expect(result).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(looks).toEqual([0, 5, 15, 35, 75, 135, 195, 240]);
    expect(bed.notes[0]).toContain('waiting up to 240 s');
    await lock.release();
  });

  test('gets the lock once it is free, and can be cancelled', async () => {
    const lock = await bed.acquire(bed.open(), bed.wanted(1, { kind: 'exclusive' }));
    const result = acquireLock(bed.open(), bed.wanted(2, { retryMs: hour }));
    const end = new AbortController();
    const stopped = acquireLock(
      bed.open(),
      bed.wanted(3, { retryMs: hour, signal: end.signal, kind: 'exclusive' }),
    );
    stopped.catch(() => undefined);
    await bed.clock.advance(4000);
    await lock.release();
    end.abort();
    await bed.clock.advance(1200);
    await expect(stopped).rejects.toThrow(code('CANCELLED'));
    await (await result).release();
  });
});

test('who is met at each second look is tried less and less often', async () => {
  let tries = 0;
  bed.backend.before = async (call, { type }) => {
    if (type !== 'lock') return;
    if (call === 'put') {
      tries++;
      await bed.storeLock({ pid: 2, exclusive: true });
    } else if (call === 'remove') bed.files.clear();
  };
  const repository = bed.open(bed.backend);
  const refused = acquireLock(repository, bed.wanted(1, { retryMs: 30 * minute }));
  refused.catch(() => undefined);
  await bed.clock.advance(32 * minute);
  await expect(refused).rejects.toThrow(code('REPOSITORY_LOCKED'));
  expect(tries).toBeGreaterThan(10);
  expect(tries).toBeLessThan(150);
});

describe('settling in the background', () => {
  test('takes no time where listings are never behind, and still looks again', async () => {
    const backend = Object.assign(new ScriptedBackend(bed.files), { listsAtOnce: true });
    const startMs = bed.clock.monotonic;
    const first = await acquireLock(bed.open(backend), bed.wanted(1, { kind: 'prune' }));
    await first.release();
    expect(bed.clock.monotonic).toBe(startMs);
    backend.before = async (call, { type }) => {
      if (call !== 'put' || type !== 'lock') return;
      backend.before = () => {};
      await bed.storeLock({ pid: 2, exclusive: true });
    };
    const second = await acquireLock(bed.open(backend), bed.wanted(1, { settleLater: true }));
    await expect(second.settled).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(bed.clock.monotonic).toBe(startMs);
    await second.release();
  });

  test('gives the lock at once and holds changes back until the second look', async () => {
    const repository = bed.open(bed.backend);
    const lock = await acquireLock(repository, bed.wanted(1, { settleLater: true }));
    expect(bed.lockNames()).toHaveLength(1);
    lock.assertHeld();
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    await bed.clock.advance(199);
    expect(bed.files.has(`snapshot/${snapshotHandle.name}`)).toBe(false);
    await bed.clock.advance(1);
    await put;
    await lock.settled;
    expect(bed.files.has(`snapshot/${snapshotHandle.name}`)).toBe(true);
    await lock.release();
    expect(bed.lockNames()).toEqual([]);
  });

  test('makes no change when the second look finds another lock', async () => {
    const repository = bed.open(bed.backend);
    const lock = await acquireLock(repository, bed.wanted(1, { settleLater: true }));
    const put = repository.backend.put(snapshotHandle, [utf8('x')]);
    put.catch(() => undefined);
    await bed.storeLock({ pid: 2, exclusive: true });
    await bed.clock.advance(200);
    await expect(put).rejects.toThrow(code('REPOSITORY_LOCKED'));
    await expect(lock.settled).rejects.toThrow(code('REPOSITORY_LOCKED'));
    expect(lock.signal.reason).toEqual(code('REPOSITORY_LOCKED'));
    expect(() => lock.assertHeld()).toThrow(code('REPOSITORY_LOCKED'));
    await expect(repository.backend.remove(snapshotHandle)).rejects.toThrow(
      code('REPOSITORY_LOCKED'),
    );
    await lock.release();
    expect(bed.lockNames()).toHaveLength(1);
  });

  test('can be released before', async () => {
    const lock = await acquireLock(bed.open(), bed.wanted(1, { settleLater: true }));
    await Promise.all([lock.release(), lock.release()]);
    expect(lock.signal.aborted).toBe(false);
    expect(bed.lockNames()).toEqual([]);
    expect(bed.clock.timerCount).toBe(0);
  });
});

describe('release', () => {
  test('also when the put of the lock fails after it was stored', async () => {
    const store = bed.backend.put.bind(bed.backend);
    bed.backend.put = async (handle, parts, options) => {
      await store(handle, parts, options);
      throw new HoldfastError('BACKEND_WRITE_FAILED');
    };
    await expect(bed.acquire(bed.open(bed.backend), bed.wanted(1))).rejects.toThrow(
      code('BACKEND_WRITE_FAILED'),
    );
    expect(bed.files.size).toBe(0);
  });

  test('when cancelled while settling', async () => {
    const end = new AbortController();
    const result = acquireLock(bed.open(), bed.wanted(1, { signal: end.signal }));
    result.catch(() => undefined);
    await bed.clock.advance(100);
    end.abort();
    await expect(result).rejects.toThrow(code('CANCELLED'));
    expect(bed.files.size).toBe(0);
    expect(bed.clock.timerCount).toBe(0);
  });

  test('with noLock nothing is written', async () => {
    bed.backend.before = () => {
      throw new HoldfastError('READ_ONLY');
    };
    const lock = await acquireLock(bed.open(bed.backend, true), bed.wanted(1));
    await lock.settled;
    lock.assertHeld();
    await lock.release();
  });
});

describe('unlock', () => {
  test('removes old locks and those of dead processes of this machine', async () => {
    const kept = [
      await bed.storeLock({ pid: 1, ageMs: 29 * minute }),
      await bed.storeLock({ pid: 4000, hostname: 'beta', ageMs: 29 * minute }),
      await bed.storeLock({ pid: 1, ageMs: -hour }),
    ];
    await bed.storeLock({ pid: 1, ageMs: 31 * minute });
    await bed.storeLock({ pid: 4000 });
    await bed.storeLock({ pid: 1, hostname: 'beta', ageMs: 31 * minute, exclusive: true });
    bed.files.set(`lock/${'ab'.repeat(32)}`, utf8('not readable'));
    bed.files.set(`lock/${'cd'.repeat(32)}`, new Uint8Array());
    expect(await removeStaleLocks(bed.open(), { probe: bed.probe, all: false })).toBe(3);
    expect(bed.lockNames().sort()).toEqual([...kept, 'ab'.repeat(32), 'cd'.repeat(32)].sort());
    expect(await removeStaleLocks(bed.open(), { probe: bed.probe, all: true })).toBe(5);
    expect(bed.lockNames()).toEqual([]);
  });
});
