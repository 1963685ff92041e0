import http from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

import { HoldfastError } from '../base/errors.ts';
import { type Proxy, bareHost } from './http-proxy.ts';
import type { TlsSettings } from './http-tls.ts';

/** Where connections lead, and on which way. */
export interface HttpServer {
  /** Of the server; `http://localhost` for a Unix socket. */
  readonly url: URL;
  readonly socketPath?: string;
  readonly proxy?: Proxy | undefined;
  /** For `https:`, and for an encrypted proxy. */
  readonly tls?: TlsSettings | undefined;
}

/** Of several addresses of a host, the next one is tried after this; Node's 250 ms give up on a distant one. */
const attemptMsMax = 10_000;
const proxyAnswerSizeBytesMax = 16 << 10;

type Ready = (error: Error | null, stream: Duplex) => void;

/** Keeps connections, as `http.Agent`, that are made as the server and its proxy want them. */
export class ConnectionAgent extends http.Agent {
  readonly #server: HttpServer;

  constructor(server: HttpServer, options: http.AgentOptions) {
    super(options);
    this.#server = server;
  }

  override createConnection(_: unknown, ready: Ready): Duplex | undefined {
    const { url, proxy } = this.#server;
    const isEncrypted = url.protocol === 'https:';
    if (isEncrypted && proxy) {
      this.#tunnel(proxy, ready);
      return undefined;
    }
    return isEncrypted ? encrypt(this.#server) : connectFirst(this.#server);
  }

  /** Asks the proxy for a way to the server, and speaks TLS with the server through it (RFC 9110, 9.3.6). */
  #tunnel(proxy: Proxy, ready: Ready): void {
    const { url } = this.#server;
    const target = `${url.hostname}:${portOf(url)}`;
    const request = http.request({
      method: 'CONNECT',
      path: target,
      host: proxy.host,
      port: proxy.port,
      agent: false,
      createConnection: () => connectFirst(this.#server),
      maxHeaderSize: proxyAnswerSizeBytesMax,
      headers: {
        host: target,
        ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
      },
    });
    const fail = (error: Error): void => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Node's types want a stream beside an error, too
      ready(error, undefined as unknown as Duplex);
    };
    request.on('error', fail);
    request.on('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode === 200) return ready(null, encrypt(this.#server, socket));
      socket.destroy();
      fail(proxyRefusal(statusCode, proxy));
    });
    request.end();
  }
}

/** The error for a proxy whose answer to CONNECT was no success. */
function proxyRefusal(status: number, { host, port }: Proxy): HoldfastError {
  const details = { proxy: `${host}:${port}`, status };
  if (status === 407) {
    const message = 'the proxy does not accept user name and password';
    return new HoldfastError('PERMISSION_DENIED', { message, details });
  }
  const message = 'the proxy does not let us through to the storage';
  return new HoldfastError('BACKEND_UNAVAILABLE', { message, details });
}

/** The host that connections are made to, for messages: the proxy's, if there is one. */
export function firstHost({ url, socketPath, proxy }: HttpServer): string {
  if (socketPath !== undefined) return socketPath;
  return proxy ? `proxy ${proxy.host}:${proxy.port}` : `${url.hostname}:${portOf(url)}`;
}

function connectFirst(server: HttpServer): Socket {
  const { url, socketPath, proxy, tls } = server;
  if (socketPath !== undefined) return connect({ path: socketPath });
  const host = proxy?.host ?? bareHost(url);
  const port = proxy?.port ?? portOf(url);
  const address = { host, port, autoSelectFamilyAttemptTimeout: attemptMsMax };
  if (!proxy?.isEncrypted || !tls) return connect(address);
  return connectTls({ ...address, servername: host, ...secured(tls) });
}

function encrypt(server: HttpServer, socket?: Duplex): Duplex {
  const { url, tls } = server;
  const host = bareHost(url);
  const address = { host, port: portOf(url), autoSelectFamilyAttemptTimeout: attemptMsMax };
  return connectTls({
    ...(socket ? { socket } : address),
    host,
    servername: host,
    ALPNProtocols: ['http/1.1'],
    ...(tls && secured(tls)),
  });
}

function secured(tls: TlsSettings): Pick<TlsSettings, 'rejectUnauthorized'> & {
  secureContext: TlsSettings['context'];
} {
  return { secureContext: tls.context, rejectUnauthorized: tls.rejectUnauthorized };
}

/** The port of a URL, also where it is the one that its scheme implies. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
