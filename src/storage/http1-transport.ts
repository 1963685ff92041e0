import http from 'node:http';

import type { Clock } from '../base/clock.ts';
import { systemCode } from '../base/errors.ts';
import { ConnectionAgent, type HttpServer } from './http-connect.ts';
import {
  destroyOnAbort,
  type HttpTransport,
  type WireAnswer,
  type WireRequest,
  writeBody,
} from './http-message.ts';
import type { Movement } from './http-stall.ts';

/** What HTTP/1.1 is spoken with; `connectionCount` connections at most. */
export interface Http1Options {
  readonly server: HttpServer;
  readonly connectionCount: number;
  readonly clock: Clock;
}

/** Connections that nobody uses are closed before most servers do it, which would fail the next request on them. */
const idleMsMax = 4000;
const headersSizeBytesMax = 64 << 10;
/** A server that does not know the question gets the body after this. */
const welcomeMsMax = 3000;

/** HTTP/1.1 on kept connections, at most `connectionCount` of them. */
export class Http1Transport implements HttpTransport {
  readonly #options: Http1Options;
  #agent: ConnectionAgent;
  #server: HttpServer;

  constructor(options: Http1Options) {
    this.#options = options;
    this.#server = options.server;
    this.#agent = this.#makeAgent();
  }

  async send(request: WireRequest, movement: Movement): Promise<WireAnswer> {
    const agent = this.#agent;
    try {
      return await this.#sendOnce(request, movement);
    } catch (error) {
      if (!isUnknownIssuer(error) || !this.#server.tls?.wider) throw error;
      // The handshake failed: nothing of the request was sent. Another request may have come here first.
      if (this.#agent === agent) this.#trustSystem();
      return await this.#sendOnce(request, movement);
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  #makeAgent(): ConnectionAgent {
    return new ConnectionAgent(this.#server, {
      keepAlive: true,
      maxSockets: this.#options.connectionCount,
      maxFreeSockets: this.#options.connectionCount,
      scheduling: 'lifo',
      timeout: idleMsMax,
    });
  }

  #trustSystem(): void {
    const { tls } = this.#server;
    if (!tls?.wider) return;
    const { rejectUnauthorized } = tls;
    this.#server = { ...this.#server, tls: { context: tls.wider(), rejectUnauthorized } };
    this.#agent = this.#makeAgent();
  }

  #sendOnce(wire: WireRequest, movement: Movement): Promise<WireAnswer> {
    const request = http.request(this.#requestOptions(wire));
    const stop = destroyOnAbort(request, movement.signal);
    const answered = Promise.withResolvers<WireAnswer>();
    request.on('error', answered.reject);
    request.on('close', () => {
      stop();
      answered.reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    });
    request.on('response', (message) => {
      movement.moved();
      const { statusCode: status = 0, headers } = message;
      answered.resolve({ status, headers, body: message });
      // Answered before all was sent: the rest is not wanted, and the connection is of no more use.
      message.on('end', () => {
        if (!request.writableFinished) request.destroy();
      });
    });
    void this.#sendBody(request, wire, movement);
    return answered.promise;
  }

  async #sendBody(request: http.ClientRequest, wire: WireRequest, how: Movement): Promise<void> {
    if (!wire.body) request.end();
    else if (!wire.asksFirst || (await this.#isWelcome(request))) {
      await writeBody(request, wire.body, how);
    }
  }

  /** Waits for what the server says to the question whether it wants the body (RFC 9110, 10.1.1). */
  async #isWelcome(request: http.ClientRequest): Promise<boolean> {
    const said = Promise.withResolvers<boolean>();
    request.on('continue', () => said.resolve(true));
    request.on('response', () => said.resolve(false));
    request.on('close', () => said.resolve(false));
    request.flushHeaders();
    const patience = new AbortController();
    const waited = this.#options.clock.sleep(welcomeMsMax, patience.signal);
    void waited.then(
      () => said.resolve(true),
      () => undefined,
    );
    const isWelcome = await said.promise;
    patience.abort();
    return isWelcome;
  }

  #requestOptions({ method, path, headers, asksFirst }: WireRequest): http.RequestOptions {
    const { url, proxy } = this.#server;
    const isAbsolute = proxy !== undefined && url.protocol === 'http:';
    const authorization = isAbsolute ? proxy.authorization : undefined;
    return {
      method,
      agent: this.#agent,
      host: url.hostname,
      path: isAbsolute ? `${url.origin}${path}` : path,
      maxHeaderSize: headersSizeBytesMax,
      headers: {
        host: url.host,
        ...headers,
        ...(authorization !== undefined && { 'proxy-authorization': authorization }),
        ...(asksFirst && { expect: '100-continue' }),
      },
    };
  }
}

const unknownIssuers = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

function isUnknownIssuer(error: unknown): boolean {
  return unknownIssuers.includes(systemCode(error) ?? '');
}
