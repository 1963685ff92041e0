import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { findPeer } from './peers.ts';
import { mustRun } from './run-program.ts';

/** A PostgreSQL server of its own, with nothing in it, that only this machine reaches. */
export interface PostgresServer {
  /** What `--database` takes; each name is another database. */
  readonly url: (database: string) => string;
  /** Makes an empty database. */
  readonly createDatabase: (name: string) => Promise<void>;
  readonly stop: () => Promise<void>;
  /** Starts it again, with what it has. */
  readonly start: () => Promise<void>;
}

/** Who it runs as where the test is root, which it refuses to be. */
const nobody = 65_534;

/** Starts PostgreSQL on a socket in a folder that is not there yet: a second, and as much of the processor. Its files are never synced. */
export async function startPostgres(folder: string): Promise<PostgresServer> {
  const found = findPeer('postgres');
  if (found === undefined) throw new Error('PostgreSQL is not there');
  const bin = path.dirname(realpathSync(found));
  mkdirSync(folder, { mode: 0o700 });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, nobody, nobody);
  const user = isRoot ? { uid: nobody, gid: nobody } : {};
  const data = path.join(folder, 'data');
  await mustRun(
    path.join(bin, 'initdb'),
    ['-D', data, '-U', 'holdfast', '--auth=trust', '--no-sync', '--locale=C', '-E', 'UTF8'],
    { ...(isRoot ? { uid: nobody } : {}), cwd: folder },
  );
  let running = await runServer(bin, { folder, user });
  const url = (database: string): string =>
    `postgres://holdfast@localhost/${database}?host=${encodeURIComponent(folder)}`;
  return {
    url,
    createDatabase: async (name) => {
      const command = ['-h', folder, '-U', 'holdfast', '-d', 'postgres', '-qc'];
      await mustRun(path.join(bin, 'psql'), [...command, `create database "${name}"`]);
    },
    stop: () => running.stop(),
    start: async () => {
      running = await runServer(bin, { folder, user });
    },
  };
}

async function runServer(
  bin: string,
  {
    folder,
    user,
  }: { readonly folder: string; readonly user: { readonly uid?: number; readonly gid?: number } },
): Promise<{ readonly stop: () => Promise<void> }> {
  const settings = ['listen_addresses=', 'fsync=off', 'max_connections=60', 'autovacuum=off'];
  const child = spawn(
    path.join(bin, 'postgres'),
    [
      '-D',
      path.join(folder, 'data'),
      '-k',
      folder,
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], env: { LC_ALL: 'C' } },
  );
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (part: Buffer) => {
      said += part.toString();
      if (said.includes('ready to accept connections')) resolve();
    });
    child.once('close', () => reject(new Error(`PostgreSQL did not start:\n${said}`)));
  });
  return {
    stop: async () => {
      child.kill('SIGINT');
      await ended;
    },
  };
}
