import { cancelled } from './abort.ts';

/** A running timer that can be stopped. */
export interface Timer {
  stop(): void;
}

/** Time as the program sees it. The only source of time outside this file; a simulator has its own. */
export interface Clock {
  /** Wall clock in nanoseconds since 1970, UTC. May jump. */
  wallNs(): bigint;
  /** Wall clock in milliseconds since 1970, UTC. May jump. */
  wallMs(): number;
  /** Milliseconds since some start, never backwards. May stand still while the machine sleeps. */
  monotonicMs(): number;
  /**
   * Processor time that this process has used, of all its threads, in milliseconds; absent where nothing tells. For what must
   * not come out otherwise on a busy machine.
   */
  processorMs?(): number;
  /** Resolves after `ms`. @throws CANCELLED when `signal` aborts first */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves once events that wait (messages, finished I/O) have been handled. */
  nextTurn(): Promise<void>;
  /** Calls `action` every `ms` until stopped; never keeps the process alive by itself. */
  every(ms: number, action: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  wallNs: () => wallStartNs + (process.hrtime.bigint() - monotonicStartNs) + driftNs(),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  processorMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const onAbort = (): void => {
        clearTimeout(timer);
        if (signal) reject(cancelled(signal));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
  every(ms, action) {
    const timer = setInterval(action, ms);
    timer.unref();
    return { stop: () => clearInterval(timer) };
  },
};

// Node has no nanosecond wall clock: take the millisecond one and let the monotonic one fill the digits,
// as long as the two agree; after a jump of the wall clock the difference is added back.
const wallStartNs = BigInt(Date.now()) * 1_000_000n;
const monotonicStartNs = process.hrtime.bigint();

function driftNs(): bigint {
  const expected = wallStartNs + (process.hrtime.bigint() - monotonicStartNs);
  const drift = BigInt(Date.now()) * 1_000_000n - expected;
  return drift > 2_000_000n || drift < -2_000_000n ? drift : 0n;
}
