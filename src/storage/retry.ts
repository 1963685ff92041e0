import { throwIfAborted } from '../base/abort.ts';
import type { Environment } from '../base/environment.ts';
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Random, randomBelow } from '../base/random.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  getIfThere,
  type PutOptions,
  type Retention,
  type Versions,
  type ThawingFile,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';
import { retentionThrough, versionsThrough } from './forward-versions.ts';

/** A failed call that will be tried again. */
export interface RetryEvent {
  /** The call for people: `put pack 0123456789`. */
  readonly call: string;
  readonly error: HoldfastError;
  readonly delayMs: number;
}

/** How long calls are tried again, and who hears of it. */
export interface RetryOptions {
  readonly environment: Environment;
  /** How long after its first failure a call is tried again; default 15 min, as in restic. */
  readonly elapsedMsMax?: number;
  readonly onRetry?: (event: RetryEvent) => void;
}

const elapsedMsMaxDefault = 15 * 60 * 1000;
const firstDelayMs = 1000;
const delayMsMax = 60_000;

/**
 * Tries calls again that failed with an error whose row in the error table allows it.
 *
 * A failed put or remove may have worked: then a second put finds the same bytes, and a second remove finds nothing.
 * Both count as done. Other bytes under the name stay and are FILE_EXISTS.
 */
export function retry(inner: Backend, options: RetryOptions): Backend {
  return new RetryingBackend(inner, options);
}

/** Pause before try `attempt + 1`: 1, 2, 4, … 60 s, each times a random factor in [0.5, 1.5). */
export function retryDelayMs(attempt: number, random: Random): number {
  const delayMs = Math.min(firstDelayMs * 2 ** (attempt - 1), delayMsMax);
  return Math.round(delayMs * (0.5 + randomBelow(random, 2 ** 32) / 2 ** 32));
}

/**
 * Does work that is a call of a storage, again where its error allows it.
 * @param call for people: `put pack 0123456789`
 * @param work is given the number of the try, from 1
 * @throws the error of the last try
 */
export async function repeat<T>(
  call: string,
  options: RetryOptions & CallOptions,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  let pace: Pace | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      pace ??= paceOf(call, options);
      await pace(error);
    }
  }
}

/** Waits before the next try of one call, or throws the error if there is none. */
type Pace = (error: unknown) => Promise<void>;

function paceOf(
  call: string,
  { environment, elapsedMsMax = elapsedMsMaxDefault, onRetry, signal }: RetryOptions & CallOptions,
): Pace {
  const { clock, random } = environment;
  let attempt = 0;
  let endMs: number | undefined;
  return async (error) => {
    if (!isHoldfastError(error) || error.row.retry === 'never') throw error;
    throwIfAborted(signal);
    attempt++;
    endMs ??= clock.monotonicMs() + elapsedMsMax;
    const delayMs = Math.max(retryDelayMs(attempt, random), error.retryAfterMs ?? 0);
    if (clock.monotonicMs() + delayMs > endMs) throw error;
    onRetry?.({ call, error, delayMs });
    await clock.sleep(delayMs, signal);
  };
}

class RetryingBackend extends ForwardingBackend {
  readonly #options: RetryOptions;

  constructor(inner: Backend, options: RetryOptions) {
    super(inner);
    this.#options = options;
  }

  override get versions(): Versions | undefined {
    const { versions } = this.inner;
    return versions && versionsThrough(versions, this.#repeatCall);
  }

  override get retention(): Retention | undefined {
    const { retention } = this.inner;
    return retention && retentionThrough(retention, this.#repeatCall);
  }

  override get mayRemove(): Backend['mayRemove'] {
    const ask = this.inner.mayRemove?.bind(this.inner);
    return ask && ((options) => this.#repeat('try to remove', options, () => ask(options)));
  }

  override async create(options?: CallOptions): Promise<void> {
    await this.#repeat('create', options, () => this.inner.create(options));
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    await this.#repeat(`put ${describeHandle(handle)}`, options, async (attempt) => {
      try {
        await this.inner.put(handle, parts, options);
      } catch (error) {
        if (attempt === 1 || !isHoldfastError(error, 'FILE_EXISTS')) throw error;
        const found = await getIfThere(this, handle, options);
        // Stored by the try before, and removed by somebody since.
        if (!found) await this.inner.put(handle, parts, options);
        else if (!holds(found, parts)) throw error;
      }
    });
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#repeat(`get ${describeHandle(handle)}`, options, () =>
      this.inner.get(handle, range, options),
    );
  }

  override async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return await this.#repeat(`stat ${describeHandle(handle)}`, options, () =>
      this.inner.stat(handle, options),
    );
  }

  /** Starts again after a failure, and leaves out what was listed before. */
  override async *list(
    type: FileType,
    options?: CallOptions,
  ): AsyncGenerator<FileStat, void, undefined> {
    const listed = new Set<string>();
    const pace = paceOf(`list ${type} files`, this.#with(options));
    for (;;) {
      try {
        for await (const file of this.inner.list(type, options)) {
          if (listed.has(file.name)) continue;
          listed.add(file.name);
          yield file;
        }
        return;
      } catch (error) {
        await pace(error);
      }
    }
  }

  override async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    await this.#repeat(`remove ${describeHandle(handle)}`, options, async (attempt) => {
      try {
        await this.inner.remove(handle, options);
      } catch (error) {
        if (attempt === 1 || !isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      }
    });
  }

  /** Tried once: who wants the others gone removes each. */
  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return (await this.inner.removeSeveral?.(type, names, options)) ?? [];
  }

  override async thaw(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined> {
    return await this.#repeat(`thaw ${describeHandle(handle)}`, options, () =>
      super.thaw(handle, options),
    );
  }

  override async removeLeftovers(options?: CallOptions): Promise<number> {
    return await this.#repeat('remove leftovers', options, () => super.removeLeftovers(options));
  }

  readonly #repeatCall = <T>(
    call: string,
    options: CallOptions | undefined,
    work: () => Promise<T>,
  ): Promise<T> => this.#repeat(call, options, work);

  #repeat<T>(
    call: string,
    options: CallOptions | undefined,
    work: (attempt: number) => Promise<T>,
  ): Promise<T> {
    return repeat(call, this.#with(options), work);
  }

  #with(options: CallOptions | undefined): RetryOptions & CallOptions {
    return { ...this.#options, signal: options?.signal };
  }
}

function holds(content: Uint8Array, parts: readonly Uint8Array[]): boolean {
  let offset = 0;
  for (const part of parts) {
    const slice = content.subarray(offset, offset + part.byteLength);
    if (Buffer.compare(slice, part) !== 0) return false;
    offset += part.byteLength;
  }
  return offset === content.byteLength;
}
