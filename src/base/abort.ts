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
