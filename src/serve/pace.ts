import type { Clock, Timer } from '../base/clock.ts';
import { paceCheckMs, type PaceRule } from './limits.ts';

/** How fast one content moves. */
export interface Pace {
  /** Bytes have moved. */
  moved(sizeBytes: number): void;
  /** Runs work of ours, such as on the disk: the client is not to blame for its time. */
  ours<T>(work: () => Promise<T>): Promise<T>;
  end(): void;
}

interface Watched {
  readonly rule: PaceRule;
  readonly cut: () => void;
  movedBytes: number;
  sinceMs: number;
  oursCount: number;
}

/** Cuts off clients that hold a connection and hardly move anything. */
export class PaceWatch {
  readonly #clock: Clock;
  readonly #watched: Set<Watched> = new Set();
  readonly #timer: Timer;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = clock.every(paceCheckMs, () => this.check());
  }

  /** @param cut ends the connection */
  start(rule: PaceRule, cut: () => void): Pace {
    const sinceMs = this.#clock.monotonicMs();
    const watched: Watched = { rule, cut, movedBytes: 0, sinceMs, oursCount: 0 };
    this.#watched.add(watched);
    return {
      moved: (sizeBytes) => {
        watched.movedBytes += sizeBytes;
      },
      ours: async (work) => {
        watched.oursCount++;
        try {
          return await work();
        } finally {
          watched.oursCount--;
        }
      },
      end: () => void this.#watched.delete(watched),
    };
  }

  /** Looks at all of them; a timer does so as well. */
  check(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const watched of this.#watched) {
      const isMoving = watched.movedBytes >= watched.rule.sizeBytesMin || watched.oursCount > 0;
      if (isMoving) {
        watched.movedBytes = 0;
        watched.sinceMs = nowMs;
      } else if (nowMs - watched.sinceMs >= watched.rule.windowMs) {
        this.#watched.delete(watched);
        watched.cut();
      }
    }
  }

  close(): void {
    this.#timer.stop();
  }
}
