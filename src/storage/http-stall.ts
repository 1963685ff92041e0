import { cancelled } from '../base/abort.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';

/** One exchange with a server, and when something of it moved last. */
export interface Movement {
  /** Aborts with the reason to throw: the caller's, or BACKEND_UNAVAILABLE because nothing moved for too long. */
  readonly signal: AbortSignal;
  moved(): void;
  end(): void;
}

interface Running {
  movedMs: number;
  readonly abort: AbortController;
}

/** How often is looked, in parts of the time that is allowed. */
const looksPerLimit = 4;

/** Ends exchanges of which nothing has moved for `stuckMs`: no byte out, and none in. One timer for all of them. */
export class StallWatch {
  readonly #clock: Clock;
  readonly #stuckMs: number;
  readonly #running = new Set<Running>();
  #timer: Timer | undefined;

  constructor(clock: Clock, stuckMs: number) {
    this.#clock = clock;
    this.#stuckMs = stuckMs;
  }

  start(signal: AbortSignal | undefined): Movement {
    const running: Running = {
      movedMs: this.#clock.monotonicMs(),
      abort: new AbortController(),
    };
    const onAbort = (): void => running.abort.abort(signal && cancelled(signal));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#running.add(running);
    this.#timer ??= this.#clock.every(Math.ceil(this.#stuckMs / looksPerLimit), () => this.#look());
    return {
      signal: running.abort.signal,
      moved: () => {
        running.movedMs = this.#clock.monotonicMs();
      },
      end: () => {
        signal?.removeEventListener('abort', onAbort);
        this.#running.delete(running);
        if (this.#running.size > 0) return;
        this.#timer?.stop();
        this.#timer = undefined;
      },
    };
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { movedMs, abort } of this.#running) {
      if (nowMs - movedMs < this.#stuckMs) continue;
      const seconds = Math.round(this.#stuckMs / 1000);
      abort.abort(
        new HoldfastError('BACKEND_UNAVAILABLE', {
          message: `a request to the storage did not move for ${seconds} s`,
        }),
      );
    }
  }
}
