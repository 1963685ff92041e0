import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Sealer } from '../kernels/seal.ts';
import type { Backend, CallOptions } from '../storage/backend.ts';
import { loadSealedConfig, openConfig, type RepositoryConfig } from './config.ts';
import { compressedMark } from './unpacked.ts';

/** What was known of a repository when it was opened. */
interface Opened {
  readonly backend: Backend;
  readonly config: RepositoryConfig;
  readonly sealer: Sealer;
}

/**
 * Looks whether the repository was upgraded since it was opened: who goes on would take new files for damaged ones.
 * @param options.meanwhile what the command did since then
 * @throws REPOSITORY_LOCKED; what the storage throws
 */
export async function assertNotUpgraded(
  { backend, config, sealer }: Opened,
  options: CallOptions & { readonly meanwhile: 'ran' | 'waited for it' },
): Promise<void> {
  if (config.version !== 1) return;
  const { signal } = options;
  const now = openConfig(await loadSealedConfig(backend, { signal, fresh: true }), sealer);
  if (now.version === config.version) return;
  throw new HoldfastError('REPOSITORY_LOCKED', {
    message: `the repository was upgraded to version ${now.version} while this command ${options.meanwhile}`,
    hint: 'Run the command again.',
  });
}

/**
 * Ends with an error of opening a file. One of a newer format is not damaged if the repository was upgraded
 * meanwhile, as under the lock of a machine that slept: then all that follows would look damaged as well.
 * @throws REPOSITORY_LOCKED if it was upgraded; what the storage throws if that cannot be told; else `error`
 */
export async function throwUnopened(
  repository: Opened,
  error: unknown,
  { signal }: CallOptions,
): Promise<never> {
  const isNewer =
    isHoldfastError(error, 'UNPACKED_DAMAGED') && error.details['firstByte'] === compressedMark;
  if (isNewer) await assertNotUpgraded(repository, { signal, meanwhile: 'ran' });
  throw error;
}
