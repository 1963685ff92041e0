import { HoldfastError } from '../base/errors.ts';
import type { CallOptions } from '../storage/backend.ts';
import { isConfigStored, loadSealedConfig, openConfig, sealConfig } from './config.ts';
import type { Repository } from './repository.ts';

/** What the upgrade of a config needs besides the repository. */
export interface UpgradeOptions extends CallOptions {
  /**
   * Keeps a copy of the stored config outside the repository, durable on return. A storage that cannot replace a file at
   * once has none for a moment, and without its config a repository cannot be opened.
   */
  readonly saveCopy: (sealed: Uint8Array) => Promise<void>;
}

/**
 * Makes a repository of version 1 one of version 2, which differs in nothing but its config: what is stored stays valid.
 * The config is replaced in one step where the storage can, and read back. If that fails the old one is put back.
 * Hold an exclusive lock, and open the repository anew afterwards.
 *
 * @throws FORMAT_UNSUPPORTED if it is not of version 1; what `saveCopy` throws, and nothing was changed then;
 *   VERIFY_FAILED, and what `Backend.put` throws
 */
export async function upgradeConfig(
  { backend, config, sealer }: Repository,
  { saveCopy, signal }: UpgradeOptions,
): Promise<void> {
  const before = await loadSealedConfig(backend, { signal });
  // Not the config that was opened with: it may be another by now.
  const { version } = openConfig(before, sealer);
  if (version !== 1) {
    throw new HoldfastError('FORMAT_UNSUPPORTED', {
      message: `repository has version ${version}, only upgrades from version 1 are supported`,
    });
  }
  await saveCopy(before);
  const after = sealConfig({ ...config, version: 2 }, sealer);
  const handle = { type: 'config', name: '' } as const;
  try {
    await backend.put(handle, [after], { replace: true, signal });
    if (await isConfigStored(backend, after, { signal })) return;
    throw new HoldfastError('VERIFY_FAILED', {
      message: 'the storage reported the new config stored, but does not give it back',
    });
  } catch (error) {
    // The answer may have been lost, not the config.
    if (await isConfigStored(backend, after).catch(() => false)) return;
    if (!(await isConfigStored(backend, before).catch(() => false))) {
      await backend.put(handle, [before], { replace: true }).catch(() => undefined);
    }
    throw error;
  }
}
