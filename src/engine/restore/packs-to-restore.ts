import { silentMonitor } from '../../base/monitor.ts';
import { ContentWriter } from './content.ts';
import { TargetDirectory } from './directories.ts';
import { Durability } from './durability.ts';
import type { RestoreMonitor } from './options.ts';
import type { RestoreParts } from './parts.ts';
import { RestoreTally } from './tally.ts';
import { RestoreWalk } from './walk.ts';

const nobody: RestoreMonitor = { ...silentMonitor, progress: () => {} };

/**
 * Finds out which packs a restore will read, by a dry run of it: what is right in the target already needs none.
 *
 * Reads the trees, and compares existing files, as the restore will do again. What an interrupted restore left under
 * temporary names is not looked at, so these may be a few packs more.
 * @returns numbers of packs in the index
 */
export async function packsToRestore(
  parts: RestoreParts,
  tree: Uint8Array,
): Promise<ReadonlySet<number>> {
  const packsWanted = new Set<number>();
  const dry: RestoreParts = {
    ...parts,
    packsWanted,
    tally: new RestoreTally(nobody, {}),
    options: { ...parts.options, dryRun: true, delete: false, verify: false },
    context: { ...parts.context, monitor: nobody },
  };
  const writer = new ContentWriter(dry);
  const durability = new Durability(parts.opener);
  try {
    await new RestoreWalk(dry, writer, durability).run(
      tree,
      new TargetDirectory({ state: 'existed' }),
    );
  } finally {
    await writer.close();
    durability.close();
  }
  return packsWanted;
}
