import type { Clock } from '../base/clock.ts';
import type { Environment } from '../base/environment.ts';
import { deriveKey, type ScryptParameters } from '../kernels/scrypt.ts';

/** What opening a key file should cost on the machine that makes it. */
const derivationMsWanted = 500;
const parallelismMax = 8;
/** Derivations that are measured. */
const measuredMax = 3;
/** What restic picks on current machines; used where the clock shows no time passing. */
const parallelismUsual = 5;

const base = { N: 32_768, r: 8 } as const;

/**
 * Scrypt parameters for a new key: 32 MiB of memory, and about half a second of this machine's processor.
 *
 * Measures derivations at p = 1, which take about 0.1 s each outside the event loop; the quickest counts. Several repetitions
 * take half as long each, but the work is what protects: new keys ask for as much of it as restic's. Processor time
 * counts, not the time that passes: a key that is made on a busy machine would protect less for as long as it is used.
 */
export async function calibrateScrypt(environment: Environment): Promise<ScryptParameters> {
  const { clock } = environment;
  let workMs = Number.POSITIVE_INFINITY;
  for (let number = 0; number < measuredMax; number++) {
    const start = timesOf(clock);
    await deriveKey(new Uint8Array(8), { salt: new Uint8Array(64), ...base, p: 1 }, environment);
    const end = timesOf(clock);
    // Other programs make the one too long, other work of this process the other.
    workMs = Math.min(
      workMs,
      end.monotonicMs - start.monotonicMs,
      end.processorMs - start.processorMs,
    );
  }
  if (workMs <= 0) return { ...base, p: parallelismUsual };
  const p = Math.round(derivationMsWanted / workMs);
  return { ...base, p: Math.min(parallelismMax, Math.max(1, p)) };
}

function timesOf(clock: Clock): { readonly monotonicMs: number; readonly processorMs: number } {
  const monotonicMs = clock.monotonicMs();
  return { monotonicMs, processorMs: clock.processorMs?.() ?? monotonicMs };
}
