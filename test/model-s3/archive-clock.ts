import { cancelled } from '../../src/base/abort.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { ModelS3 } from './model-s3.ts';

/** Waits up to this are those for others, and pass in a moment. */
const shortMsMax = 30_000;

/** In ms: what became due has made its requests by then, such as those that renew a lock. */
const idleCountMin = 4;

interface Due {
  atMs: number;
  readonly act: () => void;
}

/** A clock on which waiting for the archive of a model takes no time. */
export interface ArchiveClock extends Clock {
  /** Time that flew by. */
  readonly flownMs: number;
}

/**
 * The machine's clock; but while the archive of the model has something to bring back, and nobody asks it anything, time flies to
 * whatever is to happen next.
 */
export function archiveClock(model: ModelS3): ArchiveClock {
  const dues = new Set<Due>();
  let flownMs = 0;
  let isWatching = false;
  const monotonicMs = (): number => systemClock.monotonicMs() + flownMs;
  const fly = (): void => {
    const next = Math.min(...[...dues].map(({ atMs }) => atMs));
    const ms = Math.max(0, next - monotonicMs());
    flownMs += ms;
    model.pass(ms);
    for (const due of dues) if (due.atMs <= monotonicMs()) due.act();
  };
  const watch = async (): Promise<void> => {
    if (isWatching) return;
    isWatching = true;
    for (let idleCount = 0; dues.size > 0; ) {
      await systemClock.sleep(1);
      idleCount = model.isThawing && !model.isBusy ? idleCount + 1 : 0;
      if (dues.size === 0 || idleCount < idleCountMin) continue;
      fly();
      idleCount = 0;
    }
    isWatching = false;
  };
  const add = (due: Due): void => {
    dues.add(due);
    void watch();
  };
  return {
    ...systemClock,
    wallMs: () => systemClock.wallMs() + flownMs,
    wallNs: () => systemClock.wallNs() + BigInt(Math.round(flownMs)) * 1_000_000n,
    monotonicMs,
    sleep(ms, signal) {
      if (ms < shortMsMax) return systemClock.sleep(Math.min(ms, 2), signal);
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(cancelled(signal));
        const due = { atMs: monotonicMs() + ms, act: () => end(resolve) };
        const end = (how: () => void): void => {
          dues.delete(due);
          signal?.removeEventListener('abort', onAbort);
          how();
        };
        const onAbort = (): void => {
          if (signal) end(() => reject(cancelled(signal)));
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        add(due);
      });
    },
    every(everyMs, action) {
      const timer = systemClock.every(everyMs, action);
      const due: Due = {
        atMs: monotonicMs() + everyMs,
        act: () => {
          due.atMs = monotonicMs() + everyMs;
          action();
        },
      };
      if (everyMs >= shortMsMax) add(due);
      return {
        stop: () => {
          dues.delete(due);
          timer.stop();
        },
      };
    },
    get flownMs() {
      return flownMs;
    },
  };
}
