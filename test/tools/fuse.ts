import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FuseSpec } from './fuse-spec.ts';

const server = fileURLToPath(new URL('./fuse-server.ts', import.meta.url));

/** A mounted file system of files that misbehave. */
export interface FuseMount {
  unmount(): Promise<void>;
}

/** Mounts a file system made of `spec` at a new directory. */
export async function mountFuse(point: string, spec: FuseSpec): Promise<FuseMount> {
  mkdirSync(point);
  const child = spawn(process.execPath, [server, point, JSON.stringify(spec)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const ready = new Promise<boolean>((resolve) => {
    child.stdout.once('data', () => resolve(true));
    child.once('close', () => resolve(false));
  });
  if (!(await ready)) throw new Error('the test file system could not be mounted');
  return { unmount: () => unmount(point, child, ended) };
}

async function unmount(point: string, child: ChildProcess, ended: Promise<void>): Promise<void> {
  // Ends every call that waits for an answer.
  child.kill('SIGKILL');
  await ended;
  spawnSync('umount', ['-l', point]);
}
