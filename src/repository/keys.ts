import { forEachConcurrent } from '../base/concurrency.ts';
import type { Environment } from '../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { toHex } from '../base/bytes.ts';
import { randomBytes } from '../base/random.ts';
import { compareTimestamps, type Timestamp, timestampFromNs } from '../base/timestamp.ts';
import { deriveKey, type ScryptParameters } from '../kernels/scrypt.ts';
import { type SealKey, Sealer } from '../kernels/seal.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { Backend, CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import { calibrateScrypt } from './key-calibrate.ts';
import { encodeKeyFile, encodeMasterKey, saltSizeBytes } from './key-file.ts';
import { loadKeyFile, loadListedKey, openKeyFile } from './key-search.ts';
import { putContent, removeSurely } from './unpacked.ts';

export { collectKeys, type KeyCandidates, type OpenedKey, openWithPassword } from './key-search.ts';

/** A repository as far as its keys go; `Repository` is one. */
export interface KeyHolder {
  readonly backend: Backend;
  readonly environment: Environment;
  readonly masterKey: SealKey;
  /** The key file that opened it. */
  readonly keyId: Id;
}

/** Who a new key is for, and what its password costs to derive. */
export interface NewKeyOptions extends CallOptions {
  readonly password: Uint8Array;
  readonly hostname: string;
  readonly username: string;
  /** Default: measured, see `calibrateScrypt`. */
  readonly scrypt?: ScryptParameters | undefined;
}

/** One row of `key list`. */
export interface ListedKey {
  readonly id: Id;
  readonly isCurrent: boolean;
  readonly username: string;
  readonly hostname: string;
  readonly created: Timestamp;
}

/** All key files: those that can be read, oldest first, and those that cannot. */
export interface KeyList {
  readonly keys: readonly ListedKey[];
  readonly damaged: readonly { readonly id: Id; readonly error: HoldfastError }[];
}

/**
 * Adds a key file around the master key, and proves it: it is read back from the storage and opened with the
 * password before this returns. If that fails it is removed again. Takes about a second.
 * @returns its id
 * @throws VERIFY_FAILED; what `Backend.put` throws
 */
export async function addKey(
  holder: Omit<KeyHolder, 'keyId'>,
  options: NewKeyOptions,
): Promise<Id> {
  const bytes = await makeKeyFile(holder, options);
  const id = toHex(sha256(bytes));
  const handle = { type: 'key', name: id } as const;
  try {
    await putContent(holder.backend, handle, bytes, { signal: options.signal });
    await proveKey(holder, id, options);
  } catch (error) {
    // The put may have happened though it failed. A key nobody was told about helps nobody.
    await holder.backend.remove(handle).catch(() => undefined);
    throw error;
  }
  return id;
}

async function makeKeyFile(
  { environment, masterKey }: Omit<KeyHolder, 'keyId'>,
  options: NewKeyOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const parameters = options.scrypt ?? (await calibrateScrypt(environment));
  const salt = randomBytes(environment.random, saltSizeBytes);
  const userKey = await deriveKey(options.password, { salt, ...parameters }, environment);
  const json = encodeMasterKey(masterKey);
  const data = new Sealer(userKey, environment.random).seal(json);
  json.fill(0);
  return encodeKeyFile({
    created: timestampFromNs(environment.clock.wallNs()),
    username: options.username,
    hostname: options.hostname,
    parameters,
    salt,
    data,
  });
}

async function proveKey(
  { backend, environment, masterKey }: Omit<KeyHolder, 'keyId'>,
  id: Id,
  options: NewKeyOptions,
): Promise<void> {
  const file = await loadKeyFile(backend, id, { signal: options.signal });
  const opened = await openKeyFile(file, { password: options.password, environment });
  if (opened && isSameKey(opened, masterKey)) return;
  throw new HoldfastError('VERIFY_FAILED', {
    message: 'a new key file did not open with its password, and was removed again',
    details: { keyId: id },
  });
}

function isSameKey(a: SealKey, b: SealKey): boolean {
  return (
    isSameSecret(a.encrypt, b.encrypt) &&
    isSameSecret(a.macK, b.macK) &&
    isSameSecret(a.macR, b.macR)
  );
}

function isSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.byteLength ^ b.byteLength;
  for (let i = 0; i < a.byteLength; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

/**
 * Gives the repository a new password: adds a proven key, then removes the one in use. At every instant the old or
 * the new password opens the repository. Does not revoke the master key: whoever had it still has it.
 * @returns id of the new key
 * @throws as `addKey`, and then the old password is still the only one; as `removeSurely`, and then both open it
 */
export async function changePassword(holder: KeyHolder, options: NewKeyOptions): Promise<Id> {
  const id = await addKey(holder, options);
  try {
    await removeSurely(holder.backend, { type: 'key', name: holder.keyId });
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return id;
    throw new HoldfastError(isHoldfastError(error) ? error.code : 'BACKEND_WRITE_FAILED', {
      message: 'the new password is set, but the old one still opens the repository too',
      details: { oldKeyId: holder.keyId, newKeyId: id },
      hint: 'Open the repository with the new password and remove the old key with "holdfast key remove".',
      cause: error,
    });
  }
  return id;
}

/**
 * Removes a key other than the one in use, and makes sure that it is gone.
 * @throws USAGE for the key in use; KEY_DAMAGED when the key in use is no longer stored whole, so that this might
 *   remove the last that opens; FILE_NOT_FOUND; as `removeSurely`
 */
export async function removeKey(
  { backend, keyId }: KeyHolder,
  id: Id,
  options: CallOptions = {},
): Promise<void> {
  if (id === keyId) {
    throw new HoldfastError('USAGE', {
      message: 'the key in use cannot be removed',
      details: { keyId: id },
      hint: 'Open the repository with another password to remove this key.',
    });
  }
  try {
    await loadKeyFile(backend, keyId, options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND', 'KEY_DAMAGED')) throw error;
    throw new HoldfastError('KEY_DAMAGED', {
      message: 'the key in use is no longer stored whole, so no other key is removed',
      details: { keyId },
      hint: 'Add a key first with "holdfast key add".',
      cause: error,
    });
  }
  await removeSurely(backend, { type: 'key', name: id }, options);
}

/**
 * Reads all key files.
 * @throws what listing and reading files throws; a key file that cannot be read is in `damaged` instead
 */
export async function listKeys(
  { backend, keyId }: Pick<KeyHolder, 'backend' | 'keyId'>,
  options: CallOptions = {},
): Promise<KeyList> {
  const keys: ListedKey[] = [];
  const damaged: { id: Id; error: HoldfastError }[] = [];
  const files = backend.list('key', options);
  await forEachConcurrent(files, backend.connectionCount, async (listed) => {
    const id = listed.name;
    try {
      const { username, hostname, created } = await loadListedKey(backend, listed, options);
      keys.push({ id, isCurrent: id === keyId, username, hostname, created });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND', 'KEY_DAMAGED')) throw error;
      if (error.code === 'KEY_DAMAGED') damaged.push({ id, error });
    }
  });
  keys.sort((a, b) => compareTimestamps(a.created, b.created) || (a.id < b.id ? -1 : 1));
  return { keys, damaged };
}
