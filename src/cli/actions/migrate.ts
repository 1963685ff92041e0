import path from 'node:path';
import { type Migration, migrations, upgradeToVersion2 } from '../../engine/migrate.ts';
import { removeTree } from '../../platform/files.ts';
import { shortId } from '../../repository/id.ts';
import { CheckOutput } from '../check-output.ts';
import type { Invocation } from '../command.ts';
import type { MigrateFlags } from '../commands/migrate.ts';
import { writeOutputFile } from '../files.ts';
import { usage } from '../parse.ts';
import { type Session, withSession } from '../session.ts';

type MigrateInvocation = Invocation<MigrateFlags>;

/** `holdfast migrate`. */
export async function migrate(invocation: MigrateInvocation): Promise<number> {
  const { arguments: names, output, flags } = invocation;
  const chosen = names.map(findMigration);
  const isListing = chosen.length === 0;
  const options = { lock: 'exclusive', writes: !isListing } as const;
  return withSession(invocation, options, async (session) => {
    const { repository } = session;
    if (isListing) {
      const possible = migrations.filter((one) => one.obstacle(repository) === undefined);
      output.line('available migrations:');
      for (const { name, description } of possible) output.line(`  ${name}\t${description}`);
      if (possible.length === 0) output.line('no migrations found');
      return 0;
    }
    for (const migration of chosen) {
      const obstacle = migration.obstacle(repository);
      if (obstacle === undefined || flags.force) await apply(invocation, session, migration);
      else output.errorLine(`migration ${migration.name} cannot be applied: ${obstacle}`);
    }
    return 0;
  });
}

/** @throws USAGE */
function findMigration(name: string): Migration {
  const found = migrations.find((migration) => migration.name === name);
  if (found) return found;
  throw usage(`unknown migration ${name}`, 'List them with "holdfast migrate".');
}

async function apply(
  invocation: MigrateInvocation,
  { repository, signal }: Session,
  { name }: Migration,
): Promise<void> {
  const { output, environment } = invocation;
  const copy = path.resolve(`config-${shortId(repository.config.id)}.backup`);
  let hasCopy = false;
  const monitor = new CheckOutput(invocation);
  output.info('checking repository integrity...');
  try {
    const onChecked = (): void => output.info(`applying migration ${name}...`);
    const saveCopy = async (sealed: Uint8Array): Promise<void> => {
      writeOutputFile(copy, sealed);
      hasCopy = true;
    };
    const context = { environment, signal, monitor };
    await upgradeToVersion2(repository, { saveCopy, onChecked }, context);
    output.info(`migration ${name}: success`);
    removeTree(Buffer.from(copy));
  } catch (error) {
    if (hasCopy) {
      output.errorLine(
        `a copy of the config as it was is in ${copy}: if the repository cannot be opened, make it the file "config" there`,
      );
    }
    throw error;
  } finally {
    monitor.stop();
  }
}
