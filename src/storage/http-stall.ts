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

/** A server that sends no more than this in the time in which a request may stand still stands still: 5 min at 218 bytes/s. */
const dripSizeBytesMax = 64 << 10;
/** How often is looked, in parts of the time that is allowed. */
const looksPerLimit = 4;

/** Takes the sizes of what comes of a body, and says that it moved where that is more than drops. */
export function bodyMovement(movement: Pick<Movement, 'moved'>): (sizeBytes: number) => void {
  let sum = 0;
  return (sizeBytes) => {
    sum += sizeBytes;
    if (sum < dripSizeBytesMax) return;
    movement.moved();
    sum = 0;
  };
}

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
