import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Backend, ByteRange, FileHandle, GetOptions, PutOptions } from './backend.ts';
import { ForwardingBackend } from './forward.ts';

/** Limits of the average rate each way, in bytes per second. */
export interface BandwidthOptions {
  readonly clock: Clock;
  /** Absent or 0: no limit. */
  readonly uploadLimitBytesPerSecond?: number;
  /** Absent or 0: no limit. */
  readonly downloadLimitBytesPerSecond?: number;
}

/**
 * Keeps the average rate of file content below a limit. Whole calls are held back, so a single file may go at full
 * speed after its wait. Files cannot be opened directly, past the limit.
 */
export function bandwidth(inner: Backend, options: BandwidthOptions): Backend {
  return new BandwidthBackend(inner, options);
}

class BandwidthBackend extends ForwardingBackend {
  readonly #upload: TokenBucket | undefined;
  readonly #download: TokenBucket | undefined;

  constructor(inner: Backend, options: BandwidthOptions) {
    super(inner);
    this.#upload = bucketOf(options.clock, options.uploadLimitBytesPerSecond);
    this.#download = bucketOf(options.clock, options.downloadLimitBytesPerSecond);
  }

  override get localPath(): string | undefined {
    return undefined;
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    await this.#upload?.take(sizeBytes, options?.signal);
    await this.inner.put(handle, parts, options);
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    // Before the call, so that an abort loses no work; of how much there is, only the call itself can tell.
    await this.#download?.take(0, options?.signal);
    const content = await this.inner.get(handle, range, options);
    await this.#download?.take(content.byteLength, options?.signal);
    return content;
  }
}

function bucketOf(clock: Clock, bytesPerSecond: number | undefined): TokenBucket | undefined {
  return bytesPerSecond ? new TokenBucket(clock, bytesPerSecond) : undefined;
}

const burstMs = 250;

/**
 * A token bucket without a tank: it remembers until when what was taken is paid for.
 * @see ITU-T I.371, the virtual scheduling algorithm
 */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #paidUntilMs: number = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, bytesPerSecond: number) {
    assert(bytesPerSecond > 0, 'a bandwidth limit is positive');
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when `sizeBytes` may pass. In order of calls. @throws CANCELLED; then nothing is taken */
  async take(sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const costMs = (sizeBytes / this.#bytesPerSecond) * 1000;
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - burstMs) + costMs;
    const waitMs = this.#paidUntilMs - nowMs;
    if (waitMs <= 0) return;
    try {
      await this.#clock.sleep(waitMs, signal);
    } catch (error) {
      this.#paidUntilMs -= costMs;
      throw error;
    }
  }
}
