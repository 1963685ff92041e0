import type { Clock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import {
  type Backend,
  type ByteRange,
  describeHandle,
  type FileHandle,
  type GetOptions,
  thawPauseMs,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';

/** How it is waited, and who hears of it. */
export interface ThawReadsOptions {
  readonly clock: Clock;
  readonly monitor?: Monitor | undefined;
}

/**
 * Has files brought back from an archive when they are read, and waits for each; who knows before what will be read asks for all of
 * it by `thaw`. Belongs around the limit of connections: nothing is held while it waits.
 *
 * @throws FILE_ARCHIVED from `get` if that takes longer than `thawing.waitMsMax`
 */
export function thawReads(inner: Backend, options: ThawReadsOptions): Backend {
  return new ThawingBackend(inner, options);
}

class ThawingBackend extends ForwardingBackend {
  readonly #options: ThawReadsOptions;

  constructor(inner: Backend, options: ThawReadsOptions) {
    super(inner);
    this.#options = options;
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return await this.inner.get(handle, range, options);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_ARCHIVED')) throw error;
      await this.#wait(handle, options);
      return await this.inner.get(handle, range, options);
    }
  }

  async #wait(handle: FileHandle, options: GetOptions | undefined): Promise<void> {
    const { clock, monitor } = this.#options;
    const subject = describeHandle(handle);
    const startedMs = clock.monotonicMs();
    const waitMsMax = this.thawing?.waitMsMax ?? 0;
    for (let isTold = false; ; isTold = true) {
      if (!(await this.inner.thaw?.(handle, options))) return;
      if (!isTold) {
        monitor?.note(`${subject} stands in an archive; waiting until the storage has it back`);
      }
      const waitedMs = clock.monotonicMs() - startedMs;
      const pauseMs = thawPauseMs(waitedMs);
      if (waitedMs + pauseMs > waitMsMax) throw notInTime(subject);
      await clock.sleep(pauseMs, options?.signal);
    }
  }
}

function notInTime(file: string): HoldfastError {
  return new HoldfastError('FILE_ARCHIVED', {
    message: 'a file stands in an archive, and the storage has not brought it back in time',
    details: { file },
    hint: 'It was asked for. Run the command again later, or let it wait longer ("-o s3.restore-timeout").',
  });
}
