import { whenAborted } from './abort.ts';
import type { Clock } from './clock.ts';

/** Whom to listen to, and how late. */
export interface Grace {
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  /** Milliseconds between the interrupt and the moment at which the work hears of it. */
  readonly graceMs: number;
}

/** Does something short that an interrupt should not leave half done: `work` hears of the interrupt only `graceMs` later. */
export async function withGrace<T>(
  work: (late: AbortSignal | undefined) => Promise<T>,
  { signal, clock, graceMs }: Grace,
): Promise<T> {
  if (!signal) return work(undefined);
  const late = new AbortController();
  const end = new AbortController();
  const onAbort = (): void => {
    clock.sleep(graceMs, end.signal).then(
      () => late.abort(signal.reason),
      () => undefined,
    );
  };
  if (signal.aborted) onAbort();
  const stopListening = whenAborted(signal, onAbort);
  try {
    return await work(late.signal);
  } finally {
    stopListening();
    end.abort();
  }
}
