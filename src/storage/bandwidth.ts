import type { Clock } from '../base/clock.ts';
import type { Backend, ByteRange, FileHandle, GetOptions, PutOptions } from './backend.ts';
import { ForwardingBackend } from './forward.ts';
import type { RateAt } from './rate-timetable.ts';

/** Limits of the average rate each way; absent: none. */
export interface BandwidthOptions {
  readonly clock: Clock;
  readonly uploadLimit?: RateAt | undefined;
  readonly downloadLimit?: RateAt | undefined;
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
    this.#upload = bucketOf(options.clock, options.uploadLimit);
    this.#download = bucketOf(options.clock, options.downloadLimit);
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

function bucketOf(clock: Clock, rateAt: RateAt | undefined): TokenBucket | undefined {
  return rateAt && new TokenBucket(clock, rateAt);
}

const burstMs = 250;
/** Who waits looks so often whether another limit holds by now. */
const lookMs = 60_000;

/** A token bucket of which the rate may change: what is taken is paid for in its order, at the rate of each time. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #rateAt: RateAt;
  #takenBytes = 0;
  #paidBytes = 0;
  #lookedMs: number;
  #bytesPerSecond: number | undefined;

  constructor(clock: Clock, rateAt: RateAt) {
    this.#clock = clock;
    this.#rateAt = rateAt;
    this.#lookedMs = clock.monotonicMs() - burstMs;
    this.#bytesPerSecond = rateAt(clock.wallMs());
  }

  /** Resolves when `sizeBytes` may pass. In order of calls. @throws CANCELLED; then nothing is taken */
  async take(sizeBytes: number, signal?: AbortSignal): Promise<void> {
    this.#pay();
    this.#takenBytes += sizeBytes;
    const own = this.#takenBytes;
    try {
      for (let waitMs = this.#waitMs(own); waitMs > 0; waitMs = this.#waitMs(own)) {
        await this.#clock.sleep(Math.min(waitMs, lookMs), signal);
        this.#pay();
      }
    } catch (error) {
      this.#paidBytes += sizeBytes;
      throw error;
    }
  }

  /** Until all that was taken up to `ownBytes` is paid for. */
  #waitMs(ownBytes: number): number {
    if (this.#bytesPerSecond === undefined) return 0;
    // Less than a byte is what numbers lose by division.
    const owedBytes = ownBytes - this.#paidBytes;
    return owedBytes < 1e-3 ? 0 : (owedBytes / this.#bytesPerSecond) * 1000;
  }

  /** Pays for the time since the last look, at the rate of then; nobody can pay for more than a burst in advance. */
  #pay(): void {
    const nowMs = this.#clock.monotonicMs();
    const rate = this.#bytesPerSecond;
    const burstBytes = ((rate ?? 0) * burstMs) / 1000;
    const earnedBytes =
      rate === undefined ? Number.POSITIVE_INFINITY : ((nowMs - this.#lookedMs) / 1000) * rate;
    this.#paidBytes = Math.min(this.#paidBytes + earnedBytes, this.#takenBytes + burstBytes);
    this.#lookedMs = nowMs;
    this.#bytesPerSecond = this.#rateAt(this.#clock.wallMs());
  }
}
