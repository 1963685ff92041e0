import { beforeEach, expect, test } from 'vitest';

import { defined } from '../base/assert.ts';
import { utf8 } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { FileStat } from '../storage/backend.ts';
import type { MemoryFiles } from '../storage/memory/memory-backend.ts';
import { noIdentity, type OwnLockRecord } from './lock-codec.ts';
import {
  clientOf,
  hour,
  ManualClock,
  minute,
  probeOf,
  ScriptedBackend,
} from './lock-test-support.ts';
import { acquireLock, encodeLock, loadLocks, loadRunningOperations } from './locks.ts';
import type { Repository } from './repository.ts';

const probe = probeOf({ hostname: 'alpha', running: new Map([[1, '']]) });
const owner = { hostname: 'alpha', username: 'anna', pid: 1 };

let clock: ManualClock;
let files: MemoryFiles;
let repository: Repository;

beforeEach(() => {
  clock = new ManualClock();
  files = new Map();
  repository = clientOf(clock, new ScriptedBackend(files));
});

const at = (ms: number): Timestamp => ({ seconds: Math.floor(ms / 1000), nanoseconds: 0 });

/** A lock of beta, whose clock is `skewMs` ahead; renewed `ageMs` ago by an operation that runs for `ranMs`. */
async function storeLock(lock: { ageMs: number; ranMs?: number; skewMs?: number }): Promise<void> {
  const { ageMs, ranMs, skewMs = 0 } = lock;
  const renewedMs = clock.wall - ageMs + skewMs;
  const own: OwnLockRecord | undefined =
    ranMs === undefined
      ? undefined
      : {
          ...noIdentity,
          instance: 'aa',
          kind: 'shared',
          operation: 'backup',
          began: at(renewedMs - ranMs),
        };
  const record = { ...owner, hostname: 'beta', exclusive: false, time: at(renewedMs), own };
  await repository.saveUnpacked('lock', encodeLock(record));
}

test('tells when work began by this clock, whatever its own clock says', async () => {
  for (const skewMs of [0, -25 * minute, 25 * hour]) {
    files.clear();
    await storeLock({ ageMs: 4 * minute, ranMs: 3 * hour, skewMs });
    const [running] = await loadRunningOperations(repository, { probe, except: [] });
    expect(running?.lock.own?.operation).toBe('backup');
    expect(running?.beganMs).toBe(clock.wall - 3 * hour - 30 * minute);
    // Never later than it really began.
    expect(running?.beganMs).toBeLessThan(clock.wall - 3 * hour - 4 * minute);
  }
});

test('leaves out the asker, and what was not renewed for a day; other programs do not tell their begin', async () => {
  const options = { kind: 'prune', operation: 'prune', owner, probe } as const;
  const acquired = acquireLock(repository, options);
  await clock.advance(200);
  const lock = await acquired;
  await storeLock({ ageMs: 25 * hour, ranMs: 0 });
  expect(await loadRunningOperations(repository, { probe, except: [lock] })).toEqual([]);
  await storeLock({ ageMs: 0 });
  expect(await loadRunningOperations(repository, { probe, except: [lock] })).toMatchObject([
    { beganMs: undefined, lock: { hostname: 'beta' } },
  ]);
  expect(await loadRunningOperations(repository, { probe, except: [] })).toHaveLength(2);
  await lock.release();
});

test('a lock that was not renewed for hours may be of one whose clock is wrong', async () => {
  await storeLock({ ageMs: 3 * hour, ranMs: hour });
  const [running] = await loadRunningOperations(repository, { probe, except: [] });
  expect(running?.beganMs).toBe(clock.wall - 4 * hour);
});

test('a lock that cannot be read is no absence of work', async () => {
  files.set(`lock/${'ab'.repeat(32)}`, utf8('half of a lo'));
  await expect(loadRunningOperations(repository, { probe, except: [] })).rejects.toMatchObject({
    code: 'UNPACKED_DAMAGED',
  });
});

/** A storage on which, once, a lock is renewed after it was listed and before it is read. */
class RenewingBackend extends ScriptedBackend {
  renew: (() => Promise<void>) | undefined;

  override async *list(...call: Parameters<ScriptedBackend['list']>): AsyncGenerator<FileStat> {
    const listed: FileStat[] = [];
    for await (const file of super.list(...call)) listed.push(file);
    const { renew } = this;
    this.renew = undefined;
    await renew?.();
    yield* listed;
  }
}

test('a lock that is renewed between its listing and its reading is seen', async () => {
  const renewing = new RenewingBackend(files);
  repository = clientOf(clock, renewing);
  await storeLock({ ageMs: minute, ranMs: minute });
  const [old] = files.keys();
  renewing.renew = async () => {
    await storeLock({ ageMs: 0, ranMs: minute });
    files.delete(defined(old, 'the lock was stored'));
  };
  expect(await loadRunningOperations(repository, { probe, except: [] })).toHaveLength(1);
  expect(files.size).toBe(1);
});

test('a lock that a listing has for long after it was removed is none', async () => {
  await storeLock({ ageMs: 0 });
  const behind = new ScriptedBackend(files);
  const listed = [{ name: 'a'.repeat(64), sizeBytes: 200 }];
  behind.list = async function* () {
    yield* listed;
  };
  expect((await loadLocks(clientOf(clock, behind))).locks).toEqual([]);
});
