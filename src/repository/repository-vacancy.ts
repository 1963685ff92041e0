import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Backend, CallOptions, FileType } from '../storage/backend.ts';

/**
 * Makes sure that a location holds no repository, nor the rest of one. Changes nothing.
 * @throws REPOSITORY_EXISTS, saying what is there and what to do
 */
export async function assertNothingStored(
  backend: Backend,
  options: CallOptions = {},
): Promise<void> {
  if (await hasConfig(backend, options)) {
    throw new HoldfastError('REPOSITORY_EXISTS', { details: { location: backend.location } });
  }
  const [keyId, snapshotId] = await Promise.all([
    firstName(backend, 'key', options),
    firstName(backend, 'snapshot', options),
  ]);
  if (snapshotId !== undefined) throw configLost(backend, 'snapshots');
  if (keyId === undefined) return;
  const [indexId, packId] = await Promise.all([
    firstName(backend, 'index', options),
    firstName(backend, 'pack', options),
  ]);
  if (indexId !== undefined || packId !== undefined) throw configLost(backend, 'data');
  throw new HoldfastError('REPOSITORY_EXISTS', {
    message: 'an earlier "init" was interrupted at this location: there is a key, but no config',
    details: { location: backend.location, keyId },
    hint: 'No backup was made here. Remove the file of this key below "keys" and run "holdfast init" again.',
  });
}

function configLost(backend: Backend, what: string): HoldfastError {
  return new HoldfastError('REPOSITORY_EXISTS', {
    message: `there are ${what} of a repository at this location, but its config is missing`,
    details: { location: backend.location },
    hint: 'Restore the file "config" from a copy of the repository, or choose an empty location.',
  });
}

async function hasConfig(backend: Backend, options: CallOptions): Promise<boolean> {
  try {
    await backend.stat({ type: 'config', name: '' }, options);
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return false;
    throw error;
  }
}

async function firstName(
  backend: Backend,
  type: FileType,
  options: CallOptions,
): Promise<string | undefined> {
  for await (const { name } of backend.list(type, options)) return name;
  return undefined;
}
