import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import type {
  HttpHeaders,
  HttpOperationResponse,
  IHttpClient,
  WebResource,
} from '@azure/storage-blob';

import { concatBytes } from '../../base/bytes.ts';
import { webPage } from '../http-body.ts';
import type { HttpAnswer, HttpClient } from '../http-client.ts';
import { invalidAnswer } from '../http-errors.ts';

/** More than any answer needs that is not the content of a file: a page of 5000 names takes some 5 MB. */
const answerSizeBytesMax = 32 << 20;

/** A body in parts that are sent as they are, without being put together first. Carries them past the SDK. */
export class PartsBody extends Readable {
  readonly parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[]) {
    super({ read: () => this.destroy(new Error('parts are sent, not read')) });
    this.parts = parts;
  }
}

/**
 * Sends what the SDK has signed, in place of its own client: with our stall limit, TLS settings and proxies, without
 * following a redirect to another host, and with a bound on what is read of an answer. Contents of files go on as a stream, and
 * who reads it bounds that.
 */
export class SdkRequests implements IHttpClient {
  readonly #client: HttpClient;

  constructor(client: HttpClient) {
    this.#client = client;
  }

  sendRequest(request: WebResource): Promise<HttpOperationResponse> {
    const url = new URL(request.url);
    const { abortSignal: signal } = request;
    const { promise, resolve, reject } = Promise.withResolvers<HttpOperationResponse>();
    const exchange = this.#client.exchange(
      {
        method: request.method,
        path: `${url.pathname}${url.search}`.slice(1),
        headers: headersToSend(request.headers),
        file: 'request',
        ...(request.body !== undefined && { body: bodyParts(request.body) }),
        ...(signal instanceof AbortSignal && { signal }),
      },
      async (answer) => {
        const head = { request, status: answer.status, headers: headersOf(request, answer) };
        if (request.streamResponseStatusCodes?.has(answer.status)) {
          refusePage(answer);
          const stream = Readable.from(answer.chunks(), { objectMode: false });
          resolve({ ...head, readableStreamBody: stream });
          // The exchange lasts as long as somebody reads. Whoever does hears of its errors.
          await finished(stream).catch(() => undefined);
        } else resolve({ ...head, bodyAsText: await readText(answer) });
      },
    );
    exchange.catch(reject);
    return promise;
  }
}

/** All but what is ours to say. */
function headersToSend(headers: HttpHeaders): Record<string, string> {
  const { 'user-agent': _agent, 'content-length': _length, ...rest } = headers.toJson();
  return rest;
}

function bodyParts(body: unknown): readonly Uint8Array[] {
  if (body instanceof PartsBody) return body.parts;
  if (typeof body === 'string') return [Buffer.from(body)];
  throw new Error('the SDK sends a body of an unknown kind');
}

function headersOf(request: WebResource, answer: HttpAnswer): HttpHeaders {
  const headers = request.headers.clone();
  for (const name of headers.headerNames()) headers.remove(name);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}

/** A page for people, of a proxy or of a network that wants a login. One that comes with an error tells by its status alone. */
function refusePage(answer: HttpAnswer): void {
  if (/^text\/html\b/i.test(answer.header('content-type') ?? '')) throw webPage('request');
}

/** @throws SERVER_ANSWER_INVALID for one that does not end */
async function readText(answer: HttpAnswer): Promise<string> {
  if (answer.status < 300) refusePage(answer);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.chunks()) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > answerSizeBytesMax) {
      throw invalidAnswer('the storage answers without an end', { sizeBytes });
    }
    chunks.push(chunk);
  }
  // What is no XML would only make the SDK report that instead of the status.
  const isXml = /\bxml\b/i.test(answer.header('content-type') ?? '');
  return isXml ? Buffer.from(concatBytes(chunks)).toString('utf8') : '';
}
