import http2 from 'node:http2';
import { type Duplex, PassThrough, type Readable } from 'node:stream';

import { HoldfastError, systemCode } from '../base/errors.ts';
import {
  destroyOnAbort,
  type HttpTransport,
  type WireAnswer,
  type WireRequest,
  writeBody,
} from './http-message.ts';
import type { Movement } from './http-stall.ts';

/** How much may be on the way to us before we have read it: of one answer, and of all. Node's 64 KiB hold up every pack. */
const answerWindowBytes = 4 << 20;
const sessionWindowBytes = 16 << 20;

/** Where HTTP/2 is spoken. */
export interface Http2Options {
  /** `http://localhost`: what the server takes for its address. */
  readonly authority: string;
  /** Makes a connection. Called again after one has ended. @throws what the caller of `send` is to see */
  readonly connect: () => Promise<Duplex>;
}

/** HTTP/2 without TLS on a stream of bytes, all requests on one connection (RFC 9113). */
export class Http2Transport implements HttpTransport {
  readonly #options: Http2Options;
  #session: Promise<http2.ClientHttp2Session> | undefined;
  #isClosed = false;

  constructor(options: Http2Options) {
    this.#options = options;
  }

  async send(request: WireRequest, movement: Movement): Promise<WireAnswer> {
    const session = await this.#connected();
    const { method, path, headers, body } = request;
    const stream = session.request(
      { ':method': method, ':path': path, ...headers },
      { endStream: body === undefined },
    );
    const stop = destroyOnAbort(stream, movement.signal);
    const answered = Promise.withResolvers<WireAnswer>();
    stream.on('error', (error) => answered.reject(readable(error)));
    stream.on('close', () => {
      stop();
      answered.reject(closed());
    });
    stream.on('response', (received) => {
      movement.moved();
      const { ':status': status = 0, ...rest } = received;
      answered.resolve({ status, headers: rest, body: bodyOf(stream) });
    });
    if (body) void writeBody(stream, body, movement);
    return await answered.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const session = await this.#session?.catch(() => undefined);
    session?.destroy();
  }

  #connected(): Promise<http2.ClientHttp2Session> {
    if (this.#isClosed) throw closed();
    if (this.#session) return this.#session;
    // An old session that ends late must not take the new one away.
    const forget = (): void => {
      if (this.#session === session) this.#session = undefined;
    };
    const session = this.#connect(forget);
    session.catch(forget);
    this.#session = session;
    return session;
  }

  async #connect(onEnd: () => void): Promise<http2.ClientHttp2Session> {
    const stream = await this.#options.connect();
    const session = http2.connect(this.#options.authority, {
      createConnection: () => stream,
      settings: { initialWindowSize: answerWindowBytes, enablePush: false },
      maxHeaderListPairs: 128,
      maxSessionMemory: 64,
    });
    // Every request on it hears of the error by itself.
    session.on('error', () => {});
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    session.once('connect', () => resolve());
    session.once('close', () => reject(closed()));
    await promise;
    session.setLocalWindowSize(sessionWindowBytes);
    session.once('close', onEnd);
    session.once('goaway', onEnd);
    return session;
  }
}

/** What comes, as a stream of its own: one of HTTP/2 that has ended already cannot be iterated, Node takes it for cut. */
function bodyOf(stream: http2.ClientHttp2Stream): Readable {
  const body = new PassThrough();
  let isWhole = false;
  stream.on('end', () => {
    isWhole = !stream.aborted;
  });
  stream.on('error', (error) => body.destroy(error));
  stream.on('close', () => {
    if (!isWhole) body.destroy(closed());
  });
  body.on('close', () => stream.close(http2.constants.NGHTTP2_CANCEL));
  // The reader may not listen yet.
  body.on('error', () => {});
  return stream.pipe(body);
}

function closed(): HoldfastError {
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: 'the connection to the storage has ended',
  });
}

/** Errors of the protocol are those of a connection: a stream that was reset, a server that goes away. */
function readable(error: unknown): unknown {
  if (!(error instanceof Error) || !(systemCode(error) ?? '').startsWith('ERR_HTTP2_'))
    return error;
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: 'the connection to the storage failed',
    details: { code: systemCode(error) },
  });
}
