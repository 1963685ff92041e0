import { spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';

import { HoldfastError } from '../../base/errors.ts';
import { splitShellWords } from '../../base/shell-words.ts';
import { variablesForOthers } from './run-to-end.ts';
import type { Transport } from './sftp-session.ts';
import {
  connectSsh,
  forward,
  openSftpChannel,
  type SshConnection,
  type SshOptions,
  type Wire,
} from './ssh-connection.ts';
import { expandTokens, resolveSshSettings, type SshSettings } from './ssh-settings.ts';

/** A host, and how the user wants to reach it. */
export interface SshPlace {
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** Further arguments of `ssh`. */
  readonly args: readonly string[];
}

const jumpsMax = 8;

/** Connects to a host as the user's ssh would, through its jump hosts, and opens SFTP there. */
export async function openSshTransport(place: SshPlace, options: SshOptions): Promise<Transport> {
  const opened: { close(): void }[] = [];
  const closeAll = (): void => {
    for (const one of opened.toReversed()) one.close();
  };
  try {
    const { signal } = options;
    const settings = await resolveSshSettings({ ...place, alias: place.host, signal });
    const connection = await reach(settings, { ...options, place, opened, depth: 0 });
    return { ...(await openChannel(connection)), close: closeAll };
  } catch (error) {
    closeAll();
    throw error;
  }
}

async function openChannel(connection: SshConnection): Promise<Transport> {
  const channel = await openSftpChannel(connection);
  channel.stderr.resume();
  return {
    input: channel,
    output: channel,
    beforeWrite: () => connection.beforeWrite(),
    onEnd: (listener) => {
      const onEnd = (): void => listener(connection.reason());
      channel.once('end', onEnd).once('close', onEnd);
    },
    another: () => openChannel(connection),
    close: () => channel.close(),
  };
}

interface Route extends SshOptions {
  readonly place: SshPlace;
  /** What was opened on the way, to be closed in the end. */
  readonly opened: { close(): void }[];
  readonly depth: number;
}

/** Logs in to a host, over what its settings say is the way to it. */
async function reach(settings: SshSettings, route: Route): Promise<SshConnection> {
  const { proxyJump, proxyCommand } = settings;
  const isLast = route.depth === 0;
  let wire: Wire | undefined;
  if (proxyJump !== undefined) wire = await jump(settings, proxyJump, route);
  else if (proxyCommand !== undefined) wire = startProxy(settings, proxyCommand, route);
  // A password is for the last host alone.
  const password = isLast ? route.password : undefined;
  const connection = await connectSsh(settings, wire, { ...route, password });
  route.opened.push(connection);
  return connection;
}

/** Goes through the hosts of a ProxyJump, the first of them over its own way. */
async function jump(settings: SshSettings, hops: string, route: Route): Promise<Wire> {
  if (route.depth >= jumpsMax) {
    throw new HoldfastError('USAGE', {
      message: `more than ${jumpsMax} jump hosts`,
      details: { hops },
    });
  }
  const names = hops.split(',');
  const last = names.pop() ?? '';
  const own = await resolveSshSettings({
    ...parseHop(last),
    args: route.place.args.length > 0 ? configOnly(route.place.args) : [],
    signal: route.signal,
  });
  const before = names.length > 0 ? names.join(',') : own.proxyJump;
  const via = await reach({ ...own, proxyJump: before }, { ...route, depth: route.depth + 1 });
  return await forward(via, settings);
}

/** `-F FILE` alone of the arguments: what else stands there is for the last host, as in ssh. */
function configOnly(args: readonly string[]): string[] {
  const at = args.findIndex((arg) => arg.startsWith('-F'));
  const [flag = '', file] = args.slice(at, at + 2);
  if (at < 0) return [];
  return flag === '-F' && file !== undefined ? ['-F', file] : [flag];
}

/** `[user@]host[:port]`, `ssh://` before it allowed, `[host]` in brackets. */
function parseHop(text: string): { alias: string; user?: string; port?: number } {
  const match =
    /^(?:ssh:\/\/)?(?:(?<user>.*)@)?(?:\[(?<boxed>[^\]]+)\]|(?<host>[^:@]+))(?::(?<port>[0-9]{1,5}))?\/?$/.exec(
      text.trim(),
    )?.groups;
  if (!match) {
    throw new HoldfastError('USAGE', {
      message: 'a jump host is not USER@HOST:PORT',
      details: { text },
    });
  }
  const { user, boxed, host = '', port } = match;
  return {
    alias: boxed ?? host,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

/** Characters that only a shell could make sense of; ssh would run one. */
const shellOnly = /[|&;<>`$*?(){}\n]/;

/** Starts a ProxyCommand, without a shell. */
function startProxy(settings: SshSettings, command: string, route: Route): Wire {
  const words = splitShellWords(command.replace(/^exec\s+/, ''));
  const expanded = words.map((word) => expandTokens(word, settings));
  if (words.some((word) => shellOnly.test(word)) || expanded.includes(undefined)) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'the ProxyCommand needs a shell, and none is run here',
      details: { host: settings.alias },
      hint: 'Write it into a script of its own, and name that as ProxyCommand; or use ProxyJump.',
    });
  }
  const [program = '', ...args] = expanded.map((word) => word ?? '');
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: variablesForOthers(),
    windowsHide: true,
  });
  const wire = joinStreams(child.stdout, child.stdin);
  child.once('error', (error) => wire.destroy(error));
  route.opened.push({ close: () => child.kill() });
  return { stream: wire, beforeWrite: () => {} };
}

/** One stream of a program's output and input. */
function joinStreams(input: Readable, output: Writable): Duplex {
  const joined = new Duplex({
    read: () => {
      input.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      output.write(chunk, done);
    },
    final: (done) => {
      output.end(done);
    },
    destroy: (error, done) => {
      input.destroy();
      output.destroy();
      done(error);
    },
  });
  input.on('data', (chunk: Buffer) => {
    if (!joined.push(chunk)) input.pause();
  });
  input.once('end', () => joined.push(null));
  for (const stream of [input, output]) stream.on('error', (error) => joined.destroy(error));
  return joined;
}
