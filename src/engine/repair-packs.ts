import { throwIfAborted } from '../base/abort.ts';
import { toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { BlobType } from '../repository/blob.ts';
import { BlobIndex } from '../repository/blob-index.ts';
import { type Id, idBytes } from '../repository/id.ts';
import { IndexWriter } from '../repository/index-writer.ts';
import { loadIndex } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { PackedBlob, PackedBlobs } from '../repository/pack.ts';
import { removeParity } from '../repository/parity.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot, tellUnreadable } from '../repository/snapshots.ts';
import { withoutPacks } from './packs/known-packs.ts';
import { PackOrder } from './packs/pack-order.ts';
import type { EngineContext } from './context.ts';
import { missingPacks } from './packs/stored-packs.ts';
import { healByParity } from './repair/heal-by-parity.ts';
import { nameLosses } from './repair/name-losses.ts';
import { type BlobSources, healBlobs } from './repair/heal-blobs.ts';
import { type IndexListing, loadIndexListing } from './repair/index-listing.ts';
import { statPack } from './packs/stat-pack.ts';
import { headerBlobs, readPack } from './packs/read-pack.ts';
import { ignoreGone, replaceListings } from './repair/replace-listings.ts';
import { isSameListing } from './packs/same-listing.ts';
import { findWanted, WantedBlobs } from './repair/wanted-blobs.ts';
import { transferBlobs } from './packs/transfer.ts';
import type { AffectedFile } from './trees/affected-files.ts';
import type { PhaseMonitor } from '../base/monitor.ts';

/** Which packs are repaired, where lost blobs may be found, and where damaged bytes are kept. */
export interface PackRepairRequest {
  readonly packs: readonly Id[];
  readonly sources: BlobSources;
  /**
   * Keeps the bytes of a damaged pack for people, before anything is changed. What it threw ends the repair.
   * @returns where they are
   */
  keep(id: Id, bytes: Uint8Array): Promise<string>;
}

/** What became of the packs. Nothing is lost if `lostCount` is 0. */
export interface PackRepairResult {
  /** Packs that their parity healed: they are again what their names say. */
  readonly healedPacks: readonly { readonly id: Id; readonly keptAt: string | undefined }[];
  /** Packs that were whole, and were left alone. */
  readonly wholePacks: readonly Id[];
  /** Packs that are no longer in the repository, and where their bytes are kept; those that were gone before have no place. */
  readonly removedPacks: readonly { readonly id: Id; readonly keptAt: string | undefined }[];
  /** Packs that the storage failed to read in part: what could be read is stored anew, and they stay. */
  readonly unreadPacks: readonly Id[];
  readonly newPacks: readonly Id[];
  /** Blobs of damaged packs that are stored anew. */
  readonly salvagedCount: number;
  /** Blobs that came from other sources. */
  readonly healedCount: number;
  /** Blobs of the packs that are in no pack any more. */
  readonly lostCount: number;
  /** What of the snapshots cannot be restored whole now, if anything was lost. */
  readonly affectedFiles: readonly AffectedFile[];
  readonly affectedSnapshots: readonly Id[];
}

/** A pack to be repaired. */
interface DamagedPack {
  readonly id: Id;
  /** Number in the index, -1 if no file lists it. */
  readonly pack: number;
  readonly isStored: boolean;
  readonly keptAt: string | undefined;
  /** What should be in it, by its header and by the index. */
  readonly blobs: readonly PackedBlob[];
  /** Why the storage does not give it whole. */
  readonly readError: unknown;
  /** What it holds, if its parity healed it: then there is nothing to salvage. */
  readonly healed: PackedBlobs | undefined;
}

/**
 * Saves what damaged packs still hold, and takes them out of the repository.
 *
 * Every blob that can be read from them is stored in new packs; what cannot is looked for in the sources. The new packs
 * are listed before the old ones are not, and these are removed last, when their bytes are kept elsewhere. A run that
 * was stopped is simply repeated: what it stored twice, prune removes.
 * @throws INDEX_DAMAGED if the index must be repaired first; what storage and `keep` throw; CANCELLED, LOCK_LOST
 */
export async function repairPacks(
  repository: Repository,
  request: PackRepairRequest,
  context: EngineContext<PhaseMonitor>,
): Promise<PackRepairResult> {
  const { monitor, signal } = context;
  monitor.phase('load index files');
  const listing = await loadIndexListing(repository, context);
  assertIndexWhole(listing);
  const order = PackOrder.of(listing.index);
  const wholePacks: Id[] = [];
  const damaged: DamagedPack[] = [];
  const healed: DamagedPack[] = [];
  monitor.phase('keep the damaged packs');
  for (const id of request.packs) {
    throwIfAborted(signal);
    const pack = await takePack(repository, { id, listing, order, request }, context);
    if (!pack) wholePacks.push(id);
    else if (pack.healed) healed.push(pack);
    else damaged.push(pack);
  }
  // Once, however often they are asked for: what cannot be read is told once.
  let loading: Promise<StoredSnapshot[]> | undefined;
  const snapshots = (): Promise<StoredSnapshot[]> =>
    (loading ??= loadSnapshots(repository, { signal, onUnreadable: tellUnreadable(monitor) }));
  const parts = { listing, order, damaged, healed, snapshots };
  const repair = new PackRepair(repository, parts, context);
  const salvaged = await repair.salvage();
  const healedCount = await repair.heal(salvaged.lost, request.sources);
  const { removed, unread } = await repair.replace(salvaged.unread);
  const lostCount = salvaged.lost.size;
  const losses =
    lostCount > 0
      ? await lossesOf(repository, await snapshots(), context)
      : { affectedFiles: [], affectedSnapshots: [] };
  return {
    wholePacks,
    healedPacks: healed.map(({ id, keptAt }) => ({ id, keptAt })),
    removedPacks: removed,
    unreadPacks: unread,
    newPacks: salvaged.newPacks,
    salvagedCount: salvaged.count,
    healedCount,
    lostCount,
    ...losses,
  };
}

/** Names what snapshots have lost. What only packs hold that are gone is lost as well. */
async function lossesOf(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext,
): ReturnType<typeof nameLosses> {
  const { signal } = context;
  const indexed = new IndexedRepository(repository, await loadIndex(repository, { signal }));
  const stored = withoutPacks(indexed, await missingPacks(indexed, { signal }), context);
  return nameLosses(stored, snapshots, context);
}

function assertIndexWhole({ damagedFiles, conflictingPacks }: IndexListing): void {
  if (damagedFiles.length + conflictingPacks.size === 0) return;
  throw new HoldfastError('INDEX_DAMAGED', {
    details: { files: damagedFiles.length, packs: conflictingPacks.size },
    hint: 'Run "holdfast repair index" first.',
  });
}

/** Reads a pack and keeps its bytes; undefined if nothing is wrong with it. */
async function takePack(
  repository: Repository,
  from: {
    readonly id: Id;
    readonly listing: IndexListing;
    readonly order: PackOrder;
    readonly request: PackRepairRequest;
  },
  context: EngineContext<PhaseMonitor>,
): Promise<DamagedPack | undefined> {
  const { signal, monitor } = context;
  const { id, listing, order, request } = from;
  const pack = listing.index.findPack(idBytes(id));
  const listed = pack < 0 ? [] : order.blobsOf(listing.index, pack);
  const none = { keptAt: undefined, readError: undefined, healed: undefined };
  const base = { id, pack, blobs: listed, ...none };
  let read: Awaited<ReturnType<typeof readPack>>;
  try {
    read = await readPack(repository, id, { signal });
  } catch (error) {
    if (!isHoldfastError(error, 'BACKEND_READ_FAILED', 'PACK_DAMAGED')) throw error;
    monitor.problem({ item: `pack ${id}`, during: 'check', error });
    return { ...base, isStored: true, readError: error };
  }
  if (!read) {
    if (pack < 0) {
      const message = 'no such pack is stored, and no index file lists it';
      throw new HoldfastError('USAGE', { message, details: { packId: id } });
    }
    const healed = await healByParity(repository, { id, bytes: new Uint8Array() }, context);
    return { ...base, isStored: false, healed };
  }
  if (read.isWhole) return undefined;
  const keptAt = await request.keep(id, read.bytes);
  const { bytes } = read;
  const healed = await healByParity(repository, { id, bytes }, context);
  const own = headerBlobs(repository, bytes);
  return { ...base, isStored: true, keptAt, blobs: [...own, ...listed], healed };
}

interface Salvaged {
  readonly count: number;
  readonly newPacks: readonly Id[];
  readonly lost: WantedBlobs;
  /** Packs of which the storage failed to read something. */
  readonly unread: ReadonlySet<Id>;
}

/** A running repair. */
class PackRepair {
  readonly #repository: Repository;
  readonly #listing: IndexListing;
  readonly #order: PackOrder;
  readonly #damaged: readonly DamagedPack[];
  readonly #healed: readonly DamagedPack[];
  readonly #snapshots: () => Promise<readonly StoredSnapshot[]>;
  readonly #context: EngineContext<PhaseMonitor>;
  readonly #writer: IndexWriter;
  readonly #target: IndexedRepository;

  constructor(
    repository: Repository,
    parts: {
      readonly listing: IndexListing;
      readonly order: PackOrder;
      readonly damaged: readonly DamagedPack[];
      readonly healed: readonly DamagedPack[];
      readonly snapshots: () => Promise<readonly StoredSnapshot[]>;
    },
    context: EngineContext<PhaseMonitor>,
  ) {
    this.#repository = repository;
    this.#listing = parts.listing;
    this.#order = parts.order;
    this.#damaged = parts.damaged;
    this.#healed = parts.healed;
    this.#snapshots = parts.snapshots;
    this.#context = context;
    this.#writer = new IndexWriter(repository, { signal: context.signal });
    this.#target = new IndexedRepository(repository, parts.listing.index);
  }

  /** Stores anew what the damaged packs still give, also what other packs list: those may be damaged as well. */
  async salvage(): Promise<Salvaged> {
    this.#context.monitor.phase('save what can be read');
    const { index, of } = this.#candidates();
    const source = new IndexedRepository(this.#repository, index);
    const wanted = Array.from({ length: index.blobCount }, (_, entry) => entry);
    const target = { indexed: this.#target, writer: this.#writer };
    const request = { source, wanted, target, again: true };
    const result = await transferBlobs(request, this.#context);
    const lost = new WantedBlobs();
    const unread = new Set<Id>();
    for (const { readError, id } of this.#damaged) if (readError !== undefined) unread.add(id);
    const leaving = result.failed.length > 0 ? await this.#leaving() : new Set<number>();
    for (const { entry, error } of result.failed) {
      const [type, id] = [index.typeOf(entry), index.idOf(entry)];
      if (!isHoldfastError(error, 'BLOB_DAMAGED', 'BLOB_NOT_FOUND')) {
        unread.add(of[index.packOf(entry)] ?? '');
      }
      if (!this.#isElsewhere(type, id, leaving)) lost.add(type, id);
    }
    return { count: result.blobCount, newPacks: result.packs, lost, unread };
  }

  /** Looks for lost blobs elsewhere; those that are found are taken off `lost`. */
  async heal(lost: WantedBlobs, sources: BlobSources): Promise<number> {
    if (lost.size === 0 || (!sources.repository && !sources.files)) return 0;
    this.#context.monitor.phase('look for lost blobs elsewhere');
    for (const size of await this.#sizesOfFilesWith(lost)) lost.fileSizes.add(size);
    const target = { indexed: this.#target, writer: this.#writer };
    return healBlobs(lost, { sources, target }, this.#context);
  }

  /** Lists the new packs, then no longer the damaged ones, and removes these. */
  async replace(
    unread: ReadonlySet<Id>,
  ): Promise<{ readonly removed: PackRepairResult['removedPacks']; readonly unread: Id[] }> {
    const { signal, monitor } = this.#context;
    monitor.phase('write the index');
    const leaving = this.#damaged.filter(({ id }) => !unread.has(id));
    const replaced = new Map<Id, PackedBlobs | undefined>();
    for (const { id, pack } of leaving) if (pack >= 0) replaced.set(id, undefined);
    for (const { id, pack, healed } of this.#healed) {
      if (!healed || this.#isListed(pack, healed)) continue;
      if (pack >= 0) replaced.set(id, healed);
      else await this.#writer.add(id, healed);
    }
    const how = { repository: this.#repository, writer: this.#writer };
    const { files } = this.#listing;
    await replaceListings(how, { damagedFiles: [], files, replaced }, { signal });
    const removed: { id: Id; keptAt: string | undefined }[] = [];
    for (const { id, isStored, keptAt } of leaving) {
      if (isStored) {
        const handle = { type: 'pack', name: id } as const;
        await this.#repository.backend.remove(handle, { signal }).catch(ignoreGone);
      } else if ((await statPack(this.#repository, id, { signal })) !== undefined) continue;
      removed.push({ id, keptAt });
    }
    const gone = removed.map(({ id }) => id);
    if (gone.length > 0) await removeParity(this.#repository, gone, { signal });
    return { removed, unread: [...unread] };
  }

  /** Whether the index says of a pack what it holds: a repair of the index may have dropped some of it. */
  #isListed(pack: number, held: PackedBlobs): boolean {
    if (pack < 0) return false;
    return isSameListing(held, this.#order.blobsOf(this.#listing.index, pack));
  }

  /** An index of what the damaged packs should hold, and their ids by number. */
  #candidates(): { readonly index: BlobIndex; readonly of: readonly Id[] } {
    const index = BlobIndex.create({ random: this.#repository.environment.random });
    const of: Id[] = [];
    for (const { id, blobs } of this.#damaged) {
      const pack = index.addPack(idBytes(id));
      of[pack] = id;
      const seen = new Set<string>();
      for (const blob of blobs) {
        const key = `${blob.type}:${toHex(blob.id)}:${blob.offset}:${blob.length}`;
        if (seen.has(key)) continue;
        seen.add(key);
        index.insert(blob.type, blob.id, { ...blob, pack });
      }
    }
    return { index, of };
  }

  /** Packs of the index that hold nothing for certain: those to be repaired, and those that are gone. */
  async #leaving(): Promise<Set<number>> {
    const { signal } = this.#context;
    const damaged = this.#damaged.map(({ pack }) => pack);
    return new Set([...damaged, ...(await missingPacks(this.#target, { signal }))]);
  }

  /** True if a pack that stays lists a blob, or one that was stored just now. */
  #isElsewhere(type: BlobType, id: Uint8Array, leaving: ReadonlySet<number>): boolean {
    const { index } = this.#target;
    return index
      .findAll(type, id)
      .some((entry) => !index.isPending(entry) && !leaving.has(index.packOf(entry)));
  }

  async #sizesOfFilesWith(lost: WantedBlobs): Promise<Iterable<number>> {
    const isLost = (type: BlobType, id: Uint8Array): boolean => lost.has(type, id);
    return (await findWanted(this.#target, await this.#snapshots(), { ...this.#context, isLost }))
      .fileSizes;
  }
}
