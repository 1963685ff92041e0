import { HoldfastError, type HoldfastErrorOptions, isHoldfastError } from '../base/errors.ts';
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
  const remains = await findRemains(backend, options);
  if (remains === undefined) return;
  throw new HoldfastError('REPOSITORY_EXISTS', describeRemains(backend, remains));
}

/**
 * The error for a location without a config: nothing is there, or a repository that lost it, over which nobody should make
 * another one.
 */
export async function noConfigError(
  backend: Backend,
  options: CallOptions = {},
): Promise<HoldfastError> {
  const remains = await findRemains(backend, options);
  return new HoldfastError('REPOSITORY_NOT_FOUND', {
    // The cause would only say in other words what the location says.
    ...(remains ? describeRemains(backend, remains) : { details: { location: backend.location } }),
  });
}

/** What is left of a repository that has no config; a key alone is of an `init` that was interrupted. */
type Remains =
  | { readonly kind: 'snapshots' | 'data' }
  | { readonly kind: 'key'; readonly keyId: string };

async function findRemains(backend: Backend, options: CallOptions): Promise<Remains | undefined> {
  const [keyId, snapshotId, indexId, packId] = await Promise.all(
    (['key', 'snapshot', 'index', 'pack'] as const).map((type) =>
      firstName(backend, type, options),
    ),
  );
  if (snapshotId !== undefined) return { kind: 'snapshots' };
  if (indexId !== undefined || packId !== undefined) return { kind: 'data' };
  return keyId === undefined ? undefined : { kind: 'key', keyId };
}

function describeRemains(backend: Backend, remains: Remains): HoldfastErrorOptions {
  const { location } = backend;
  if (remains.kind === 'key') {
    return {
      message: 'an earlier "init" was interrupted at this location: there is a key, but no config',
      details: { location, keyId: remains.keyId },
      hint: 'No backup was made here. Remove the file of this key below "keys" and run "holdfast init" again.',
    };
  }
  return {
    message: `there are ${remains.kind === 'data' ? 'data' : 'snapshots'} of a repository at this location, but its config is missing`,
    details: { location },
    hint: 'Put the file "config" back, from a copy of the repository or from the recovery kit. A new repository goes to an empty location.',
  };
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
