import http from 'node:http';
import { connect, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import { afterAll, beforeAll } from 'vitest';

import { portOf } from './server-port.ts';

/** A proxy for one test file. */
export interface ConnectProxy {
  /** For HTTPS_PROXY. */
  readonly url: string;
  /** `host:port` of every connection that was asked for. */
  readonly targets: readonly string[];
}

/**
 * Starts a proxy that leads every connection to the server at `address`, wherever it was to go, and speaks TLS in its place: so programs
 * reach a server on this machine under the name of one in the world.
 */
export function startConnectProxy(
  address: () => string,
  tls: () => { readonly cert: string; readonly key: string },
): ConnectProxy {
  const targets: string[] = [];
  const started = { url: '', targets };
  const sockets = new Set<Socket>();
  const server = http.createServer();
  server.on('connect', ({ url }, inner: Socket) => {
    targets.push(url ?? '');
    const [host, port] = address().split(':');
    const outer = connect({ host: host ?? '', port: Number(port) }, () => {
      inner.write('HTTP/1.1 200 Connection established\r\n\r\n');
      const encrypted = new TLSSocket(inner, { isServer: true, ...tls() });
      encrypted.on('error', () => inner.destroy());
      encrypted.pipe(outer).pipe(encrypted);
    });
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        inner.destroy();
        outer.destroy();
      });
    }
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = portOf(server);
    started.url = `http://127.0.0.1:${port}`;
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return started;
}
