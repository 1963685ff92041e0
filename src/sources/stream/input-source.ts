import type { Readable } from 'node:stream';
import { cancelled, throwIfAborted } from '../../base/abort.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { StreamSource } from '../source.ts';
import { recordedPath, streamPath } from './stream-path.ts';

/** Where standard input is stored. */
export interface InputSourceOptions {
  /** Where in the snapshot; relative to its root. */
  readonly fileName: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** Standard input, or another stream whose producer cannot be asked whether it succeeded, as the content of one file. */
export class InputSource implements StreamSource {
  readonly kind = 'stream';
  readonly path: Uint8Array;
  readonly paths: readonly string[];
  readonly #input: Readable;
  readonly #signal: AbortSignal | undefined;
  #state: 'unread' | 'reading' | 'ended' = 'unread';

  /** @throws USAGE */
  constructor(input: Readable, options: InputSourceOptions) {
    this.path = streamPath(options.fileName);
    this.paths = [recordedPath(this.path)];
    this.#input = input;
    this.#signal = options.signal;
  }

  async *read(): AsyncIterable<Uint8Array> {
    if (this.#state !== 'unread') throw failed('it can be read only once');
    this.#state = 'reading';
    throwIfAborted(this.#signal);
    const onAbort = (): void => void this.#input.destroy();
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const part of this.#input) {
        if (!(part instanceof Uint8Array)) throw failed('it gives no bytes');
        yield part;
      }
    } catch (cause) {
      throw this.#translate(cause);
    } finally {
      this.#signal?.removeEventListener('abort', onAbort);
    }
    throwIfAborted(this.#signal);
    this.#state = 'ended';
  }

  settled(): Promise<void> {
    if (this.#state === 'ended') return Promise.resolve();
    return Promise.reject(failed('it was not read to its end'));
  }

  close(): Promise<void> {
    this.#input.destroy();
    return Promise.resolve();
  }

  #translate(cause: unknown): HoldfastError {
    if (this.#signal?.aborted) return cancelled(this.#signal);
    if (cause instanceof HoldfastError) return cause;
    return failed('reading it failed', cause);
  }
}

function failed(why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('SOURCE_FAILED', {
    message: `the input stream could not be read: ${why}`,
    cause,
  });
}
