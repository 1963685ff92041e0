import { cancelled } from '../../src/base/abort.ts';
import { type Clock, systemClock, type Timer } from '../../src/base/clock.ts';
import type { ModelS3 } from './model-s3.ts';

/** Waits up to this are those for others, and pass in a moment. */
const shortMsMax = 30_000;
/** In ms: what became due has made its requests by then, such as those that renew a lock. */
const idleCountMin = 4;

interface Due {
  atMs: number;
  readonly act: () => void;
}

/**
 * The machine's clock; but while the archive of the model has something to bring back, and nobody asks it anything, time flies to
 * whatever is to happen next.
 */
export class ArchiveClock implements Clock {
  /** Time that flew by. */
  flownMs = 0;
  readonly #model: ModelS3;
  readonly #dues = new Set<Due>();
  #isWatching = false;

  constructor(model: ModelS3) {
    this.#model = model;
  }

  wallMs(): number {
    return systemClock.wallMs() + this.flownMs;
  }

  wallNs(): bigint {
    return systemClock.wallNs() + BigInt(Math.round(this.flownMs)) * 1_000_000n;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.flownMs;
  }

  processorMs(): number {
    return systemClock.processorMs?.() ?? 0;
  }

  nextTurn(): Promise<void> {
    return systemClock.nextTurn();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms < shortMsMax) return systemClock.sleep(Math.min(ms, 2), signal);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const due = { atMs: this.monotonicMs() + ms, act: () => end(resolve) };
      const onAbort = (): void => {
        if (signal) end(() => reject(cancelled(signal)));
      };
      const end = (how: () => void): void => {
        this.#dues.delete(due);
        signal?.removeEventListener('abort', onAbort);
        how();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#add(due);
    });
  }

  every(everyMs: number, action: () => void): Timer {
    const timer = systemClock.every(everyMs, action);
    const due: Due = {
      atMs: this.monotonicMs() + everyMs,
      act: () => {
        due.atMs = this.monotonicMs() + everyMs;
        action();
      },
    };
    if (everyMs >= shortMsMax) this.#add(due);
    return {
      stop: () => {
        this.#dues.delete(due);
        timer.stop();
      },
    };
  }

  #add(due: Due): void {
    this.#dues.add(due);
    if (!this.#isWatching) void this.#watch();
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    for (let idleCount = 0; this.#dues.size > 0; ) {
      await systemClock.sleep(1);
      const isIdle = this.#model.isThawing && !this.#model.isBusy;
      idleCount = isIdle ? idleCount + 1 : 0;
      if (this.#dues.size === 0 || idleCount < idleCountMin) continue;
      this.#fly();
      idleCount = 0;
    }
    this.#isWatching = false;
  }

  #fly(): void {
    const next = Math.min(...[...this.#dues].map(({ atMs }) => atMs));
    const ms = Math.max(0, next - this.monotonicMs());
    this.flownMs += ms;
    this.#model.pass(ms);
    for (const due of this.#dues) if (due.atMs <= this.monotonicMs()) due.act();
  }
}
