import { connect as connectSocket, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import ssh2, { type AnyAuthMethod, type Client, type ClientChannel } from 'ssh2';

import { untilAborted } from '../../base/abort.ts';
import type { Environment } from '../../base/environment.ts';
import { describeError, HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { chooseAlgorithms } from './algorithms.ts';
import { HostKeyJudge } from './host-key.ts';
import { chooseAgent, type Identities, readIdentities } from './identities.ts';
import type { SshSettings } from './ssh-settings.ts';

/** Several packets at once; a system call costs as much as to decrypt 10 KiB. */
const readSizeBytes = 256 * 1024;

/** What is needed for a login besides the settings of the host. */
export interface SshOptions {
  readonly environment: Environment;
  /** From the location; never shown. */
  readonly password?: string | undefined;
  readonly signal: AbortSignal;
}

/** A logged-in connection to one host. */
export interface SshConnection {
  readonly client: Client;
  readonly settings: SshSettings;
  /** To be called before something is written: what is written in the same turn goes out together. */
  readonly beforeWrite: () => void;
  isClosed(): boolean;
  /** Why it ended. */
  reason(): Error | undefined;
  close(): void;
}

/** A way to a host on which a connection can be made. */
export interface Wire {
  readonly stream: Duplex;
  /** To be called once the login is done: from then on nothing that is read is kept in the form in which it came. */
  readonly onReady?: () => void;
  readonly beforeWrite: () => void;
}

/**
 * Logs in over `wire`, or a new TCP connection.
 *
 * @throws SERVER_NOT_TRUSTED, LOGIN_REFUSED, BACKEND_UNAVAILABLE, UNSUPPORTED (no algorithm in common)
 */
export async function connectSsh(
  settings: SshSettings,
  wire: Wire | undefined,
  options: SshOptions,
): Promise<SshConnection> {
  const judge = await HostKeyJudge.for(settings, options.environment.random);
  const identities = await readIdentities(settings.identityFiles);
  const {
    stream: socket,
    beforeWrite,
    onReady,
  } = wire ?? (await openWire(settings, options.signal));
  const client = new ssh2.Client();
  let reason: Error | undefined;
  let refusal: HoldfastError | undefined;
  let isClosed = false;
  // Stays for good: an error without a listener would end the program.
  client.on('error', (error: Error & { level?: string }) => {
    // An agent that does not answer is no reason to give up: identity files come next.
    if (error.level !== 'agent') reason ??= error;
  });
  const close = (): void => {
    client.end();
    socket.destroy();
  };
  const ready = Promise.withResolvers<void>();
  // It is waited for below, unless that fails before.
  ready.promise.catch(() => {});
  client.once('ready', () => ready.resolve());
  client.once('close', () => {
    isClosed = true;
    ready.reject(reason ?? new Error('the server closed the connection'));
  });
  client.on('error', () => reason && ready.reject(reason));
  try {
    client.connect({
      sock: socket,
      username: settings.user,
      algorithms: chooseAlgorithms(settings, judge.knownTypes),
      hostVerifier: (blob: Buffer, verify: (isValid: boolean) => void) => {
        judge.judge(blob).then(
          () => verify(true),
          (error: HoldfastError) => {
            refusal = error;
            verify(false);
          },
        );
      },
      authHandler: loginMethods(settings, identities, options.password),
      readyTimeout: 2 * settings.connectTimeoutMs,
      keepaliveInterval: settings.aliveIntervalMs,
      keepaliveCountMax: settings.aliveCountMax,
    });
    // Before ssh2 listens: what it answers goes out together.
    socket.on('data', beforeWrite);
    await untilAborted(ready.promise, options.signal);
    onReady?.();
  } catch (error) {
    close();
    throw refusal ?? translateLogin(error, settings, identities);
  }
  return {
    client,
    settings,
    beforeWrite,
    close,
    isClosed: () => isClosed,
    reason: () => refusal ?? reason,
  };
}

/** Opens the channel of the subsystem. @throws PROTOCOL_BROKEN if the server has none; BACKEND_UNAVAILABLE */
export function openSftpChannel(connection: SshConnection): Promise<ClientChannel> {
  const { client, settings } = connection;
  return new Promise((resolve, reject) => {
    client.subsys('sftp', (error, channel) => {
      if (!error) return resolve(channel);
      if (connection.isClosed())
        return reject(unreachableHost(connection.reason() ?? error, settings));
      reject(
        new HoldfastError('PROTOCOL_BROKEN', {
          message: 'the server offers no SFTP',
          details: { host: settings.host },
          cause: error,
        }),
      );
    });
  });
}

/** A way through this connection to another host. */
export function forward(
  { client, settings, beforeWrite }: SshConnection,
  to: SshSettings,
): Promise<Wire> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, stream) => {
      if (!error) return resolve({ stream, beforeWrite });
      reject(
        new HoldfastError('BACKEND_UNAVAILABLE', {
          message: 'the jump host does not reach the next one',
          details: { jump: settings.host, host: to.host, port: to.port },
          cause: error,
        }),
      );
    });
  });
}

/**
 * A TCP connection on which all that is written in one turn goes out at once (ssh2 makes three writes of a packet), and on which
 * what comes is read into the same memory again and again: fresh memory for each 64 KiB took half of the time of reading.
 */
async function openWire(settings: SshSettings, signal: AbortSignal): Promise<Wire> {
  const { host, port, family, connectTimeoutMs } = settings;
  let isReused = false;
  const stream: Socket = connectSocket({
    host,
    port,
    family,
    noDelay: true,
    timeout: connectTimeoutMs,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readSizeBytes),
      callback: (count, memory) => {
        const part = Buffer.from(memory.buffer, memory.byteOffset, count);
        stream.emit('data', isReused ? part : Buffer.from(part));
        return true;
      },
    },
  });
  await untilConnected(stream, settings, signal);
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    stream.uncork();
  };
  const beforeWrite = (): void => {
    if (isCorked) return;
    isCorked = true;
    stream.cork();
    process.nextTick(uncork);
  };
  const onReady = (): void => {
    isReused = true;
  };
  return { stream, beforeWrite, onReady };
}

async function untilConnected(
  socket: Socket,
  settings: SshSettings,
  signal: AbortSignal,
): Promise<void> {
  const opened = Promise.withResolvers<void>();
  const onConnect = (): void => opened.resolve();
  const onTimeout = (): void => opened.reject(new Error('it does not answer'));
  socket.once('connect', onConnect).once('error', opened.reject).once('timeout', onTimeout);
  try {
    await untilAborted(opened.promise, signal);
    socket.setTimeout(0);
    socket.off('error', opened.reject).off('timeout', onTimeout);
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw unreachableHost(error, settings);
  }
}

type LoginMethod = Exclude<AnyAuthMethod, { readonly type: 'hostbased' }>;

/** What is tried to log in, in this order, as far as the server takes it. */
function loginMethods(
  settings: SshSettings,
  identities: Identities,
  password: string | undefined,
): (left: string[] | null, partial: boolean | null, next: (method: never) => void) => void {
  const username = settings.user;
  const agent = chooseAgent(settings, identities);
  const methods: LoginMethod[] = [
    { type: 'none', username },
    ...(password === undefined ? [] : [{ type: 'password' as const, username, password }]),
    ...(agent ? [{ type: 'agent' as const, username, agent }] : []),
    ...identities.keys.map((key) => ({ type: 'publickey' as const, username, key })),
    ...(password === undefined ? [] : [answerPrompts(username, password)]),
  ];
  return (left, _partial, next) => {
    const isTaken = ({ type }: LoginMethod): boolean =>
      left === null || left.includes(type === 'agent' ? 'publickey' : type);
    while (methods[0] && !isTaken(methods[0])) methods.shift();
    next((methods.shift() ?? false) as never);
  };
}

/** Answers the one question that a server asks instead of taking a password as such. */
function answerPrompts(username: string, password: string): LoginMethod {
  return {
    type: 'keyboard-interactive',
    username,
    prompt: (...[, , , prompts, finish]) =>
      finish(prompts.map(({ echo }) => (echo === true ? '' : password))),
  };
}

function translateLogin(
  error: unknown,
  settings: SshSettings,
  identities: Identities,
): HoldfastError {
  if (isHoldfastError(error)) return error;
  const level = error instanceof Error && 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') return loginRefused(settings, identities);
  const text = error instanceof Error ? error.message : String(error);
  if (/too many authentication failures/i.test(text))
    return loginRefused(settings, identities, text);
  if (/no matching/i.test(text)) {
    return new HoldfastError('UNSUPPORTED', {
      message: 'no algorithm in common with the server',
      details: { host: settings.host, says: text },
    });
  }
  return unreachableHost(error, settings);
}

function loginRefused(
  settings: SshSettings,
  { locked, unknown, keys }: Identities,
  says?: string,
): HoldfastError {
  const lockedHint = 'Add it to the agent with "ssh-add": a passphrase is not asked for here.';
  const usualHint =
    'Try "ssh" to the same host and user, or "ssh-add -l" for what the agent holds.';
  return new HoldfastError('LOGIN_REFUSED', {
    message:
      locked.length > 0
        ? 'the server refused the login, and an identity file has a passphrase'
        : 'the server refused the login',
    details: {
      host: settings.host,
      user: settings.user,
      agent: settings.agent === undefined ? 'none' : 'asked',
      identityFiles: keys.length,
      ...(locked.length > 0 && { withPassphrase: locked.join(' ') }),
      ...(unknown.length > 0 && { notUnderstood: unknown.join(' ') }),
      ...(says !== undefined && { says }),
    },
    hint: locked.length > 0 ? lockedHint : usualHint,
  });
}

const socketSentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the server refuses the connection: no SSH there, or another port',
  ENOTFOUND: 'there is no host of this name',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the host does not answer',
};

function unreachableHost(error: unknown, settings: SshSettings): HoldfastError {
  if (isHoldfastError(error)) return error;
  const sentence = socketSentences[systemCode(error) ?? ''];
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: sentence ?? `no connection to the server: ${describeError(error)}`,
    details: { host: settings.host, port: settings.port },
  });
}
