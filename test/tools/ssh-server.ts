import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import path from 'node:path';

import { systemClock } from '../../src/base/clock.ts';
import { portOf } from './server-port.ts';
import { findPeer } from './peers.ts';

/** Where Debian and others put OpenSSH's server of SFTP. */
const sftpServers = [
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/lib/ssh/sftp-server',
];

export interface SshServerOptions {
  /** Folder for keys and settings; made if it is missing. */
  readonly folder: string;
  /** Further lines of `sshd_config`. */
  readonly lines?: readonly string[];
  /** Public keys that may log in, in the form of a `.pub` file; default: that of `userKey`. */
  readonly authorized?: readonly string[];
}

/** An OpenSSH server of this user on a free port of the loopback, which knows one key of this user. */
export class SshServer {
  readonly folder: string;
  readonly port: number;
  readonly user: string = userInfo().username;
  #child: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  static async start(options: SshServerOptions): Promise<SshServer> {
    const { folder, lines = [] } = options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const server = new SshServer(folder, await freePort());
    makeKey(server.hostKey);
    makeKey(server.userKey);
    const authorized = options.authorized ?? [readFileSync(`${server.userKey}.pub`, 'utf8')];
    writeFileSync(path.join(folder, 'authorized'), authorized.join('\n'), { mode: 0o600 });
    server.know(readFileSync(`${server.hostKey}.pub`, 'utf8'));
    server.writeClientSettings([]);
    const settings = [
      `ListenAddress 127.0.0.1:${server.port}`,
      `HostKey ${server.hostKey}`,
      `AuthorizedKeysFile ${path.join(folder, 'authorized')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'MaxStartups 100',
      'Subsystem sftp internal-sftp',
      ...lines,
    ];
    writeFileSync(path.join(folder, 'sshd_config'), `${settings.join('\n')}\n`);
    await server.begin();
    return server;
  }

  get hostKey(): string {
    return path.join(this.folder, 'host');
  }

  get userKey(): string {
    return path.join(this.folder, 'user');
  }

  get knownHosts(): string {
    return path.join(this.folder, 'known');
  }

  /** Settings for `ssh -F`. */
  get clientSettings(): string {
    return path.join(this.folder, 'client');
  }

  /** Repository location of a folder of this server; one with a slash at its start is absolute. */
  location(folder: string): string {
    return `sftp://${this.user}@127.0.0.1:${this.port}/${folder}`;
  }

  /** Makes this the only host key that the client knows. @param key type and base64 */
  know(key: string): void {
    const [type = '', base64 = ''] = key.split(' ');
    writeFileSync(this.knownHosts, `[127.0.0.1]:${this.port} ${type} ${base64.trim()}\n`);
  }

  writeClientSettings(lines: readonly string[]): void {
    const all = [
      ...lines,
      `IdentityFile ${this.userKey}`,
      'IdentitiesOnly yes',
      `UserKnownHostsFile ${this.knownHosts}`,
      'GlobalKnownHostsFile /dev/null',
    ];
    writeFileSync(this.clientSettings, `Host *\n${all.map((line) => `  ${line}\n`).join('')}`);
  }

  /** Has the server show the key of this file, once it is started again. */
  useHostKey(file: string): void {
    const settings = path.join(this.folder, 'sshd_config');
    const text = readFileSync(settings, 'utf8').replace(/^HostKey .*$/m, `HostKey ${file}`);
    writeFileSync(settings, text);
  }

  /** Starts the server, again if it was stopped; resolves when it listens. */
  async begin(): Promise<void> {
    const args = ['-D', '-e', '-f', path.join(this.folder, 'sshd_config')];
    // It wants to be called by its whole path.
    const child = spawn(findPeer('sshd') ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    const listening = Promise.withResolvers<void>();
    let errors = '';
    child.stderr.on('data', (part: Buffer) => {
      errors += part.toString();
      if (errors.includes('Server listening')) listening.resolve();
    });
    child.once('close', () => listening.reject(new Error(`sshd ended: ${errors}`)));
    await listening.promise;
  }

  /** Processes that serve connections now: the children of the server. */
  sessions(): number[] {
    const pid = this.#child?.pid;
    return pid === undefined ? [] : childrenOf(pid);
  }

  /** Processes that serve channels now: what the connections have started last. */
  channels(): number[] {
    const lastOf = (pid: number): number[] => {
      const children = childrenOf(pid);
      return children.length === 0 ? [pid] : children.flatMap(lastOf);
    };
    return this.sessions().flatMap(lastOf);
  }

  /** Ends what serves connections, as a failing server or network would. The server goes on. */
  killSessions(): void {
    for (const pid of this.sessions()) process.kill(pid, 'SIGKILL');
  }

  /** Ends the server and its connections. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    const pids = child.pid === undefined ? [] : descendantsOf(child.pid);
    child.kill('SIGKILL');
    for (const pid of pids) kill(pid);
    await ended;
  }
}

function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  try {
    const text = readFileSync(file, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    // It has ended, perhaps just now.
    return [];
  }
}

/** A session has a process of its own that serves it, and outlives its parent. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone with its parent.
  }
}

/** Makes a pair of keys; the public half has `.pub` at its end. */
export function makeKey(file: string, passphrase = '', type = 'ed25519'): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', 'test', '-f', file]);
}

/** OpenSSH's server of SFTP as a program. */
export function findSftpServer(): string | undefined {
  return sftpServers.find((file) => {
    try {
      return readFileSync(file).length > 0;
    } catch {
      return false;
    }
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `isTrue`, looking again every few milliseconds. */
export async function waitUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await systemClock.sleep(5);
}
