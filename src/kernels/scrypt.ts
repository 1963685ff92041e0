import type { SealKey } from './seal.ts';

/** Cost of a key derivation. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** Derives the user key. @throws KEY_LIMIT */
export function deriveKey(
  password: Uint8Array,
  salt: Uint8Array,
  parameters: ScryptParameters,
): Promise<SealKey> {
  throw new Error(`not there yet ${password.length} ${salt.length} ${parameters.N}`);
}
