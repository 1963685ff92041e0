import { HoldfastError } from '../base/errors.ts';
import { upgradeConfig, type UpgradeOptions } from '../repository/config-upgrade.ts';
import type { Repository } from '../repository/repository.ts';
import { check } from './check.ts';
import type { EngineContext } from './context.ts';
import type { PhaseMonitor } from '../base/monitor.ts';

/** A change of the whole repository that is made once. */
export interface Migration {
  readonly name: string;
  readonly description: string;
  /** Why it cannot be applied; undefined if it can. */
  obstacle(repository: Repository): string | undefined;
}

/** All migrations, as restic names them. */
export const migrations: readonly Migration[] = [
  {
    name: 'upgrade_repo_v2',
    description: 'upgrade a repository to version 2',
    obstacle: ({ config }) =>
      config.version === 1
        ? undefined
        : `repository is already upgraded to version ${config.version}`,
  },
];

/**
 * Upgrades a repository to version 2, after a check of all but the stored data found no errors: what is damaged now
 * must not look like a consequence. Hold an exclusive lock, and open the repository anew afterwards.
 * @throws REPOSITORY_DAMAGED; as `upgradeConfig`
 */
export async function upgradeToVersion2(
  repository: Repository,
  options: Pick<UpgradeOptions, 'saveCopy'> & { onChecked?(): void },
  context: EngineContext<PhaseMonitor>,
): Promise<void> {
  const { signal } = context;
  const { errorCount } = await check(repository, {}, context);
  if (errorCount > 0) {
    throw new HoldfastError('REPOSITORY_DAMAGED', {
      message: 'the repository has errors, as told above, and is not changed',
      details: { errorCount },
    });
  }
  options.onChecked?.();
  await upgradeConfig(repository, { saveCopy: options.saveCopy, signal });
}
