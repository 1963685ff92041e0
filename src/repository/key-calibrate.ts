import type { Environment } from '../base/environment.ts';
import { deriveKey, type ScryptParameters } from '../kernels/scrypt.ts';

/** What opening a key file should cost on the machine that makes it. */
const derivationMsWanted = 500;
const parallelismMax = 8;
/** What restic picks on current machines; used where the clock shows no time passing. */
const parallelismUsual = 5;

const base = { N: 32_768, r: 8 } as const;

/**
 * Scrypt parameters for a new key: 32 MiB of memory, and about half a second on this machine.
 * Measures one derivation at p = 1, which takes about 0.1 s outside the event loop. Several repetitions
 * take half as long each, but the work is what protects: new keys ask for as much of it as restic's.
 */
export async function calibrateScrypt(environment: Environment): Promise<ScryptParameters> {
  const startMs = environment.clock.monotonicMs();
  await deriveKey(new Uint8Array(8), { salt: new Uint8Array(64), ...base, p: 1 }, environment);
  const elapsedMs = environment.clock.monotonicMs() - startMs;
  if (elapsedMs <= 0) return { ...base, p: parallelismUsual };
  const p = Math.round(derivationMsWanted / elapsedMs);
  return { ...base, p: Math.min(parallelismMax, Math.max(1, p)) };
}
