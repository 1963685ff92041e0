import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { systemEnvironment } from '../base/environment.ts';
import { connectionCountDefault } from './limits.ts';
import { type StartOptions, startServer } from './start-server.ts';

/** For tests: a server in this process, and raw clients of it. */

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** `name:password`. */
  readonly user?: string;
}

export interface TestServer {
  readonly port: number;
  readonly root: string;
  /** What it told whoever runs it. */
  readonly told: string[];
  /** Lines of its access log. */
  readonly logged: string[];
  ask(path: string, ask?: Ask): Promise<Answer>;
  /** Opens a connection and writes to it, as it is. */
  raw(text: string | Uint8Array): Socket;
  stop(): Promise<void>;
}

/** Starts a server at a free port of this machine; everybody is served unless something else is said. */
export async function startTestServer(
  root: string,
  settings: Partial<StartOptions> = {},
): Promise<TestServer> {
  mkdirSync(root, { recursive: true });
  const told: string[] = [];
  const logged: string[] = [];
  const running = await startServer({
    path: root,
    address: { kind: 'port', host: '127.0.0.1', port: 0 },
    users: { kind: 'none' },
    tls: undefined,
    isAppendOnly: false,
    isPrivate: false,
    isForGroup: false,
    sizeBytesMax: Infinity,
    connectionCountMax: connectionCountDefault,
    metricsAccess: 'none',
    log: (line) => logged.push(line),
    environment: systemEnvironment,
    tell: (text) => told.push(text),
    ...settings,
  });
  const port = Number(/:(\d+)\/$/.exec(running.url)?.[1]);
  return {
    port,
    root,
    told,
    logged,
    ask: (path, ask = {}) => askServer(port, path, ask),
    raw: (text) => {
      const socket = rawClient(port);
      socket.write(text);
      return socket;
    },
    stop: () => running.stop(),
  };
}

function askServer(port: number, path: string, { user, ...ask }: Ask): Promise<Answer> {
  const headers = {
    ...(user === undefined ? {} : { Authorization: basic(user) }),
    ...ask.headers,
  };
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method: ask.method ?? 'GET', headers };
    const request = httpRequest({ ...options, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers: found } = response;
        resolve({ status, headers: found, body: Buffer.concat(parts) });
      });
    });
    request.on('error', reject);
    request.end(ask.body);
  });
}

/** A connection to a server; being cut off is what many of them are for. */
export function rawClient(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

export function basic(user: string): string {
  return `Basic ${Buffer.from(user).toString('base64')}`;
}

/** Everything that comes from a connection until it is closed. */
export async function readToEnd(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await new Promise((resolve) => {
    socket.once('close', resolve);
  });
  return Buffer.concat(parts).toString('latin1');
}

/** How long is waited for what comes: for as long as a busy machine may take. */
export const patient = { timeout: 120_000, interval: 10 } as const;

/** The name of a file with this content. */
export function nameOf(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** bcrypt hashes of the least cost: of `right` for anna, of `other` for bob. */
export const cheapUsers = [
  'anna:$2b$04$E9U8DKcYcJszvh34SJJG/ufQbeINpKXeV3pvNgb9IG5hKxiD1qfm6',
  'bob:$2b$04$DfIYeoaNGcdgj959/13pSuD4IM2VjG69wnCw45IUCEYWrD05QOSgO',
].join('\n');
