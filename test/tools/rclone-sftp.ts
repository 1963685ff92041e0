import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

import { findPeer } from './peers.ts';
import type { SshServer } from './ssh-server.ts';

/** `rclone serve sftp` of a folder of this machine, at the port and with the keys of a server that does not run. */
export class RcloneSftp {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when it listens. */
  static async start(keys: SshServer, folder: string): Promise<RcloneSftp> {
    const where = ['--addr', `127.0.0.1:${keys.port}`, '--config', '/dev/null'];
    const who = ['--authorized-keys', path.join(keys.folder, 'authorized'), '--key', keys.hostKey];
    const args = ['serve', 'sftp', folder, ...where, ...who];
    const child = spawn(findPeer('rclone') ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const listening = Promise.withResolvers<void>();
    let errors = '';
    child.stderr.on('data', (part: Buffer) => {
      errors += part.toString();
      if (errors.includes('listening on')) listening.resolve();
    });
    child.once('close', () => listening.reject(new Error(`rclone ended: ${errors}`)));
    await listening.promise;
    return new RcloneSftp(child);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
