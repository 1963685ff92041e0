/** Both ways with the official restic: what is not blobs. Needs `restic` on the PATH. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { saveSnapshot } from './index-test-support.ts';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { LocalBackend } from '../storage/local/local-backend.ts';
import { addKey, changePassword, listKeys, removeKey } from './keys.ts';
import { decodeLock, encodeLock, type LockOwner } from './lock-codec.ts';
import {
  acquireLock,
  loadLocks,
  noIdentity,
  type ProcessProbe,
  removeStaleLocks,
} from './locks.ts';
import { createRepository, openRepository, type Repository } from './repository.ts';
import { decodeSnapshot, encodeSnapshot, loadSnapshots } from './snapshots.ts';
import { describeWith } from '../../test/tools/peers.ts';

const environment = systemEnvironment;
const owner: LockOwner = {
  hostname: hostname(),
  username: userInfo().username,
  pid: process.pid,
  uid: userInfo().uid,
  gid: userInfo().gid,
};
const scrypt = { N: 1024, r: 8, p: 1 };

const probe: ProcessProbe = {
  hostname: owner.hostname,
  identity: noIdentity,
  processStart: (pid) => {
    try {
      return process.kill(pid, 0) ? '' : undefined;
    } catch {
      return undefined;
    }
  },
  machineUpSeconds: () => 1e6,
};

// "restic unlock" probes the owners of locks on this machine with SIGHUP (seen with 0.19.1).
process.on('SIGHUP', () => undefined);

let folder: string;
let backend: LocalBackend;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-repository-'));
  backend = await LocalBackend.open(path.join(folder, 'repository'), { environment });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function resticEnvironment(password: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: folder,
    RESTIC_REPOSITORY: path.join(folder, 'repository'),
    RESTIC_PASSWORD: password,
    RESTIC_CACHE_DIR: path.join(folder, 'cache'),
  };
}

function restic(
  args: readonly string[],
  password = 'secret',
): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync('restic', args, {
    env: resticEnvironment(password),
    encoding: 'utf8',
  });
  return { status, out: status === 0 ? stdout : stderr };
}

function create(version: 1 | 2 = 2): Promise<Repository> {
  const password = utf8('secret');
  return createRepository(backend, { environment, password, version, ...owner, scrypt });
}

const open = (password: string): Promise<Repository> =>
  openRepository(backend, { environment, password: utf8(password) });

/** Starts a backup by restic that waits for its input, and with it holds a lock. */
async function startBackup(): Promise<ChildProcess> {
  const child = spawn('restic', ['backup', '--stdin', '--quiet'], {
    env: resticEnvironment('secret'),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  for (;;) {
    for await (const _ of backend.list('lock')) {
      await environment.clock.sleep(300);
      return child;
    }
    await environment.clock.sleep(20);
  }
}

const exitOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => child.once('exit', () => resolve()));

describeWith(['restic'], 'what we write, restic reads', () => {
  test.each([1, 2] as const)('config and key of version %s', async (version) => {
    const { config, keyId } = await create(version);
    expect(JSON.parse(restic(['cat', 'config']).out)).toEqual({
      version,
      id: config.id,
      chunker_polynomial: config.polynomial.toString(16),
    });
    expect(JSON.parse(restic(['key', 'list', '--json']).out)).toMatchObject([
      { current: true, id: keyId, userName: owner.username, hostName: owner.hostname },
    ]);
    expect(restic(['cat', 'config'], 'wrong').status).toBe(12);
    expect(restic(['check']).status).toBe(0);
  });

  test('keys that were added, removed and replaced', async () => {
    const repository = await create();
    const more = { ...owner, scrypt };
    const id = await addKey(repository, { ...more, password: utf8('pässword') });
    expect(restic(['cat', 'config'], 'pässword').status).toBe(0);
    await removeKey(repository, id);
    expect(restic(['cat', 'config'], 'pässword').status).toBe(12);
    await changePassword(repository, { ...more, password: utf8('new') });
    expect(restic(['cat', 'config']).status).toBe(12);
    expect(restic(['cat', 'config'], 'new').status).toBe(0);
  });

  test.each([1, 2] as const)('snapshots of version %s', async (version) => {
    const repository = await create(version);
    const id = await saveSnapshot(repository, {
      time: { seconds: 1_700_000_000, nanoseconds: 123_456_000, offsetMinutes: -210 },
      tree: 'ab'.repeat(32),
      paths: ['/home/<anna>', '/home/é\u2028'],
      hostname: 'alpha',
      uid: 1000,
      tags: ['a&b', 'c'],
      excludes: ['*.tmp'],
      summary: { filesNew: 5, totalBytesProcessed: 2 ** 53 - 1 },
    });
    const [listed] = JSON.parse(restic(['snapshots', '--json', '--no-lock']).out);
    expect(listed).toMatchObject({
      id,
      time: '2023-11-14T18:43:20.123456-03:30',
      paths: ['/home/<anna>', '/home/é\u2028'],
      uid: 1000,
      tags: ['a&b', 'c'],
      excludes: ['*.tmp'],
      summary: {
        files_new: 5,
        total_bytes_processed: 2 ** 53 - 1,
        backup_start: '0001-01-01T00:00:00Z',
      },
    });
  });

  test('locks: it respects ours, names us, and removes them when we are gone', async () => {
    const repository = await create();
    const options = { owner, probe, operation: 'test' };
    const shared = await acquireLock(repository, { ...options, kind: 'shared' });
    expect(restic(['snapshots']).status).toBe(0);
    const refused = restic(['check']);
    expect(refused.status).toBe(11);
    expect(refused.out).toContain(`PID ${process.pid} on ${owner.hostname} by ${owner.username}`);
    // What is ours it passes over.
    const [lock] = (await loadLocks(repository)).locks;
    expect(restic(['list', 'locks', '--no-lock']).out.trim()).toBe(lock?.id);
    expect(JSON.parse(restic(['cat', 'lock', lock?.id ?? '', '--no-lock']).out)).toMatchObject({
      exclusive: false,
      hostname: owner.hostname,
      pid: owner.pid,
    });
    writeFileSync(path.join(folder, 'file'), 'content');
    expect(restic(['backup', path.join(folder, 'file')]).status).toBe(0);
    await shared.release();
    const exclusive = await acquireLock(repository, { ...options, kind: 'exclusive' });
    expect(restic(['snapshots']).status).toBe(11);
    expect(restic(['backup', path.join(folder, 'file')]).status).toBe(11);
    expect(restic(['unlock']).status).toBe(0);
    exclusive.assertHeld();
    expect((await loadLocks(repository)).locks).toHaveLength(1);
    await exclusive.release();
    const dead = { ...owner, pid: 2 ** 22 + 5, exclusive: true };
    const nowSeconds = Math.floor(environment.clock.wallMs() / 1000);
    await repository.saveUnpacked(
      'lock',
      encodeLock({ ...dead, time: { seconds: nowSeconds, nanoseconds: 0 }, own: lock?.own }),
    );
    expect(restic(['snapshots']).status).toBe(11);
    expect(restic(['unlock']).status).toBe(0);
    expect((await loadLocks(repository)).locks).toEqual([]);
  });
});

describeWith(['restic'], 'what restic writes, we read', () => {
  test.each(['1', '2'])('config and keys of version %s', async (version) => {
    expect(restic(['init', '--repository-version', version]).status).toBe(0);
    const { config, keyId } = await open('secret');
    const expected = JSON.parse(restic(['cat', 'config']).out);
    expect(config).toEqual({
      version: Number(version),
      id: expected.id,
      polynomial: BigInt(`0x${expected.chunker_polynomial}`),
    });
    writeFileSync(path.join(folder, 'new'), 'pässword 2\n');
    restic(['key', 'add', '--new-password-file', path.join(folder, 'new'), '--user', 'berta']);
    const second = await open('pässword 2');
    const { keys } = await listKeys(second);
    expect(keys.map(({ id, isCurrent, username }) => [id, isCurrent, username])).toEqual([
      [keyId, false, owner.username],
      [second.keyId, true, 'berta'],
    ]);
    await expect(open('third')).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
  });

  test.each([1, 2] as const)(
    'snapshots of version %s, and write them again byte for byte',
    async (version) => {
      const repository = await create(version);
      writeFileSync(path.join(folder, 'file'), 'content');
      const args = ['backup', '--tag', 'a,<b>', '--exclude', '*.tmp', path.join(folder, 'file')];
      expect(restic(args).status).toBe(0);
      expect(restic([...args, '--host', 'other', '--time', '2020-06-01 12:00:00']).status).toBe(0);
      const snapshots = await loadSnapshots(repository);
      expect(snapshots.map(({ hostname }) => hostname)).toEqual(['other', owner.hostname]);
      for (const { id } of snapshots) {
        const json = await repository.loadUnpacked('snapshot', id);
        expect(encodeSnapshot(decodeSnapshot(json))).toEqual(json);
      }
    },
  );

  test('locks: we respect them, and remove them when restic is gone', async () => {
    const repository = await create();
    const child = await startBackup();
    const options = { owner, probe, operation: 'test' };
    await expect(acquireLock(repository, { ...options, kind: 'exclusive' })).rejects.toMatchObject({
      code: 'REPOSITORY_LOCKED',
      message: `the repository is locked by process ${child.pid} of ${owner.username} on ${owner.hostname}`,
    });
    await (await acquireLock(repository, { ...options, kind: 'shared' })).release();
    const [lock] = (await loadLocks(repository)).locks;
    const json = await repository.loadUnpacked('lock', lock?.id ?? '');
    expect(encodeLock(decodeLock(json))).toEqual(json);
    const unlocking = { all: false, probe };
    expect(await removeStaleLocks(repository, unlocking)).toBe(0);
    child.kill('SIGKILL');
    await exitOf(child);
    // It looks left, and would be watched for some minutes; unlock removes it at once.
    const end = new AbortController();
    const notes: string[] = [];
    const note = (text: string): void => {
      notes.push(text);
      end.abort();
    };
    const watching = {
      ...options,
      kind: 'exclusive',
      monitor: { note, problem: () => undefined },
    } as const;
    await expect(
      acquireLock(repository, { ...watching, signal: end.signal }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(notes).toEqual([expect.stringContaining('it seems left')]);
    expect(await removeStaleLocks(repository, unlocking)).toBe(1);
    await (await acquireLock(repository, { ...options, kind: 'exclusive' })).release();
  });
});
