import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

import { portOf } from './server-port.ts';

/** A request as it came. */
export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Answers one request with raw bytes. What it does not end stays open. */
export type Script = (request: ScriptedRequest, socket: Socket) => void;

/** A server that says exactly what a test has it say: also what no server should. */
export interface ScriptedServer {
  readonly port: number;
  readonly requests: readonly ScriptedRequest[];
  readonly stop: () => Promise<void>;
}

export interface ScriptedOptions {
  readonly tls?: TlsOptions;
  /** A Unix socket instead of a port. */
  readonly path?: string;
  /** Answer as soon as the head of a request is there, and read no more. */
  readonly withoutBody?: boolean;
}

/** Starts one on a free port of this machine. */
export async function startScriptedServer(
  script: Script,
  options: ScriptedOptions = {},
): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = [];
  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const parsed = parse(received, options.withoutBody === true);
      if (!parsed) return;
      received = received.subarray(parsed.sizeBytes);
      requests.push(parsed.request);
      script(parsed.request, socket);
    });
  };
  const { tls } = options;
  const server: Server = tls ? createTlsServer(tls, serve) : createServer(serve);
  server.on('tlsClientError', () => {});
  server.listen(options.path === undefined ? { port: 0, host: '127.0.0.1' } : options);
  await once(server, 'listening');
  return {
    port: options.path === undefined ? portOf(server) : 0,
    requests,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A whole answer: status, headers, and a body of known length. */
export function answer(
  status: number,
  body = '',
  headers: Readonly<Record<string, string | number>> = {},
): string {
  const all = { 'Content-Length': Buffer.byteLength(body), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Said\r\n${lines.join('')}\r\n${body}`;
}

function parse(
  received: Buffer,
  withoutBody: boolean,
): { request: ScriptedRequest; sizeBytes: number } | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const isAsking = headers['expect'] === '100-continue';
  const length = withoutBody || isAsking ? 0 : Number(headers['content-length'] ?? 0);
  const sizeBytes = end + 4 + length;
  if (received.byteLength < sizeBytes) return undefined;
  const [method = '', path = ''] = first.split(' ');
  const body = received.toString('latin1', end + 4, sizeBytes);
  return { request: { method, path, headers, body }, sizeBytes };
}
