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
  const end = whenAborted(signal, () => aborted.reject(cancelled(signal)));
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    end();
  }
}

/**
 * Calls `action` once `signal` is aborted, unless what this returns is called before.
 *
 * Node's list of listeners is linked, and one that was removed still points to the next: where the engine has moved it among
 * the objects that it collects rarely, all that were added later live on with it. So nothing of `action` is kept from then on.
 */
export function whenAborted(signal: AbortSignal, action: () => void): () => void {
  let current: (() => void) | undefined = action;
  const listener = (): void => current?.();
  signal.addEventListener('abort', listener, { once: true });
  return () => {
    current = undefined;
    signal.removeEventListener('abort', listener);
  };
}
