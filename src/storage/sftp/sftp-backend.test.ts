import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { findSftpServer, SshServer } from '../../../test/tools/ssh-server.ts';
import { utf8 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { type Environment, systemEnvironment } from '../../base/environment.ts';
import { describeError } from '../../base/errors.ts';
import { silentMonitor } from '../../base/monitor.ts';
import type { Backend } from '../backend.ts';
import { codeOf, handleFor, listAll } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { ImpatientClock } from '../test-support.ts';

const scratch = scratchFolder('sftp-backend');
const config = { type: 'config', name: '' } as const;

/** Waits between two tries take no time. */
const impatient: Environment = {
  ...systemEnvironment,
  clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal) },
};

const opened: Backend[] = [];
afterEach(async () => {
  for (const backend of opened.splice(0)) await backend.close();
});

/** A repository behind OpenSSH's sftp-server, started with these arguments. */
async function openProgram(root: string, args = ''): Promise<Backend> {
  const backend = await openBackend(`sftp:host:${root}`, {
    environment: systemEnvironment,
    extended: new Map([['sftp.command', `${findSftpServer()} ${args}`]]),
  });
  opened.push(backend);
  return backend;
}

function start(command: string): Promise<Backend> {
  const extended = new Map([['sftp.command', command]]);
  const environment = { ...systemEnvironment, clock: new ImpatientClock() };
  return openBackend('sftp:host:x', { environment, extended });
}

function modeOf(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

describeWith(['sshd'], 'SFTP over a program', () => {
  let root = '';
  beforeEach(() => {
    root = scratch.fresh('repository');
  });

  test('writes files and folders for the user alone, or for the group that may read the config', async () => {
    const backend = await openProgram(root);
    await backend.create();
    await backend.put(config, [utf8('config')]);
    expect([modeOf(root), modeOf(`${root}/data/00`), modeOf(`${root}/config`)]).toEqual([
      '700',
      '700',
      '400',
    ]);
    chmodSync(`${root}/config`, 0o440);
    const shared = await openProgram(root);
    const handle = handleFor('lock', 'group');
    await shared.put(handle, [utf8('lock')]);
    expect(modeOf(`${root}/locks/${handle.name}`)).toBe('440');
  });

  test('makes missing folders of a repository, but none where there is no repository any more', async () => {
    const backend = await openProgram(root);
    await backend.create();
    await backend.put(config, [utf8('config')]);
    const handle = handleFor('parity', 'later');
    await backend.put(handle, [utf8('parity')]);
    expect(await listAll(backend, 'parity')).toHaveLength(1);
    scratch.remove(root);
    mkdirSync(root);
    expect(await codeOf(backend.put(handleFor('pack', 'x'), [utf8('x')]))).toBe(
      'REPOSITORY_NOT_FOUND',
    );
    expect(readdirSync(root)).toEqual([]);
  });

  test('removes what writes left behind a day ago, of whichever program', async () => {
    const backend = await openProgram(root);
    await backend.create();
    const name = 'ab'.repeat(32);
    const old = [`${name}-restic-temp-${'0'.repeat(32)}`, `${name}-tmp-123`].map(
      (file) => `${root}/data/ab/${file}`,
    );
    const kept = [`${root}/data/ab/${name}-restic-temp-${'1'.repeat(32)}`, `${root}/data/ab/notes`];
    for (const file of [...old, ...kept]) writeFileSync(file, 'x');
    const longAgo = new Date(systemClock.wallMs() - 25 * 3600 * 1000);
    for (const file of [...old, kept[1] ?? '']) utimesSync(file, longAgo, longAgo);
    expect(await backend.removeLeftovers?.()).toBe(2);
    expect(readdirSync(`${root}/data/ab`).sort()).toEqual(
      kept.map((file) => path.basename(file)).sort(),
    );
  });

  test('removes many files at once, and tells which were there', async () => {
    const backend = await openProgram(root);
    await backend.create();
    const names = ['a', 'b'].map((text) => handleFor('snapshot', text).name);
    for (const name of names) await backend.put({ type: 'snapshot', name }, [utf8('x')]);
    const absent = handleFor('snapshot', 'absent').name;
    const gone = await backend.removeSeveral?.('snapshot', [...names, absent]);
    expect([...(gone ?? [])].sort()).toEqual(names.sort());
    expect(await listAll(backend, 'snapshot')).toEqual([]);
  });

  test('says what may not be written on a server that only reads', async () => {
    await (await openProgram(root)).create();
    const backend = await openProgram(root, '-R');
    expect(await codeOf(backend.put(handleFor('key', 'x'), [utf8('x')]))).toBe('PERMISSION_DENIED');
    expect(await codeOf(backend.remove(handleFor('key', 'x')))).toBe('PERMISSION_DENIED');
  });

  test.each(['hardlink', 'hardlink,posix-rename', 'hardlink,posix-rename,fsync,statvfs,limits'])(
    'does without the extensions %s',
    async (denied) => {
      const backend = await openProgram(root, `-P ${denied}`);
      await backend.create();
      await backend.put(config, [utf8('one')]);
      expect(await codeOf(backend.put(config, [utf8('two')]))).toBe('FILE_EXISTS');
      await backend.put(config, [utf8('three')], { replace: true });
      expect(await backend.get(config)).toEqual(utf8('three'));
      const pack = handleFor('pack', 'large');
      await backend.put(pack, [new Uint8Array(1_000_000).fill(7)]);
      expect((await backend.get(pack)).every((byte) => byte === 7)).toBe(true);
      expect(readdirSync(`${root}/data/${pack.name.slice(0, 2)}`)).toEqual([pack.name]);
    },
  );

  test('refuses a file in place of the folder, and a program that is none', async () => {
    writeFileSync(root, 'x');
    expect(await codeOf(openProgram(root))).toBe('LOCATION_INVALID');
    expect(await codeOf(start('/no/such/program'))).toBe('USAGE');
    expect(await codeOf(start('echo hello there, stranger'))).toBe('PROTOCOL_BROKEN');
    const ended = await start(`ls ${root}-absent`).catch((error: unknown) => error);
    expect(describeError(ended)).toMatch(/^the connection to the server was lost: ls: /);
    const both = new Map([
      ['sftp.command', 'x'],
      ['sftp.args', 'y'],
    ]);
    const options = { environment: systemEnvironment, extended: both };
    expect(await codeOf(openBackend('sftp:host:x', options))).toBe('USAGE');
  });
});

describeWith(['sshd', 'mount'], 'SFTP to a file system of 1 MiB', () => {
  let root = '';
  beforeEach(() => {
    root = scratch.fresh('small');
    mkdirSync(root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', root]);
  });
  afterEach(() => execFileSync('umount', ['-l', root]));

  test('a put that does not fit is STORAGE_FULL and leaves nothing', async () => {
    const backend = await openProgram(root);
    await backend.create();
    const large = handleFor('pack', 'large');
    expect(await codeOf(backend.put(large, [new Uint8Array(2_000_000)]))).toBe('STORAGE_FULL');
    expect(readdirSync(`${root}/data/${large.name.slice(0, 2)}`)).toEqual([]);
    await backend.put(large, [new Uint8Array(500_000)]);
    execFileSync('mount', ['-o', 'remount,ro', root]);
    expect(await codeOf(backend.put(handleFor('key', 'x'), [utf8('x')]))).toBe('READ_ONLY');
    expect(await codeOf(backend.remove(large))).toBe('READ_ONLY');
  });
});

describeWith(['sshd'], 'a connection that is lost', () => {
  let server: SshServer;
  let backend: Backend;
  let notes: string[] = [];
  const content = new Uint8Array(6 << 20).fill(3);
  const stored = handleFor('pack', 'stored');

  beforeAll(async () => {
    server = await SshServer.start({ folder: scratch.fresh('server') });
    backend = await openBackend(server.location(scratch.fresh('repository')), {
      environment: impatient,
      extended: new Map([['sftp.args', `-F ${server.clientSettings}`]]),
      monitor: { ...silentMonitor, note: (text) => notes.push(text) },
    });
    await backend.create();
    await backend.put(stored, [content]);
  });
  afterAll(async () => {
    await backend.close();
    await server.stop();
  });
  beforeEach(() => {
    notes = [];
  });

  const all = async (): Promise<number> => (await listAll(backend, 'pack')).length;
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    put: () => backend.put(handleFor('pack', `put ${systemClock.monotonicMs()}`), [content]),
    get: () => backend.get(stored),
    list: all,
    remove: () => backend.remove(handleFor('pack', 'absent')).catch(() => {}),
  };

  test.each(Object.keys(calls))(
    'amid a %s is made again by it, and nothing is lost',
    async (name) => {
      // Stopped first, so that the call is under way for sure when its connection dies.
      await all();
      const before = server.sessions();
      for (const pid of before) process.kill(pid, 'SIGSTOP');
      const call = calls[name]?.();
      await systemClock.nextTurn();
      server.killSessions();
      await call;
      expect(notes.join('\n')).toMatch(/the connection to the server was lost.*trying again/);
      expect(await backend.get(stored)).toEqual(content);
      expect(server.sessions()).toHaveLength(1);
      expect(server.sessions()).not.toEqual(before);
    },
  );

  test('several calls connect once', async () => {
    server.killSessions();
    const results = await Promise.all([all(), all(), backend.stat(stored), backend.get(stored)]);
    expect(results[3]).toEqual(content);
    expect(server.sessions()).toHaveLength(1);
  });

  test('waits for a server that is started again', async () => {
    await server.stop();
    const call = backend.get(stored, { start: 1, end: 3 });
    while (!notes.some((note) => note.includes('refuses the connection')))
      await systemClock.sleep(5);
    await server.begin();
    expect(await call).toEqual(new Uint8Array([3, 3]));
  });

  test('waits for a server that is not there yet when the storage is opened', async () => {
    await server.stop();
    const opening = openBackend(server.location('x'), {
      environment: impatient,
      extended: new Map([['sftp.args', `-F ${server.clientSettings}`]]),
      monitor: { ...silentMonitor, note: (text) => notes.push(text) },
    });
    while (!notes.some((note) => note.startsWith('open the storage: the server refuses')))
      await systemClock.sleep(5);
    await server.begin();
    await (await opening).close();
  });

  test('does not trust a server that came back with another key', async () => {
    const other = await SshServer.start({ folder: scratch.fresh('other') });
    await other.stop();
    await server.stop();
    server.useHostKey(other.hostKey);
    await server.begin();
    expect(await codeOf(backend.get(stored))).toBe('SERVER_NOT_TRUSTED');
    server.useHostKey(server.hostKey);
    await server.stop();
    await server.begin();
    expect(await backend.get(stored)).toEqual(content);
  });

  test('makes no connection once it is closed', async () => {
    const once = await openBackend(server.location('x'), {
      environment: { ...impatient },
      extended: new Map([['sftp.args', `-F ${server.clientSettings}`]]),
    });
    await once.close();
    await once.close();
    const late = once.get(config, undefined, { signal: AbortSignal.abort() });
    expect(await codeOf(late)).toBe('CANCELLED');
  });
});

describeWith(['sshd'], 'several calls that move much', () => {
  const packs = Array.from({ length: 12 }, (_, i) => handleFor('pack', `pack ${i}`));
  const content = new Uint8Array(2 << 20).fill(5);

  /** Writes and reads all, as many at once as the store takes; tells how many channels there were in the end. */
  async function moveAll(lines: readonly string[]): Promise<{ channels: number; count: number }> {
    const server = await SshServer.start({ folder: scratch.fresh('server'), lines });
    const backend = await openBackend(server.location(scratch.fresh('repository')), {
      environment: impatient,
      extended: new Map([['sftp.args', `-F ${server.clientSettings}`]]),
    });
    try {
      await backend.create();
      expect(server.channels()).toHaveLength(1);
      await Promise.all(packs.map((pack) => backend.put(pack, [content])));
      const range = { start: 0, end: content.length };
      const read = await Promise.all(packs.map((pack) => backend.get(pack, range)));
      for (const bytes of read) expect(bytes).toEqual(content);
      expect(server.sessions()).toHaveLength(1);
      return { channels: server.channels().length, count: (await listAll(backend, 'pack')).length };
    } finally {
      await backend.close();
      await server.stop();
    }
  }

  test('share one connection, over several channels', async () => {
    const { channels, count } = await moveAll([]);
    expect(channels).toBeGreaterThan(1);
    expect(channels).toBeLessThanOrEqual(5);
    expect(count).toBe(packs.length);
  });

  test('make do with one channel where the server gives no more', async () => {
    expect(await moveAll(['MaxSessions 1'])).toEqual({ channels: 1, count: packs.length });
  });
});

describe('options', () => {
  test('sftp.args must be words that ssh understands', async () => {
    const extended = new Map([['sftp.args', 'a "b']]);
    const options = { environment: systemEnvironment, extended };
    expect(await codeOf(openBackend('sftp:host:x', options))).toBe('USAGE');
  });
});
