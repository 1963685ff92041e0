import { fromHex, utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { makeDirectories } from '../platform/files.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { EngineContext } from './context.ts';
import { ContentWriter } from './restore/content.ts';
import { DirectoryOpener } from './restore/directories.ts';
import type { RestoreMonitor, RestoreOptions, RestoreResult } from './restore/options.ts';
import { RestoreTally } from './restore/tally.ts';
import { verifyFiles } from './restore/verify.ts';
import { RestoreWalk } from './restore/walk.ts';
import { TreeReader } from './tree-reader.ts';

export type {
  Overwrite,
  RestoreItem,
  RestoreMonitor,
  RestoreOptions,
  RestoreProgress,
  RestoreResult,
  RestoreSelect,
} from './restore/options.ts';

/**
 * Restores a snapshot, or a folder of it, below a target directory.
 *
 * Writes only below the target, whatever the snapshot holds and whoever changes the target meanwhile.
 * A new file appears under its name when it is whole. After an interruption the same call goes on:
 * what is right already is not written again. Problems with single items go to the monitor and into
 * the result; the caller must not report success then.
 * @param target path of the target directory; it is made if it is missing
 * @throws PATH_NOT_FOUND, BLOB_NOT_FOUND or BLOB_DAMAGED of the root tree, TARGET_FAILED and what
 * opening the target throws, CANCELLED
 */
export async function restore(
  indexed: IndexedRepository,
  request: {
    readonly snapshot: StoredSnapshot;
    readonly target: Uint8Array;
    readonly options: RestoreOptions;
  },
  context: EngineContext<RestoreMonitor>,
): Promise<RestoreResult> {
  const { snapshot, target, options } = request;
  const { clock } = context.environment;
  const startedMs = clock.monotonicMs();
  const tree = await subtreeOf(indexed, snapshot, { subfolder: options.subfolder, context });
  const isWhole = options.subfolder === undefined && options.select === undefined;
  const summary = isWhole ? snapshot.summary : undefined;
  const tally = new RestoreTally(context.monitor, {
    files: summary?.totalFilesProcessed,
    bytes: summary?.totalBytesProcessed,
  });
  if (!options.dryRun) makeDirectories(target);
  const opener = new DirectoryOpener(target);
  let writer: ContentWriter | undefined;
  try {
    const parts = { indexed, opener, tally, options, context };
    if (!options.dryRun) writer = await ContentWriter.start(parts);
    const walk = new RestoreWalk(parts, writer);
    await walk.run(tree);
    if (options.verify && writer) await verifyFiles(walk.files, parts, writer);
    tally.progress();
  } finally {
    await writer?.close();
    opener.close();
  }
  return resultOf(tally, clock.monotonicMs() - startedMs);
}

/** The tree of the folder that is to be restored. @throws PATH_NOT_FOUND */
async function subtreeOf(
  indexed: IndexedRepository,
  snapshot: StoredSnapshot,
  where: { readonly subfolder: string | undefined; readonly context: EngineContext },
): Promise<Uint8Array> {
  const trees = new TreeReader(indexed, { signal: where.context.signal });
  let tree: Uint8Array | undefined = fromHex(snapshot.tree);
  const names = (where.subfolder ?? '').split('/').filter((name) => name !== '' && name !== '.');
  for (const name of names) {
    const wanted = utf8(name);
    const nodes: readonly { name: Uint8Array; subtree?: Uint8Array | undefined }[] = tree
      ? await trees.load(tree)
      : [];
    tree = nodes.find((node) => Buffer.compare(node.name, wanted) === 0)?.subtree;
    if (tree) continue;
    throw new HoldfastError('PATH_NOT_FOUND', {
      message: 'the snapshot has no such folder',
      details: { snapshot: snapshot.id, folder: where.subfolder },
    });
  }
  if (!tree) throw new HoldfastError('SNAPSHOT_DAMAGED', { details: { snapshot: snapshot.id } });
  return tree;
}

function resultOf(tally: RestoreTally, totalDurationMs: number): RestoreResult {
  const { filesTotal, filesRestored, filesSkipped, filesDeleted, filesVerified } = tally;
  const { bytesTotal, bytesRestored, bytesSkipped, problems } = tally;
  const files = { filesTotal, filesRestored, filesSkipped, filesDeleted, filesVerified };
  return { ...files, bytesTotal, bytesRestored, bytesSkipped, problems, totalDurationMs };
}
