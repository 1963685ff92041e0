import { toHex } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { exists, lockFile, makeDirectories } from '../platform/files.ts';
import { printablePath } from '../platform/place.ts';
import { readStatusOf } from '../platform/status.ts';
import { posixCode } from '../platform/system-error.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { EngineContext } from './context.ts';
import { assertNeverAway } from './damage-if-held.ts';
import { thawPacks } from './packs/thaw-packs.ts';
import { ContentWriter } from './restore/content.ts';
import { DirectoryOpener, TargetDirectory } from './restore/directories.ts';
import { Durability } from './restore/durability.ts';
import type { RestoreMonitor, RestoreOptions, RestoreResult } from './restore/options.ts';
import { packsToRestore } from './restore/packs-to-restore.ts';
import { RestoreMark } from './restore/restore-mark.ts';
import { SnapshotWays } from './restore/snapshot-ways.ts';
import { RestoreTally } from './restore/tally.ts';
import { assertTargetApart } from './restore/target-apart.ts';
import { verifyFiles } from './restore/verify.ts';
import { RestoreWalk } from './restore/walk.ts';
import { findTree } from './trees/snapshot-path.ts';

export { isOwnerRefused } from './restore/metadata.ts';
export type {
  Overwrite,
  RestoreItem,
  RestoreMonitor,
  RestoreOptions,
  RestoreProgress,
  RestoreResult,
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
 * opening the target throws, CANCELLED; FILE_ARCHIVED if packs do not come back from an archive in time; LOCK_LOST if something could not be read and the lock was lost meanwhile
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
  const { subfolder, dryRun } = options;
  const { localPath } = indexed.repository.backend;
  assertTargetApart(localPath, target, {
    deletes: options.delete ?? false,
    select: options.select,
  });
  const tree = await findTree(indexed, { snapshot, subfolder }, { signal: context.signal });
  const isWhole = subfolder === undefined && options.select === undefined;
  const summary = isWhole ? snapshot.summary : undefined;
  const tally = new RestoreTally(context.monitor, {
    files: summary?.totalFilesProcessed,
    bytes: summary?.totalBytesProcessed,
  });
  if (!dryRun) makeTarget(target);
  const isThere = !dryRun || exists(target);
  const opener = new DirectoryOpener(isThere ? target : undefined);
  const durability = new Durability(opener);
  let writer: ContentWriter | undefined;
  try {
    const root = new TargetDirectory({ state: isThere ? 'existed' : 'pretended' });
    if (isThere) durability.add(readStatusOf(opener.root).device, root);
    const mark = isThere ? markOf(opener, tree, options) : undefined;
    const trustsTimes = mark?.trustsTimes ?? true;
    if (!trustsTimes) tally.note(distrustNote);
    if (!dryRun && mark?.make() === false) tally.note(noMarkNote);
    const ways = new SnapshotWays({ paths: snapshot.paths, subfolder });
    // Held until the target is closed.
    const isShared = !dryRun && !lockFile(opener.root);
    if (isShared) tally.note(sharedNote);
    const parts = { indexed, opener, tally, options, trustsTimes, isShared, ways, context };
    if (!dryRun && indexed.repository.backend.thawing) {
      await thawPacks(indexed, await packsToRestore(parts, tree), context);
    }
    writer = new ContentWriter(parts);
    await new RestoreWalk(parts, writer, durability).run(tree, root);
    if (options.verify && !dryRun) await verifyFiles(writer, parts);
    if (!dryRun) {
      const isDurable = durability.sync(tally);
      const isWhole = tally.problemCount === 0;
      if (mark?.end({ isDurable, isWhole }) === false) tally.note(leftMarkNote);
    }
    tally.progress();
  } finally {
    await writer?.close();
    durability.close();
    opener.close();
  }
  if (tally.damage !== undefined) await assertNeverAway(indexed.repository, tally.damage);
  return resultOf(tally, clock.monotonicMs() - startedMs);
}

const distrustNote =
  'an earlier restore to this folder may have lost data on its way to the disk: no file is taken for right by size and time';
const sharedNote =
  'another restore is writing to this folder: a file that both make is a problem of one of them';
const noMarkNote =
  'no mark can be left in the target: after a power cut do not go on with "--overwrite if-changed"';
const leftMarkNote = 'the mark of an unfinished restore cannot be removed from the target';

function markOf(opener: DirectoryOpener, tree: Uint8Array, options: RestoreOptions): RestoreMark {
  const isAll = options.select === undefined && options.overwrite !== 'never';
  return new RestoreMark(opener.root, { tree: toHex(tree), isAll });
}

/** @throws TARGET_FAILED if something else than a folder is there, and what making folders throws */
function makeTarget(target: Uint8Array): void {
  try {
    makeDirectories(target);
  } catch (error) {
    const code = posixCode(error);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new HoldfastError('TARGET_FAILED', {
      message: 'the target is not a folder',
      details: { path: printablePath(target) },
      hint: 'Name a folder that exists, or a place where one can be made.',
    });
  }
}

function resultOf(tally: RestoreTally, totalDurationMs: number): RestoreResult {
  const { filesTotal, filesRestored, filesSkipped, filesDeleted, filesVerified } = tally;
  const { bytesTotal, bytesRestored, bytesSkipped, problems, problemCount } = tally;
  const { privilegedFiles } = tally;
  const files = { filesTotal, filesRestored, filesSkipped, filesDeleted, filesVerified };
  const bytes = { bytesTotal, bytesRestored, bytesSkipped };
  return { ...files, ...bytes, privilegedFiles, problems, problemCount, totalDurationMs };
}
