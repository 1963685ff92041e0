import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A server that rclone runs on a folder. */
export interface RcloneServer {
  readonly port: number;
  /** Ends it and waits until it is gone. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts `rclone serve KIND` on a free port of this machine, and waits until it listens.
 *
 * @param args flags besides
 */
export async function startRcloneServer(
  kind: 'restic' | 'webdav',
  folder: string,
  args: readonly string[] = [],
): Promise<RcloneServer> {
  const all = ['serve', kind, '-v', '--addr', '127.0.0.1:0', ...args, folder];
  const env = { PATH: process.env['PATH'], RCLONE_CONFIG: '/dev/null' };
  const child = spawn('rclone', all, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const port = await portOf(child);
  return {
    port,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Reads the port that rclone says it took, and goes on reading, so that it is never held up. */
function portOf(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    if (said.length > 100_000) return;
    said += part.toString();
    const port = /https?:\/\/127\.0\.0\.1:([0-9]+)/.exec(said)?.[1];
    if (port !== undefined) resolve(Number(port));
  });
  child.once('error', reject);
  child.once('exit', () => reject(new Error(`rclone does not run: ${said}`)));
  return promise;
}
