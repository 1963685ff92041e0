import type { Readable, Writable } from 'node:stream';

import { cancelled } from '../base/abort.ts';
import type { Movement } from './http-stall.ts';

/** Headers of an answer, with names in lower case. */
export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** A request as a transport sends it. */
export interface WireRequest {
  readonly method: string;
  /** Path and query, escaped, from the root of the server. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** Ask whether the body is welcome before it is sent. */
  readonly asksFirst?: boolean;
}

/** The answer as it begins to come. Either all of its body is read, or it is destroyed. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Readable;
}

/** What carries requests to one server. Errors are those of the system, untranslated. */
export interface HttpTransport {
  send(request: WireRequest, movement: Movement): Promise<WireAnswer>;
  close(): Promise<void>;
}

/** A slow line moves this much in any time that a request may stand still: 5 min at 3.5 KB/s. */
const sliceSizeBytesMax = 1 << 20;

/** Writes a body slice by slice, and says of each that it moved. Stops silently when the other side has had enough. */
export async function writeBody(
  stream: Writable,
  parts: readonly Uint8Array[],
  movement: Movement,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  stream.once('close', closed.resolve);
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; start += sliceSizeBytesMax) {
      if (stream.destroyed || movement.signal.aborted) return;
      const written = Promise.withResolvers<void>();
      stream.write(part.subarray(start, start + sliceSizeBytesMax), () => written.resolve());
      // A stream that is destroyed forgets whom to tell.
      await Promise.race([written.promise, closed.promise]);
      movement.moved();
    }
  }
  stream.end();
}

/** Destroys `stream` once `signal` aborts; gives a function that ends this. */
export function destroyOnAbort(
  stream: { destroy(error: Error): unknown },
  signal: AbortSignal,
): () => void {
  const onAbort = (): void => void stream.destroy(cancelled(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/** One value of a header; the first if there are several. */
export function headerOf(headers: AnswerHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
