import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { systemClock } from '../../src/base/clock.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { openBackend } from '../../src/storage/open.ts';
import {
  backUp,
  checkAll,
  initRepository,
  restoreLatest,
  singleThreaded as environment,
} from '../tools/engine.ts';
import { contentOf } from '../tools/manifest.ts';
import { describeWith, type PeerName } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { startRadosgw } from '../tools/radosgw.ts';
import { type RcloneServer, startRcloneServer } from '../tools/rclone-server.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import { freePort, SshServer } from '../tools/ssh-server.ts';
import { StruckBackend } from './spoilt-backends.ts';

/**
 * A server is killed in the middle of a backup and started again some time later. `HOLDFAST_OUTAGE_MS` says how much later, and has
 * it done at many moments.
 */
const scratch = scratchFolder('killed-server');
const isLong = process.env['HOLDFAST_OUTAGE_MS'] !== undefined;
const outageMs = Number(process.env['HOLDFAST_OUTAGE_MS'] ?? 100);
/** Calls of a backup before it happens. */
const moments = isLong ? [3, 6, 9, 12, 15, 18, 21, 24] : [14];
const timeout = 24 * 3_600_000;
const source = path.join(scratch.path, 'source');

/** A server that can be killed. */
interface Killable {
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** The same place, with what it had. */
  begin(): Promise<void>;
  open(name: string): Promise<Backend>;
  stop(): Promise<void>;
}

beforeAll(() => {
  mkdirSync(source);
  for (let i = 0; i < 8; i++) {
    writeFileSync(path.join(source, `file-${i}`), pseudoRandom(300_000, i + 1));
  }
});

async function overSsh(): Promise<Killable> {
  const server = await SshServer.start({ folder: scratch.fresh('sshd') });
  const extended = new Map([['sftp.args', `-F ${server.clientSettings}`]]);
  return {
    kill: () => server.stop(),
    begin: () => server.begin(),
    stop: () => server.stop(),
    open: (name) =>
      openBackend(server.location(path.join(scratch.path, name)), { environment, extended }),
  };
}

async function ownServer(): Promise<Killable> {
  const port = await freePort();
  const root = scratch.fresh('served');
  mkdirSync(root);
  let child: ChildProcess | undefined;
  const begin = async (): Promise<void> => {
    const args = ['serve-repository', '--path', root, '--listen', `127.0.0.1:${port}`, '--no-auth'];
    child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise<void>((resolve, reject) => {
      let said = '';
      const hear = (part: Buffer): void => {
        said += part.toString();
        if (said.includes(String(port))) resolve();
      };
      child?.stdout?.on('data', hear);
      child?.stderr?.on('data', hear);
      child?.once('exit', () => reject(new Error(`it does not run: ${said}`)));
    });
  };
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await begin();
  const open = (name: string): Promise<Backend> =>
    openBackend(`rest:http://127.0.0.1:${port}/${name}`, { environment });
  return { kill, begin, open, stop: kill };
}

async function rclone(): Promise<Killable> {
  const root = scratch.fresh('rclone');
  const port = await freePort();
  let server: RcloneServer;
  const begin = async (): Promise<void> => {
    server = await startRcloneServer('restic', root, ['--addr', `127.0.0.1:${port}`]);
  };
  await begin();
  const open = (name: string): Promise<Backend> =>
    openBackend(`rest:http://127.0.0.1:${port}/${name}`, { environment });
  const kill = (): Promise<void> => server.stop();
  return { kill, begin, open, stop: kill };
}

async function radosgw(): Promise<Killable> {
  const folder = scratch.fresh('radosgw');
  const server = await startRadosgw(folder);
  const { variables } = server;
  return {
    kill: async () => {
      const pid = Number(readFileSync(path.join(folder, 'run/radosgw.pid'), 'utf8'));
      process.kill(pid, 'SIGKILL');
    },
    begin: async () => {
      await startRadosgw(folder);
    },
    stop: () => server.stop(),
    open: (name) => openBackend(`s3:${server.endpoint}/killed/${name}`, { environment, variables }),
  };
}

const servers: readonly {
  title: string;
  needs: readonly PeerName[];
  start: () => Promise<Killable>;
}[] = [
  { title: 'OpenSSH', needs: ['sshd'], start: overSsh },
  { title: 'serve-repository', needs: [], start: ownServer },
  { title: 'rclone serve restic', needs: ['rclone'], start: rclone },
  { title: 'radosgw', needs: ['radosgw'], start: radosgw },
];

for (const { title, needs, start } of servers) {
  describeWith(needs, title, () => {
    let server: Killable;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());

    test(
      'that is killed within a backup and started again is gone on with',
      async () => {
        const failures: string[] = [];
        for (const moment of moments) {
          await outlive(server, moment).catch((error: unknown) => {
            failures.push(`${moment}: ${error instanceof Error ? error.message : String(error)}`);
          });
        }
        const totals = { runs: moments.length, faults: moments.length, failures: failures.length };
        console.log(JSON.stringify({ suite: 'killed-server', operation: title, ...totals }));
        expect(failures).toEqual([]);
      },
      timeout,
    );
  });
}

async function outlive(server: Killable, moment: number): Promise<void> {
  const empty = await server.open(`repository-${moment}`);
  await empty.create();
  // Closes it.
  await initRepository(empty);
  const backend = await server.open(`repository-${moment}`);
  let restarted: Promise<void> | undefined;
  const restart = async (): Promise<void> => {
    await server.kill();
    await systemClock.sleep(outageMs);
    await server.begin();
  };
  const struck = new StruckBackend(backend, moment, () => {
    restarted = restart();
  });
  const options = { workerCount: 1 };
  const settings = { environment, options, packSizeBytes: 100_000 };
  try {
    expect((await backUp(struck, [source], settings)).complaints).toEqual([]);
  } finally {
    // However it ends, the server is there again for what comes next.
    await restarted;
  }
  expect(struck.strikes).toBe(1);
  expect((await checkAll(backend, { kind: 'all' }, environment)).errors).toEqual([]);
  const target = scratch.fresh('target');
  expect((await restoreLatest(backend, target)).complaints).toEqual([]);
  expect(contentOf(path.join(target, source))).toEqual(contentOf(source));
  await backend.close();
}
