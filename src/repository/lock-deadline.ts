import { cancelled } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';

/** How long work may take: `ms` milliseconds by the monotonic `clock`. */
export interface DeadlineOptions {
  readonly clock: Clock;
  readonly ms: number;
  /** Ends the work earlier. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs work for at most `ms`. Its signal is aborted at the end of the time, and the result is then not waited for:
 * storage that hangs cannot hold the caller up.
 * @throws BACKEND_UNAVAILABLE when the time is over; the reason of `signal`
 */
export async function withDeadline<T>(
  { clock, ms, signal }: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const timer = new AbortController();
  const stop = (): void => end.abort(signal?.reason);
  if (signal?.aborted) throw cancelled(signal);
  signal?.addEventListener('abort', stop, { once: true });
  clock.sleep(ms, timer.signal).then(
    () => end.abort(new HoldfastError('BACKEND_UNAVAILABLE', { details: { waitedMs: ms } })),
    () => undefined,
  );
  const ended = new Promise<never>((_, reject) => {
    end.signal.addEventListener('abort', () => reject(cancelled(end.signal)), { once: true });
  });
  try {
    return await Promise.race([work(end.signal), ended]);
  } finally {
    timer.abort();
    signal?.removeEventListener('abort', stop);
  }
}
