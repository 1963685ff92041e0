import { cancelled, throwIfAborted } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { invalidAnswer, statusError, translateConnection } from './http-errors.ts';
import {
  type AnswerHeaders,
  headerOf,
  type HttpTransport,
  type WireAnswer,
  type WireRequest,
} from './http-message.ts';
import { bodyMovement, type Movement, StallWatch } from './http-stall.ts';

/** A request of a store. */
export interface HttpRequest {
  readonly method: string;
  /** Below the URL of the repository, escaped: `data/0123…`, `?create=true`; `''` for the URL itself. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** What it is about, for people: `pack 0123456789`. */
  readonly file: string;
  readonly isWrite?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body may be read while it comes. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  /** Value of a header, by its name in lower case. */
  header(name: string): string | undefined;
  /** `Content-Length`; undefined if there is none that makes sense. */
  readonly sizeBytes: number | undefined;
  /** The body, once. Ends early if the loop is left, and with it the connection. @throws BACKEND_UNAVAILABLE if it is cut */
  chunks(): AsyncIterable<Uint8Array>;
  /** The error for this status. */
  failure(): HoldfastError;
}

/** What a client is made of. */
export interface HttpClientOptions {
  readonly transport: HttpTransport;
  /** The repository's URL with a slash at its end; user and password in it are not looked at. */
  readonly url: URL;
  /** The host that connections lead to, for messages. */
  readonly host: string;
  /** For every request, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly stuckRequestMs: number;
}

const redirectsMax = 5;
/** What is left of a body is read so that the connection can be used again, if it is not more. */
const restSizeBytesMax = 64 << 10;
/** A body from here on is asked for first, once uploads were cut. */
const askedSizeBytesMin = 64 << 10;

/** Requests to one server, with what is common to all of them: login, stall limit, redirects, errors. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #stalls: StallWatch;
  #isUploadCut = false;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#stalls = new StallWatch(options.clock, options.stuckRequestMs);
  }

  /**
   * Makes a request and gives its answer, of whatever status, to `take`; what of the body is not read by then is dropped.
   * Redirects on the same server are followed.
   *
   * @throws BACKEND_UNAVAILABLE, PERMISSION_DENIED, SERVER_NOT_TRUSTED, SERVER_ANSWER_INVALID (a redirect elsewhere), CANCELLED
   */
  async exchange<T>(request: HttpRequest, take: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const movement = this.#stalls.start(request.signal);
    try {
      const wire = await this.#send(request, movement);
      const answer = new ReceivedAnswer(request, wire, { movement, clock: this.#options.clock });
      try {
        const taken = await take(answer);
        await dropRest(wire);
        return taken;
      } catch (error) {
        // What is refused may never end, or never come.
        const isShort = (answer.sizeBytes ?? Number.POSITIVE_INFINITY) <= restSizeBytesMax;
        if (isShort) await dropRest(wire);
        else wire.body.destroy();
        throw error;
      }
    } catch (error) {
      if (movement.signal.aborted) throw cancelled(movement.signal);
      if (request.body && isHoldfastError(error, 'BACKEND_UNAVAILABLE')) this.#isUploadCut = true;
      throw translateConnection(error, this.#options.host);
    } finally {
      movement.end();
    }
  }

  close(): Promise<void> {
    return this.#options.transport.close();
  }

  async #send(request: HttpRequest, movement: Movement): Promise<WireAnswer> {
    const { transport, url, host } = this.#options;
    let wire = this.#wireRequest(request);
    for (let count = 0; ; count++) {
      throwIfAborted(movement.signal);
      const answer = await transport.send(wire, movement).catch((error: unknown) => {
        throw translateConnection(error, host);
      });
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      await dropRest(answer);
      const path = redirectPath(url, wire, headerOf(answer.headers, 'location'));
      if (count === redirectsMax)
        throw invalidAnswer('the storage redirects without end', { host });
      wire = { ...wire, path };
    }
  }

  #wireRequest({ method, path, headers, body }: HttpRequest): WireRequest {
    const { url } = this.#options;
    const sizeBytes = body?.reduce((sum, part) => sum + part.byteLength, 0);
    const target = new URL(path, url);
    return {
      method,
      path: `${target.pathname}${target.search}`,
      headers: {
        ...this.#options.headers,
        ...headers,
        ...(sizeBytes !== undefined && { 'content-length': String(sizeBytes) }),
      },
      ...(body && { body }),
      // A server that refuses a body and closes may cut the connection before its answer is read: then why is never known.
      asksFirst: this.#isUploadCut && (sizeBytes ?? 0) >= askedSizeBytesMin,
    };
  }
}

class ReceivedAnswer implements HttpAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly sizeBytes: number | undefined;
  readonly #request: HttpRequest;
  readonly #wire: WireAnswer;
  readonly #seam: { readonly movement: Movement; readonly clock: Clock };

  constructor(
    request: HttpRequest,
    wire: WireAnswer,
    seam: { readonly movement: Movement; readonly clock: Clock },
  ) {
    this.#request = request;
    this.#wire = wire;
    this.#seam = seam;
    this.status = wire.status;
    this.headers = wire.headers;
    const length = headerOf(wire.headers, 'content-length') ?? '';
    this.sizeBytes = /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined;
  }

  header(name: string): string | undefined {
    return headerOf(this.headers, name);
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const came = bodyMovement(this.#seam.movement);
    for await (const chunk of this.#wire.body as AsyncIterable<Uint8Array>) {
      came(chunk.byteLength);
      yield chunk;
    }
  }

  failure(): HoldfastError {
    const { file, isWrite = false } = this.#request;
    const { clock } = this.#seam;
    return statusError({ isWrite, file, status: this.status, headers: this.headers, clock });
  }
}

/** Path and query to ask for instead. @throws SERVER_ANSWER_INVALID unless that is on the same server */
function redirectPath(base: URL, wire: WireRequest, location: string | undefined): string {
  const from = new URL(wire.path, base.origin);
  const target =
    location !== undefined && URL.canParse(location, from) ? new URL(location, from) : from;
  if (target.origin === base.origin && target.href !== from.href) {
    return `${target.pathname}${target.search}`;
  }
  if (target.origin === base.origin) {
    throw invalidAnswer('the storage redirects to the same place', { host: base.host });
  }
  const isUnsafe = base.protocol === 'https:' && target.protocol === 'http:';
  throw invalidAnswer(
    isUnsafe
      ? 'the storage redirects to an address that is not encrypted'
      : 'the storage redirects to another server',
    { host: base.host, to: target.origin },
    'Redirects to other servers are not followed: they would get password and data. If it is right, use the new address.',
  );
}

async function dropRest({ body }: WireAnswer): Promise<void> {
  if (body.readableEnded || body.destroyed) return;
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > restSizeBytesMax) break;
    }
  } catch {
    // What is not wanted may be cut.
  }
}
