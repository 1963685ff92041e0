import { scrypt, scryptSync } from 'node:crypto';
import type { Environment } from '../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { portableScrypt, type ScryptInput } from './portable/scrypt.ts';
import { threadedScrypt, type ThreadedScryptInput } from './scrypt-thread.ts';
import type { SealKey } from './seal.ts';

/** Cost of a key derivation, as key files state it. */
export interface ScryptParameters {
  /** Rounds: a power of two. */
  readonly N: number;
  /** Block size in units of 128 bytes. */
  readonly r: number;
  /** Repetitions. */
  readonly p: number;
}

/** A derivation takes 128 * N * r bytes of memory: at most 1 GiB. */
export const scryptMemoryBytesMax: number = 2 ** 30;

/** At most so many repetitions. */
export const scryptRepetitionsMax = 16;

/** At most so many bytes are mixed, 128 * N * r * p: some 20 seconds of work, 50 times what new keys ask for. */
export const scryptWorkBytesMax: number = 2 ** 33;

/** What mixes so few bytes takes 0.1 ms: less than the way to another thread and back. */
const inlineWorkBytesMax = 2 ** 16;

const keySizeBytes = 64;

/** Work of so many mixed bytes takes some 100 ms, five times what starting a thread for it does. */
const threadedWorkBytesMin = 2 ** 25;
/** Two lanes are in memory at once; more than this is not taken for the sake of speed. */
const threadedLaneBytesMax = 2 ** 26;

/** Larger lanes are mixed in one thread: two take twice as much memory, and 128 MiB are enough for speed. */
const secondThreadLaneBytesMax = 2 ** 25;
/** So much memory has to be free for it, so that small machines do without. */
const secondThreadFreeBytesMin = 2 ** 30;

/** What a key file says of how its key is derived. */
export interface KeyDerivation extends ScryptParameters {
  readonly salt: Uint8Array;
  /** Nothing else is to be done meanwhile, and there are two cores: it may keep both busy. Default: false. */
  readonly isAlone?: boolean | undefined;
}

/**
 * Derives the key that opens a key file: scrypt of the password bytes as given, 64 bytes, split into encryption key,
 * MAC k and MAC r.
 *
 * Runs in another thread unless it costs next to nothing; parameters outside RFC 7914 (N >= 2^(16 r), from old repositories), which OpenSSL refuses, run in steps on this
 * thread. The parameters come from a file that nothing has authenticated yet.
 * @throws KEY_LIMIT if the parameters ask for too much memory or work; KEY_DAMAGED if they are no parameters at all
 */
export async function deriveKey(
  password: Uint8Array,
  derivation: KeyDerivation,
  environment: Environment,
): Promise<SealKey> {
  assertParameters(derivation);
  const { salt, N, r, p, isAlone = false } = derivation;
  const input: ScryptInput = { password, salt, N, r, p, sizeBytes: keySizeBytes };
  const isWithinRfc = Math.log2(N) < 16 * r;
  const threadCountMax = isAlone && mayUseTwo(128 * N * r) ? 2 : 1;
  const key = await (isWithinRfc
    ? fastScrypt({ ...input, threadCountMax }, environment)
    : portableScrypt(input));
  return { encrypt: key.subarray(0, 32), macK: key.subarray(32, 48), macR: key.subarray(48, 64) };
}

/** True if the machine has memory to spare for a second thread. */
function mayUseTwo(laneBytes: number): boolean {
  const isSmall = laneBytes <= secondThreadLaneBytesMax;
  return isSmall && process.availableMemory() >= secondThreadFreeBytesMin;
}

async function fastScrypt(
  input: ThreadedScryptInput,
  environment: Environment,
): Promise<Uint8Array> {
  if (!isForThreads(input, environment)) return opensslScrypt(input);
  try {
    return await threadedScrypt(input, environment);
  } catch (error) {
    // A process may be kept from starting threads; the key does not depend on how it is derived.
    if (!isHoldfastError(error, 'WORKER_FAILED')) throw error;
    return opensslScrypt(input);
  }
}

function isForThreads({ N, r, p }: ScryptInput, environment: Environment): boolean {
  const laneBytes = 128 * N * r;
  return (
    p > 1 &&
    environment.isSingleThreaded !== true &&
    laneBytes * p >= threadedWorkBytesMin &&
    laneBytes <= threadedLaneBytesMax
  );
}

function assertParameters({ N, r, p }: ScryptParameters): void {
  const isWhole = [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1);
  const isPower = N >= 2 && Number.isInteger(Math.log2(N));
  if (!isWhole || !isPower) throw new HoldfastError('KEY_DAMAGED', { details: { N, r, p } });
  const memoryBytes = 128 * N * r;
  const isSafe =
    memoryBytes <= scryptMemoryBytesMax &&
    p <= scryptRepetitionsMax &&
    memoryBytes * p <= scryptWorkBytesMax;
  if (!isSafe) throw new HoldfastError('KEY_LIMIT', { details: { N, r, p } });
}

function opensslScrypt(input: ScryptInput): Promise<Uint8Array> {
  const { password, salt, N, r, p } = input;
  // OpenSSL counts the blocks and its working space besides the 128 * N * r bytes.
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) + 2 ** 16 };
  if (128 * N * r * p <= inlineWorkBytesMax) {
    return Promise.resolve(scryptSync(password, salt, input.sizeBytes, options));
  }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, input.sizeBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
