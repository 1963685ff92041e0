import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureVersion } from 'node:tls';
import type { Environment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import type { AccessLog } from './access-log.ts';
import type { Authenticator } from './authenticator.ts';
import { type CertificateFiles, CertificateWatch, readCertificates } from './certificates.ts';
import { Connections } from './connections.ts';
import { dropContent, sent } from './drop-content.ts';
import {
  clearMsMax,
  drainMsMax,
  handshakeMsMax,
  headerCountMax,
  headersCheckMs,
  headersMsMax,
  headersSizeBytesMax,
  keepAliveMs,
  sendPace,
} from './limits.ts';
import { isUserName } from './htpasswd.ts';
import type { ListenAddress } from './listen-address.ts';
import { openListener } from './listener.ts';
import { isOurTrouble, Refusal, refusalOf } from './refusal.ts';
import { answerRequest, type Service } from './request-handler.ts';
import { ClientGone } from './send.ts';

/** Who may read the metrics: nobody, users, or everybody. */
export type MetricsAccess = 'none' | 'users' | 'all';

/** The user who alone may read the metrics of private repositories, as with rest-server. */
const metricsUser = 'metrics';

/** How TLS is spoken. */
export interface TlsOptions {
  readonly files: CertificateFiles;
  readonly versionMin: SecureVersion;
}

/** All that a `RepositoryServer` works with. */
export interface ServerOptions {
  readonly service: Service;
  readonly environment: Environment;
  /** How users are told: by passwords, by a header that a proxy sets, or not at all. */
  readonly users: Authenticator | { readonly header: string } | undefined;
  readonly metricsAccess: MetricsAccess;
  readonly tls: TlsOptions | undefined;
  readonly log: AccessLog | undefined;
  readonly connectionCountMax: number;
  /** Time for the headers of a request; default `headersMsMax`. */
  readonly headersMs?: number | undefined;
  /** Tells whoever runs the server: one line. */
  readonly tell: (text: string) => void;
}

/** A server of restic's REST protocol. @see docs/SERVE.md */
export class RepositoryServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #certificates: CertificateWatch | undefined;
  readonly #working: Set<Promise<void>> = new Set();
  #isStopping = false;
  #closeListener: () => Promise<void> = async () => {};

  /** @throws USAGE if the TLS files cannot be used */
  constructor(options: ServerOptions) {
    this.#options = options;
    const { tls, environment, tell, headersMs = headersMsMax } = options;
    const settings = {
      maxHeaderSize: headersSizeBytesMax,
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.min(headersCheckMs, headersMs),
      // Contents may take as long as they move: `PaceWatch` looks after them.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
    };
    if (tls) {
      const pair = readCertificates(tls.files);
      const server = createTlsServer({
        ...settings,
        ...pair,
        minVersion: tls.versionMin,
        handshakeTimeout: handshakeMsMax,
      });
      const use = (fresh: typeof pair): void => {
        server.setSecureContext({ ...fresh, minVersion: tls.versionMin });
      };
      const { clock } = environment;
      this.#certificates = new CertificateWatch(pair, { files: tls.files, clock, use, tell });
      this.#server = server;
    } else this.#server = createServer(settings);
    this.#connections = new Connections(this.#server, options.connectionCountMax);
    this.#prepare();
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#connections.count;
  }

  /**
   * Starts to listen.
   * @returns where, as the begin of a URL
   * @throws USAGE if it cannot listen there
   */
  async listen(address: ListenAddress, socketMode: number): Promise<string> {
    const listener = await openListener(this.#server, address, socketMode);
    this.#closeListener = () => listener.close();
    return `${this.#options.tls ? 'https' : 'http'}${listener.place}`;
  }

  /** Looks for changed certificates now. */
  checkCertificates(): void {
    this.#certificates?.check();
  }

  /** Takes no more requests, lets those at work end for some seconds, cuts off the rest, and clears up after them. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { clock } = this.#options.environment;
    const closed = this.#closeListener();
    this.#server.closeIdleConnections();
    const wait = async (ms: number): Promise<void> => {
      const done = new AbortController();
      const ended = Promise.all(this.#working).then(() => done.abort());
      await Promise.race([ended, clock.sleep(ms, done.signal).catch(() => {})]);
    };
    await wait(drainMsMax);
    this.#server.closeAllConnections();
    this.#connections.destroyAll();
    await wait(clearMsMax);
    await closed;
    this.#certificates?.close();
    this.#options.service.paces.close();
    const { users } = this.#options;
    if (users && 'close' in users) await users.close();
    await this.#options.log?.close();
  }

  #prepare(): void {
    const server = this.#server;
    server.maxHeadersCount = headerCountMax;
    // Nothing at all for so long: a client that is gone.
    server.setTimeout(sendPace.windowMs, (socket: Socket) => socket.destroy());
    const onRequest = (waits: boolean) => (request: IncomingMessage, response: ServerResponse) => {
      const handle = (): Promise<void> => this.#handle(request, response, waits);
      const work = this.#connections.inTurn(request.socket, handle).catch((error: unknown) => {
        this.#options.tell(`a request failed: ${describeError(error)}`);
        request.socket.destroy();
      });
      this.#working.add(work);
      void work.finally(() => this.#working.delete(work));
    };
    server.on('request', onRequest(false));
    // A client that waits to be asked for its content hears first whether it is wanted.
    server.on('checkContinue', onRequest(true));
  }

  async #handle(request: IncomingMessage, response: ServerResponse, waits: boolean): Promise<void> {
    const { socket } = request;
    const address = this.#connections.addressOf(socket);
    const sentBefore = socket.bytesWritten;
    let user: string | undefined;
    let hasProceeded = false;
    // Errors of a connection end what is at work on it; nothing else is to be done about them.
    response.on('error', () => {});
    if (this.#isStopping) response.shouldKeepAlive = false;
    response.setHeader('X-Content-Type-Options', 'nosniff');
    try {
      const proceed = (): void => {
        hasProceeded = true;
        if (waits) response.writeContinue();
      };
      if (isMetrics(request) && this.#options.metricsAccess === 'all')
        this.#answerMetrics(response);
      else {
        user = await this.#userOf(request, address);
        await this.#answer({ request, response, user, proceed });
      }
    } catch (error) {
      // What a client that was not asked for its content does next is its choice: no further request.
      if (waits && !hasProceeded) response.shouldKeepAlive = false;
      this.#refuse(response, error);
    }
    const { paces } = this.#options.service;
    if (!waits || hasProceeded) await dropContent(request, paces);
    await sent(response, paces);
    this.#options.service.metrics.request(request.method ?? '', response.statusCode);
    this.#options.log?.add({
      address,
      user,
      method: request.method ?? '',
      url: request.url ?? '',
      httpVersion: request.httpVersion,
      status: response.statusCode,
      sizeBytes: socket.bytesWritten - sentBefore,
      agent: request.headers['user-agent'],
    });
  }

  async #answer(exchange: Parameters<typeof answerRequest>[1]): Promise<void> {
    const { metricsAccess, service } = this.#options;
    if (metricsAccess === 'none' || !isMetrics(exchange.request)) {
      return answerRequest(service, exchange);
    }
    if (service.isPrivate && exchange.user !== metricsUser) {
      throw new Refusal(403, `with private repositories the user "${metricsUser}" reads them`);
    }
    this.#answerMetrics(exchange.response);
  }

  #answerMetrics(response: ServerResponse): void {
    response.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
    response.end(this.#options.service.metrics.text());
  }

  async #userOf(request: IncomingMessage, address: string): Promise<string | undefined> {
    const { users } = this.#options;
    if (!users) return undefined;
    if (!('header' in users)) return users.userOf(request.headers.authorization, address);
    const name = request.headers[users.header.toLowerCase()];
    if (typeof name === 'string' && isUserName(name)) return name;
    throw new Refusal(401, 'the proxy did not name a user');
  }

  #refuse(response: ServerResponse, error: unknown): void {
    if (error instanceof ClientGone) return void response.destroy();
    const refusal = refusalOf(error);
    if (isOurTrouble(refusal)) this.#options.tell(describeError(refusal.cause));
    // Half an answer must not look like a whole one.
    if (response.headersSent) return void response.destroy();
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.writeHead(refusal.status, {
      'Content-Type': 'text/plain; charset=utf-8',
      'X-Content-Type-Options': 'nosniff',
      ...refusal.headers,
    });
    response.end(`${refusal.message}\n`);
  }
}

function isMetrics({ url, method }: IncomingMessage): boolean {
  return method === 'GET' && url === '/metrics';
}
