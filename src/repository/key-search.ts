import { throwIfAborted } from '../base/abort.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import type { Environment } from '../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { compareTimestamps } from '../base/timestamp.ts';
import { deriveKey } from '../kernels/scrypt.ts';
import { type SealKey, Sealer } from '../kernels/seal.ts';
import type { Backend, CallOptions, FileStat } from '../storage/backend.ts';
import type { Id } from './id.ts';
import { decodeKeyFile, decodeMasterKey, type KeyFile, keyFileSizeBytesMax } from './key-file.ts';
import { getVerified } from './unpacked.ts';

/** A key file that a password opened. */
export interface OpenedKey {
  readonly id: Id;
  readonly file: KeyFile;
  readonly masterKey: SealKey;
}

/** Key files that were read, and what could not be. */
export interface KeyCandidates {
  /** In the order in which to try them; at most `keyReadsMax`. */
  readonly keys: readonly { readonly id: Id; readonly file: KeyFile }[];
  readonly damaged: readonly { readonly id: Id; readonly error: unknown }[];
  /** Number of key files in the repository; at most `keyListMax` are counted. */
  readonly keyCount: number;
}

/** What keys are tried with. `password` is as given, UTF-8, not normalised, and stays the caller's. */
export interface KeySearchOptions extends CallOptions {
  readonly environment: Environment;
  readonly password: Uint8Array;
  /** As `KeyDerivation.isAlone`. */
  readonly isAlone?: boolean | undefined;
  /** Throws SEAL_BROKEN if the master key is not of this repository; the search then goes on. */
  readonly accept?: (masterKey: SealKey) => void;
}

/** Key files whose key is derived with one password; those that ask for too much are refused and not counted. */
export const keyTriesMax = 20;
/** Names of key files looked at. */
const keyListMax = 10_000;
/** Key files read to find the newest: those hinted at, then as the storage lists them. */
const keyReadsMax = 1000;
/** Time after which no further key is tried. */
const keySearchMsMax = 60_000;

/**
 * Reads the key files that may be worth trying, at most `keyReadsMax`, and puts them into order: those that `hint` is a
 * prefix of first, then the newest first. A damaged one is set aside, so that it locks nobody out who has another.
 */
export async function collectKeys(
  backend: Backend,
  hint: string | undefined,
  options: CallOptions = {},
): Promise<KeyCandidates> {
  const { hinted, others } = await listKeyFiles(backend, hint, options);
  const files = [...hinted, ...others].slice(0, keyReadsMax);
  const first = new Set(hinted.map(({ name }) => name));
  const keys: { id: Id; file: KeyFile }[] = [];
  const damaged: { id: Id; error: unknown }[] = [];
  await forEachConcurrent(files, backend.connectionCount, async (listed) => {
    const id = listed.name;
    try {
      keys.push({ id, file: await loadListedKey(backend, listed, options) });
    } catch (error) {
      if (!isHoldfastError(error, 'KEY_DAMAGED', 'FILE_NOT_FOUND')) throw error;
      if (error.code === 'KEY_DAMAGED') damaged.push({ id, error });
    }
  });
  keys.sort(
    (a, b) =>
      Number(first.has(b.id)) - Number(first.has(a.id)) ||
      compareTimestamps(b.file.created, a.file.created),
  );
  return { keys, damaged, keyCount: hinted.length + others.length };
}

async function listKeyFiles(
  backend: Backend,
  hint: string | undefined,
  options: CallOptions,
): Promise<{ readonly hinted: FileStat[]; readonly others: FileStat[] }> {
  const hinted: FileStat[] = [];
  const others: FileStat[] = [];
  for await (const file of backend.list('key', options)) {
    if (hint && file.name.startsWith(hint)) hinted.push(file);
    else others.push(file);
    if (hinted.length + others.length >= keyListMax) break;
  }
  return { hinted, others };
}

/**
 * Reads a key file unless its listed size is none that a key has: anybody who can write to the storage can put
 * terabytes there.
 * @throws as `loadKeyFile`
 */
export function loadListedKey(
  backend: Backend,
  { name, sizeBytes }: FileStat,
  options: CallOptions = {},
): Promise<KeyFile> {
  if (sizeBytes <= keyFileSizeBytesMax) return loadKeyFile(backend, name, options);
  const error = new HoldfastError('KEY_DAMAGED', {
    message: 'a key file is damaged: it is larger than any key',
    details: { keyId: name, sizeBytes },
  });
  return Promise.reject(error);
}

/**
 * Reads one key file.
 * @throws FILE_NOT_FOUND, KEY_DAMAGED (also when the file does not hold the bytes it is named after)
 */
export async function loadKeyFile(
  backend: Backend,
  id: Id,
  options: CallOptions = {},
): Promise<KeyFile> {
  try {
    return decodeKeyFile(await getVerified(backend, { type: 'key', name: id }, options));
  } catch (error) {
    if (!isHoldfastError(error, 'KEY_DAMAGED', 'UNPACKED_DAMAGED')) throw error;
    throw new HoldfastError('KEY_DAMAGED', {
      message: error.message,
      details: { keyId: id },
      cause: error.cause ?? error,
    });
  }
}

/**
 * Opens a key file with a password.
 *
 * The derivation runs outside the event loop, about a quarter of a second for usual parameters.
 * @returns the master key, or undefined if the password does not fit
 * @throws KEY_LIMIT (parameters that ask for more than is safe), KEY_DAMAGED (it opens, but holds no master key)
 */
export async function openKeyFile(
  file: KeyFile,
  { password, environment, isAlone }: KeySearchOptions,
): Promise<SealKey | undefined> {
  const derivation = { salt: file.salt, ...file.parameters, isAlone };
  const userKey = await deriveKey(password, derivation, environment);
  let json: Uint8Array | undefined;
  try {
    json = new Sealer(userKey, environment.random).open(file.data);
    return decodeMasterKey(json);
  } catch (error) {
    if (isHoldfastError(error, 'SEAL_BROKEN')) return undefined;
    throw error;
  } finally {
    json?.fill(0);
  }
}

/**
 * Finds the key file that a password opens, one after the other: at most `keyTriesMax`, or those of a minute.
 * @throws PASSWORD_WRONG; KEY_DAMAGED or KEY_LIMIT when the password fits no key and some could not be tried;
 *   what `accept` throws when it refused the only master key that opened
 */
export async function openWithPassword(
  candidates: KeyCandidates,
  options: KeySearchOptions,
): Promise<OpenedKey> {
  const { clock } = options.environment;
  const startMs = clock.monotonicMs();
  const problems: { id: Id; error: unknown }[] = [...candidates.damaged];
  let refusal: unknown;
  let tries = 0;
  for (const { id, file } of candidates.keys) {
    throwIfAborted(options.signal);
    if (tries >= keyTriesMax || clock.monotonicMs() - startMs > keySearchMsMax) break;
    tries++;
    try {
      const masterKey = await openKeyFile(file, options);
      if (!masterKey) continue;
      options.accept?.(masterKey);
      return { id, file, masterKey };
    } catch (error) {
      if (isHoldfastError(error, 'SEAL_BROKEN')) refusal = error;
      else if (isHoldfastError(error, 'KEY_LIMIT', 'KEY_DAMAGED')) {
        problems.push({ id, error });
        // Nearly all are refused before any work: they must not use up the tries of the others.
        tries--;
      } else throw error;
    }
  }
  if (refusal) throw foreignKey(refusal);
  throw noKeyFits(candidates.keyCount, tries, problems);
}

function foreignKey(cause: unknown): HoldfastError {
  return new HoldfastError('CONFIG_DAMAGED', {
    message: 'the password is right, but the repository config is not sealed with its master key',
    hint: 'Either the config is damaged or the key is of another repository: restore both from one copy.',
    cause,
  });
}

const noKey = {
  message: 'no key found',
  hint: 'The folder "keys" has no file: put one back, from a copy of the repository or from the recovery kit.',
};

function noKeyFits(
  keyCount: number,
  tries: number,
  problems: readonly { readonly id: Id; readonly error: unknown }[],
): HoldfastError {
  const [problem] = problems;
  const isMore = keyCount > tries + problems.length;
  const hint = isMore ? { hint: 'There are more keys: name the right one with --key-hint.' } : {};
  if (problem && isHoldfastError(problem.error, 'KEY_LIMIT', 'KEY_DAMAGED')) {
    return new HoldfastError(problem.error.code, {
      message:
        tries === 0 && !isMore
          ? 'no key of the repository can be used, so no password opens it'
          : `the password fits none of ${keyCount} keys, of which ${problems.length} cannot be used`,
      details: { file: `keys/${problem.id}` },
      ...hint,
      cause: problem.error,
    });
  }
  if (isMore) {
    return new HoldfastError('PASSWORD_WRONG', {
      message: `the password fits none of the ${tries} keys tried`,
      details: { keyCount },
      ...hint,
    });
  }
  return new HoldfastError('PASSWORD_WRONG', keyCount === 0 ? noKey : {});
}
