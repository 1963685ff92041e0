import { HoldfastError } from './errors.ts';

/** The error for an aborted signal: its own reason if that is one of ours, else CANCELLED. */
export function cancelled(signal: AbortSignal): HoldfastError {
  if (signal.reason instanceof HoldfastError) return signal.reason;
  return new HoldfastError('CANCELLED', { cause: signal.reason });
}

/** Throws if `signal` is aborted. Call it between steps of long work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

/** As `work`, but rejects as soon as `signal` aborts; `work` goes on, and its failure is then heard by nobody here. */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return work;
  throwIfAborted(signal);
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(cancelled(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
