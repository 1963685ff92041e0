import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { PackedBlobs } from '../../repository/blob.ts';
import { idBytes, shortId } from '../../repository/id.ts';
import type { IndexedPack } from '../../repository/index-file.ts';
import { type HeldLock, loadRunningOperations, type ProcessProbe } from '../../repository/locks.ts';
import {
  type BareMark,
  markAgeMs,
  markTimeMs,
  type PackMark,
} from '../../repository/pack-marks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { statPack } from '../packs/stat-pack.ts';
import { PackOrder } from '../packs/pack-order.ts';
import { findLocked, type KeptPacks, noKeptPacks } from './locked-packs.ts';
import { unneededOf } from './needed.ts';
import type { PruneMonitor } from './options.ts';
import type { PackPlan } from './plan.ts';
import { removePacks, rewriteIndexWithoutRoom } from './remove.ts';
import { repackBlobs } from './repack.ts';
import { type MarkedPack, type PackToMark, saveMarks } from './save-marks.ts';
import type { PruneState } from './state.ts';

/** What is to become of the marks that there are. */
export interface MarkPlan {
  /** Marked for long enough and still of no use: to be deleted. */
  readonly due: readonly BareMark[];
  /** Marked, but not for long enough. */
  readonly waiting: readonly BareMark[];
  /** Of packs that are needed after all, or are gone: the mark is to be dropped. */
  readonly dropped: readonly BareMark[];
}

/**
 * Sorts the marks.
 * @param keepMs for how long a pack stays marked before it is deleted
 */
export function planMarks(state: PruneState, keepMs: number): MarkPlan {
  const { index } = state.indexed;
  const unneeded = unneededOf(state, state.markedPacks());
  const nowNs = state.repository.environment.clock.wallNs();
  const due: BareMark[] = [];
  const waiting: BareMark[] = [];
  const dropped: BareMark[] = [];
  for (const mark of state.marks.values()) {
    const pack = index.findPack(idBytes(mark.id));
    if (state.isVoid(mark) || (pack >= 0 && !unneeded.has(pack))) dropped.push(mark);
    else if (mark.time && markAgeMs(mark, nowNs) >= keepMs) due.push(mark);
    else waiting.push(mark);
  }
  return { due, waiting, dropped };
}

/** Which marks are old enough, and whose work may stand against the deletion. */
export interface DeletionRequest {
  /** For how long packs stay marked before they are deleted, in milliseconds. */
  readonly keepMs: number;
  /** The commit's. */
  readonly lock: HeldLock;
  /** Locks of the asker himself. */
  readonly own: readonly HeldLock[];
  readonly probe: ProcessProbe;
}

/** What became of the marks that were due. */
export interface Deletion {
  readonly deleted: readonly BareMark[];
  /** Marked for long enough, but an operation that runs may have begun before. */
  readonly awaiting: readonly BareMark[];
  /** Locked in the storage: their marks stay. */
  readonly kept: KeptPacks;
}

/**
 * The second phase: deletes what was marked for long enough and is still not needed, and drops marks that no longer say
 * anything. Snapshots and index files are listed anew under `lock`, which keeps every other program out, and own
 * operations that begin now. Own operations that run have begun after the marks were made, and lean on nothing marked.
 *
 * Index files let go of a pack before it is deleted. What a stopped run leaves is in no index file, and is marked again.
 */
export async function deleteMarked(
  state: PruneState,
  request: DeletionRequest,
  context: EngineContext<PruneMonitor>,
): Promise<Deletion> {
  const { repository } = state;
  const { lock, keepMs } = request;
  await state.refresh();
  const { due, dropped } = planMarks(state, keepMs);
  const beganMs = await firstBeginMs(state, request, context);
  const isBefore = (mark: BareMark): boolean => markTimeMs(mark) < beganMs;
  const sure = await confirmed(state, due.filter(isBefore), context);
  const awaiting = due.filter((mark) => !isBefore(mark));
  const { going, kept } = repository.backend.retention
    ? await withoutLocked(repository, sure, context)
    : { going: sure, kept: noKeptPacks };
  const deletion = { deleted: going, awaiting, kept };
  if (going.length + dropped.length === 0) return deletion;
  lock.assertHeld();
  const listed = going.filter(({ id }) => state.isListed(id));
  const ids = listed.map(({ id }) => id);
  context.monitor.phase(`removing ${going.length} packs that were marked before`);
  // These need no change of the index, and so no room.
  const unlisted = going.filter(({ id }) => !state.isListed(id));
  await removePacks(
    repository,
    unlisted.map(({ id }) => id),
    context,
  );
  const gone = new Set([...going, ...dropped].map(({ id }) => id));
  const change = {
    removed: new Set(ids),
    added: onlyListings(state, dropped),
    known: state.indexNames,
    keepsMark: ({ id }: PackMark) => !gone.has(id),
    keepsSmall: true,
  };
  await rewriteIndexWithoutRoom(repository, { change, unneeded: ids }, context);
  await removePacks(repository, ids, context);
  state.forget(gone, new Set(going.map(({ id }) => id)));
  return deletion;
}

async function withoutLocked(
  repository: Repository,
  marks: readonly BareMark[],
  context: EngineContext,
): Promise<{ readonly going: readonly BareMark[]; readonly kept: KeptPacks }> {
  const ids = marks.map(({ id }) => id);
  const kept = await findLocked(repository, ids, context);
  const locked = new Set(kept.ids);
  return { going: marks.filter(({ id }) => !locked.has(id)), kept };
}

/** Listings of the needed packs among some marked ones that no index file lists. */
function onlyListings(state: PruneState, marks: readonly BareMark[]): IndexedPack[] {
  const isOnlyListing = ({ id, hasBlobs }: BareMark): boolean =>
    hasBlobs && !state.isListed(id) && state.stored.has(id);
  const { index } = state.indexed;
  return state.listingsOf(marks.filter(isOnlyListing).map(({ id }) => index.findPack(idBytes(id))));
}

/**
 * When the first operation may have begun that runs beside this one, in milliseconds since 1970; it may have read an older
 * index. Locks that cannot be read, and those of programs that do not tell their begin, stand against everything.
 */
async function firstBeginMs(
  { repository }: PruneState,
  { own: except, probe }: DeletionRequest,
  { signal }: EngineContext,
): Promise<number> {
  const operations = await loadRunningOperations(repository, { probe, except, signal });
  return Math.min(...operations.map(({ beganMs }) => beganMs ?? Number.NEGATIVE_INFINITY));
}

/** Those of the marked packs whose file is the one that was marked, or is gone already. */
async function confirmed(
  { repository }: PruneState,
  marks: readonly BareMark[],
  { monitor, signal }: EngineContext<PruneMonitor>,
): Promise<BareMark[]> {
  const sure: BareMark[] = [];
  await forEachConcurrent(marks, repository.backend.connectionCount, async (mark) => {
    const sizeBytes = await statPack(repository, mark.id, { signal });
    const isGone = sizeBytes === undefined;
    if (isGone || mark.sizeBytes === undefined || mark.sizeBytes === sizeBytes) sure.push(mark);
    else
      monitor.note(`pack ${shortId(mark.id)} has another size than when it was marked: it stays`);
  });
  return sure.sort((a, b) => (b.sizeBytes ?? 0) - (a.sizeBytes ?? 0));
}

/**
 * The first phase: stores anew what is used of packs that are to be repacked, and marks all packs that are then of no use.
 * Only adds: packs, index files, and index files of marks. What it marks stays readable and listed, so that whoever leans
 * on it meanwhile is not harmed.
 * @returns the new marks
 */
export async function markUnneeded(
  state: PruneState,
  packs: PackPlan,
  context: EngineContext<PruneMonitor>,
): Promise<readonly MarkedPack[]> {
  const { monitor } = context;
  const going = new Set([...packs.remove, ...packs.repack, ...packs.missing]);
  const marked = state.markedPacks();
  if (packs.repack.length > 0) {
    monitor.phase('repacking packs');
    const all = new Set([...going, ...marked]);
    await repackBlobs(state, { repack: new Set(packs.repack), going: all }, context);
  }
  if (going.size + packs.unlisted.length === 0) return [];
  // A snapshot that was stored meanwhile keeps what it needs.
  await state.refresh();
  const unneeded = unneededOf(state, new Set([...going, ...state.markedPacks()]));
  const unneededPacks = packsToMark(
    state,
    [...going].filter((pack) => unneeded.has(pack)),
  );
  for (const { id, sizeBytes } of packs.unlisted) {
    const isKnown = state.indexed.index.findPack(idBytes(id)) >= 0 || state.marks.has(id);
    if (!isKnown) unneededPacks.push({ id, sizeBytes, blobs: () => noBlobs });
  }
  if (unneededPacks.length === 0) return [];
  monitor.phase(`marking ${unneededPacks.length} packs`);
  return saveMarks(state.repository, unneededPacks, { signal: context.signal });
}

const noBlobs = new PackedBlobs(new Uint8Array(0));

function packsToMark(state: PruneState, packs: readonly number[]): PackToMark[] {
  const { index } = state.indexed;
  const order = PackOrder.ofPacks(index, packs);
  return packs.map((pack) => {
    const id = toHex(index.packId(pack));
    const blobs = (): PackedBlobs => order.packedBlobsOf(index, pack);
    return { id, sizeBytes: state.stored.get(id), blobs };
  });
}
