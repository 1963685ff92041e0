import http from 'node:http';
import { Readable } from 'node:stream';

import { cancelled } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { ConnectionAgent, type HttpServer } from '../http-connect.ts';
import { bodyMovement, type Movement, StallWatch } from '../http-stall.ts';

/** A request as the SDK hands it over: complete, signed. */
export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/** An answer as the SDK takes it. */
export interface HttpAnswer {
  readonly statusCode: number;
  readonly reason?: string;
  readonly headers: Record<string, string>;
  readonly body: http.IncomingMessage | Uint8Array;
}

/** How requests are sent. */
export interface HttpRequestsOptions {
  /** The one that all requests go to. */
  readonly server: HttpServer;
  readonly connectionCount: number;
  /** A request of which nothing moves for so long, or only drops of its answer, is given up. */
  readonly stuckMs: number;
  readonly clock: Clock;
  readonly userAgent: string;
}

/** More than any answer needs that is not the content of a file: a listing of 1000 keys takes some 0.5 MB. */
export const answerSizeBytesMax: number = 16 << 20;

/** Connections that nobody uses are closed before most servers do it, which would fail the next request on them. */
const idleMsMax = 4000;
const headersSizeBytesMax = 64 << 10;

/** A body in parts that are sent as they are, without being put together first. Carries them past the SDK. */
export class PartsBody extends Readable {
  readonly parts: readonly Uint8Array[];
  /** Of all parts, in hex; not computed again. */
  readonly sha256: string;

  constructor(parts: readonly Uint8Array[], sha256: string) {
    super({ read: () => this.destroy(new Error('parts are sent, not read')) });
    this.parts = parts;
    this.sha256 = sha256;
  }
}

/**
 * Sends requests of the SDK over connections that are kept. Unlike the SDK's own handler it bounds what it reads of any
 * answer, notices a request that stands still or drips, also in the middle of a body, and makes no connection of its own for a large
 * body. Redirects are answers like others: nothing is sent to a host that was not asked for.
 */
export class HttpRequests {
  readonly metadata: { readonly handlerProtocol: string } = { handlerProtocol: 'http/1.1' };
  readonly #options: HttpRequestsOptions;
  readonly #stalls: StallWatch;
  #server: HttpServer;
  #agent: ConnectionAgent;

  constructor(options: HttpRequestsOptions) {
    this.#options = options;
    this.#stalls = new StallWatch(options.clock, options.stuckMs);
    this.#server = options.server;
    this.#agent = this.#makeAgent();
  }

  async handle(
    request: SignedRequest,
    options: { readonly abortSignal?: unknown } = {},
  ): Promise<{ response: HttpAnswer }> {
    const signal = options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
    const agent = this.#agent;
    try {
      return { response: await this.#exchange(request, signal) };
    } catch (error) {
      if (isUnknownIssuer(error) && this.#server.tls?.wider) {
        // The handshake failed: nothing of the request was sent. Another request may have come here first.
        if (this.#agent === agent) this.#trustSystem(this.#server.tls.wider());
      } else if (!(error instanceof StaleConnection)) throw error;
      // The server closed a connection just when it was to be used again: what only asks is asked again at once.
      return { response: await this.#exchangeAgain(request, signal) };
    }
  }

  /** Several kept connections may be gone at once, as with a server that was started again. */
  async #exchangeAgain(
    request: SignedRequest,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    try {
      return await this.#exchange(request, signal);
    } catch (error) {
      throw error instanceof StaleConnection ? error.cause : error;
    }
  }

  /** The SDK would set here what it has found out by itself; all is said already. */
  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  destroy(): void {
    this.#agent.destroy();
  }

  #makeAgent(): ConnectionAgent {
    const { connectionCount } = this.#options;
    return new ConnectionAgent(this.#server, {
      keepAlive: true,
      maxSockets: connectionCount,
      maxFreeSockets: connectionCount,
      scheduling: 'lifo',
      timeout: idleMsMax,
    });
  }

  #trustSystem(context: NonNullable<HttpServer['tls']>['context']): void {
    const rejectUnauthorized = this.#server.tls?.rejectUnauthorized ?? true;
    this.#server = { ...this.#server, tls: { context, rejectUnauthorized } };
    this.#agent = this.#makeAgent();
  }

  async #exchange(request: SignedRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const message = await this.#send(request, signal);
    const answer = {
      statusCode: message.statusCode ?? 0,
      reason: message.statusMessage ?? '',
      headers: plainHeaders(message.headers),
    };
    if (isFile(request, answer.statusCode) && !isPage(answer.headers)) {
      return { ...answer, body: message };
    }
    const body = request.method === 'HEAD' ? drained(message) : await readAnswer(message);
    return { ...answer, body: isPage(answer.headers) ? refusedPage(answer.statusCode) : body };
  }

  /** Gives a function that begins to watch a request, until it is closed; `giveUp` is called for one that does not move. */
  #watcher(sent: http.ClientRequest, giveUp: (error: Error) => void): () => Movement {
    let movement: Movement | undefined;
    return () => {
      if (movement) return movement;
      const watched = this.#stalls.start(undefined);
      movement = watched;
      const { signal } = watched;
      signal.addEventListener('abort', () => giveUp(cancelled(signal)), { once: true });
      if (sent.destroyed) watched.end();
      else sent.once('close', () => watched.end());
      return watched;
    };
  }

  #send(request: SignedRequest, signal: AbortSignal | undefined): Promise<http.IncomingMessage> {
    const { stuckMs, userAgent } = this.#options;
    const { url, proxy } = this.#server;
    const path = request.path + queryText(request.query);
    const isAbsolute = proxy !== undefined && url.protocol === 'http:';
    const authorization = isAbsolute ? proxy.authorization : undefined;
    return new Promise((resolve, reject) => {
      const sent = http.request({
        method: request.method,
        agent: this.#agent,
        host: url.hostname,
        path: isAbsolute ? `${url.origin}${path}` : path,
        headers: {
          host: url.host,
          ...request.headers,
          'user-agent': userAgent,
          ...(authorization !== undefined && { 'proxy-authorization': authorization }),
        },
        maxHeaderSize: headersSizeBytesMax,
        timeout: stuckMs,
        ...(signal && { signal }),
      });
      let answer: http.IncomingMessage | undefined;
      // What stands still is noticed by the socket; drops are no movement. While a body is sent, only the socket knows of it.
      const watch = this.#watcher(sent, (error) => (answer ?? sent).destroy(error));
      if (request.body === undefined) watch();
      else sent.on('finish', watch);
      sent.on('response', (message) => {
        answer = message;
        countBody(message, watch());
        resolve(message);
      });
      sent.on('timeout', () => (answer ?? sent).destroy(stuck(stuckMs)));
      sent.on('error', (error) => {
        const isQuestion = request.method === 'GET' || request.method === 'HEAD';
        const isClosed = /^(?:ECONNRESET|EPIPE)$/.test(systemCode(error) ?? '');
        const isStale = sent.reusedSocket && isQuestion && isClosed;
        reject(isStale ? new StaleConnection('the connection is gone', { cause: error }) : error);
      });
      writeBody(sent, request.body);
    });
  }
}

/** Counts what is read of a body, without starting to read it. */
function countBody(message: http.IncomingMessage, movement: Movement): void {
  const came = bodyMovement(movement);
  movement.moved();
  message.pause();
  message.on('data', (chunk: Buffer) => came(chunk.byteLength));
}

class StaleConnection extends Error {}

function writeBody(sent: http.ClientRequest, body: unknown): void {
  if (body instanceof PartsBody) {
    // All parts in one call of the system, or few.
    sent.cork();
    for (const part of body.parts) if (part.byteLength > 0) sent.write(part);
    sent.end();
    sent.uncork();
  } else if (body instanceof Uint8Array || typeof body === 'string') sent.end(body);
  else sent.end();
}

/** The content of a file goes on as a stream: only who asked knows how long it may be. */
function isFile(request: SignedRequest, status: number): boolean {
  return request.query?.['x-id'] === 'GetObject' && (status === 200 || status === 206);
}

function drained(message: http.IncomingMessage): Uint8Array {
  message.resume();
  return new Uint8Array();
}

/** @throws SERVER_ANSWER_INVALID for an answer that does not end */
async function readAnswer(message: http.IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of message) {
    chunks.push(chunk);
    sizeBytes += chunk.byteLength;
    if (sizeBytes > answerSizeBytesMax) {
      message.destroy();
      throw new HoldfastError('SERVER_ANSWER_INVALID', {
        message: 'the storage answers without an end',
        details: { readBytes: sizeBytes },
      });
    }
  }
  return Buffer.concat(chunks);
}

function isPage(headers: Readonly<Record<string, string>>): boolean {
  return /^text\/html\b/i.test(headers['content-type'] ?? '');
}

/** A page for people, of a proxy or of a network that wants a login, tells by its status alone. */
function refusedPage(status: number): Uint8Array {
  if (status >= 300) return new Uint8Array();
  throw webPage();
}

function webPage(): HoldfastError {
  return new HoldfastError('SERVER_ANSWER_INVALID', {
    message: 'the storage answers with a web page',
  });
}

function stuck(stuckMs: number): HoldfastError {
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: `the storage did not answer for ${Math.round(stuckMs / 1000)} s`,
  });
}

function plainHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
  );
  return Object.fromEntries(entries);
}

function queryText(query: SignedRequest['query']): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) => {
    const values = Array.isArray(value) ? value : [value];
    return values.map((each: string | null) => `${escaped(name)}=${escaped(each ?? '')}`);
  });
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** As RFC 3986 has it, which is what is signed. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Errors of a certificate whose issuer is not known, by OpenSSL. */
const unknownIssuers: readonly (string | undefined)[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

function isUnknownIssuer(error: unknown): boolean {
  return unknownIssuers.includes(systemCode(error));
}
