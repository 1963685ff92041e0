import { toHex } from '../base/bytes.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Id, idBytes } from '../repository/id.ts';
import {
  type IndexFileNames,
  indexFilesThere,
  loadIndexFiles,
  loadMarks,
  loadMoreIndexFiles,
} from '../repository/index-load.ts';
import { IndexWriter, type StoredByWork } from '../repository/index-writer.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { PackMark } from '../repository/pack-marks.ts';
import { markedPacks } from './packs/known-packs.ts';
import { missingPacks } from './packs/stored-packs.ts';
import type { EngineContext } from './context.ts';
import { statPack } from './packs/stat-pack.ts';
import { transferBlobs } from './packs/transfer.ts';
import { collectUsedBlobs, usedMark } from './trees/used-blobs.ts';

/** Times that data is stored anew because more was marked or removed meanwhile. */
const roundsMax = 5;
/** More packs than these are looked for in a listing first. */
const askedSinglyMax = 200;

/**
 * What is known of packs that were marked as to be deleted before the index was loaded. `absent`: the index has none of them.
 * `shared`: the snapshot may refer to some, as the one does that it is made of, and that stays until it is there; enough
 * where each listing shows one of the two, else it is as `unsafe`: a prune may have marked what the old one needs since
 * it was not shown, and may not be shown the new one either. `unsafe`: they may be there, and it may not refer to them.
 */
export type MarkedBefore = 'absent' | 'shared' | 'unsafe';

/** What is known of the work whose references are to be proven. */
export interface Proof {
  /** Index files that were listed when `indexed` was loaded; what is in none of them is taken for new. */
  readonly known: IndexFileNames;
  /** What this work stored since. */
  readonly own: StoredByWork | undefined;
  readonly marked: MarkedBefore;
  /** Root tree of the snapshot that is to be stored. */
  readonly tree: Id;
}

/**
 * Proves, right before a snapshot is stored, that all it leans on is there to stay: that no pack that was in the index when
 * the work began was marked as to be deleted, or taken from the index, since; nor was before, where that counts
 * (`MarkedBefore`). What lies in such packs only is stored anew.
 *
 * Usually one listing. Index files that others stored since are read; if some vanished, all are. If the process was away,
 * so that others may have taken it for gone, all packs are looked for, too; those that this work stored are in any case,
 * once: until an index file listed them, they looked left.
 * @throws REFERENCE_LOST if data is gone and cannot be stored anew: then no snapshot may be stored; what the backend throws
 * @see docs/CONCURRENCY.md
 */
export async function proveReferences(
  indexed: IndexedRepository,
  proof: Proof,
  context: EngineContext,
): Promise<void> {
  const seen = new Set([...proof.known.names, ...(proof.own?.indexIds ?? [])]);
  const unseen = proof.own?.unseenPacks ?? new Set<Id>();
  const gone = await unseenGone(indexed, unseen, context);
  const isUnsafe = proof.marked === 'unsafe' || !indexed.repository.backend.listsAtOnce;
  const isTrusted = proof.marked === 'absent' || !isUnsafe;
  const marked = isTrusted ? [] : await markedPacks(indexed, context);
  let lost = new Set([...marked, ...gone, ...(await lostPacks(indexed, seen, context))]);
  for (let round = 0; lost.size > 0; round++) {
    if (round === roundsMax) throw lostError('packs were marked or removed again and again');
    const wanted = await loneEntries(indexed, { lost, tree: proof.tree }, context);
    if (wanted.length === 0) return;
    const count = wanted.length;
    context.monitor.note(`${count} blobs that the snapshot needs are to be deleted: stored anew`);
    for (const name of await storeAnew(indexed, wanted, context)) seen.add(name);
    const all = new Set([...lost, ...(await lostPacks(indexed, seen, context))]);
    if (all.size === lost.size) return;
    lost = all;
  }
}

/** Those of the packs stored by this work that are gone. The others are taken out of `unseen`. */
async function unseenGone(
  { repository, index }: IndexedRepository,
  unseen: Set<Id>,
  { signal }: EngineContext,
): Promise<Set<number>> {
  const { backend } = repository;
  const gone = new Set<number>();
  if (unseen.size > askedSinglyMax) {
    for await (const { name } of backend.list('pack', { signal })) unseen.delete(name);
  }
  await forEachConcurrent([...unseen], backend.connectionCount, async (name) => {
    const isThere = (await statPack(repository, name, { signal })) !== undefined;
    if (isThere) unseen.delete(name);
    else gone.add(index.findPack(idBytes(name)));
  });
  return gone;
}

/** As `lostSince`, and again if index files vanish before they are read: somebody is replacing them. */
async function lostPacks(
  indexed: IndexedRepository,
  seen: Set<Id>,
  context: EngineContext,
): Promise<Set<number>> {
  for (let tries = 1; ; tries++) {
    try {
      return await lostSince(indexed, seen, context);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND') || tries === roundsMax) throw error;
    }
  }
}

/** Packs of the index that are no longer to be leaned on. Takes new index files into the index, and their names into `seen`. */
async function lostSince(
  { repository, index }: IndexedRepository,
  seen: Set<Id>,
  { signal }: EngineContext,
): Promise<Set<number>> {
  const listed = new Set<Id>();
  for await (const { name } of repository.backend.list('index', { signal })) listed.add(name);
  const names = [...listed].filter((name) => !seen.has(name));
  const unlisted = [...seen].filter((name) => !listed.has(name));
  const stillThere = await indexFilesThere(repository, unlisted, { signal });
  const isAnyGone = stillThere.length < unlisted.length;
  const wasAway = repository.absences.count > 0;
  const lost = wasAway ? await missingPacks({ repository, index }, { signal }) : new Set<number>();
  if (names.length === 0 && !isAnyGone) return lost;
  const packCount = index.packCount;
  const { markNames } = await loadMoreIndexFiles(repository, index, { names, signal });
  const onMark = ({ id, blobs }: PackMark): void => {
    const pack = index.findPack(idBytes(id));
    if (pack >= 0 && blobs.count > 0) lost.add(pack);
  };
  await loadMarks(repository, markNames, { signal, onMark });
  // Not before: after a failure all of them are read again, whose marks did not count yet.
  for (const name of names) seen.add(name);
  if (!isAnyGone) return lost;
  // Also those that no listing shows yet, such as its own: what they list is not lost.
  const now = await loadIndexFiles(repository, { signal, also: stillThere });
  for (let pack = 0; pack < packCount; pack++) {
    if (now.index.findPack(index.packId(pack)) < 0) lost.add(pack);
  }
  return lost;
}

/** An entry of each blob of the tree that lies in lost packs only. */
async function loneEntries(
  indexed: IndexedRepository,
  { lost, tree }: { readonly lost: ReadonlySet<number>; readonly tree: Id },
  context: EngineContext,
): Promise<number[]> {
  const { index } = indexed;
  const isSafe = new Uint8Array(index.blobCount);
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (!index.isPending(entry) && !lost.has(index.packOf(entry))) isSafe[index.firstOf(entry)] = 1;
  }
  let used: Awaited<ReturnType<typeof collectUsedBlobs>>;
  try {
    used = await collectUsedBlobs(indexed, [{ id: 'new', tree }], context);
  } catch (error) {
    if (!isHoldfastError(error, 'BLOB_DAMAGED', 'BLOB_NOT_FOUND')) throw error;
    throw lostError(`a folder listing cannot be read any more: ${describeError(error)}`, error);
  }
  const wanted: number[] = [];
  for (const { entry, marks } of used.marked()) {
    if ((marks & usedMark) !== 0 && isSafe[entry] === 0) wanted.push(entry);
  }
  return wanted;
}

/** Stores blobs from packs that are still there. @returns the index files that list them */
async function storeAnew(
  indexed: IndexedRepository,
  wanted: readonly number[],
  context: EngineContext,
): Promise<readonly Id[]> {
  const writer = new IndexWriter(indexed.repository, { signal: context.signal });
  const request = { source: indexed, wanted, target: { indexed, writer }, again: true };
  const { failed } = await transferBlobs(request, context);
  await writer.flush();
  const [first] = failed;
  if (!first) return writer.savedIds;
  const id = toHex(indexed.index.idOf(first.entry)).slice(0, 8);
  throw lostError(`${failed.length} blobs are gone, such as ${id}`, first.error);
}

function lostError(why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('REFERENCE_LOST', {
    message: `data that the new snapshot needs was removed meanwhile: ${why}`,
    cause,
  });
}
