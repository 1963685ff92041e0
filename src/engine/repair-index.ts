import { storedPackSizes } from './packs/stored-packs.ts';
import { throwIfAborted } from '../base/abort.ts';
import { toHex } from '../base/bytes.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { PhaseMonitor } from '../base/monitor.ts';
import type { Id } from '../repository/id.ts';
import { IndexWriter } from '../repository/index-writer.ts';
import { type PackedBlob, PackedBlobs } from '../repository/pack.ts';
import type { Repository } from '../repository/repository.ts';
import { PackOrder } from './packs/pack-order.ts';
import type { EngineContext } from './context.ts';
import { type IndexListing, loadIndexListing } from './repair/index-listing.ts';
import { readHeader, readRemains } from './packs/read-pack.ts';
import { statPack } from './packs/stat-pack.ts';
import { type HeldBlobs, listedOf, readHeldBlobs } from './repair/held-blobs.ts';
import { replaceListings } from './repair/replace-listings.ts';
import { isSameListing } from './packs/same-listing.ts';

/** A pack whose own header decides what the index lists of it. */
interface PackToRead {
  readonly id: Id;
  readonly sizeBytes: number;
  /** Number in the index as it is; absent: no index file lists it. */
  readonly pack?: number;
  /** Read whole, whatever its header says. */
  readonly isReadWhole: boolean;
}

/** What of the storage is believed when the index is made anew. */
export interface IndexRepairOptions {
  /** Believe no index file, read every header. */
  readonly readAllPacks: boolean;
  /**
   * Which packs are read whole before the index lists what it did not list of them before. `left`, the default: all, but
   * where index files are damaged or there are none: then what is listed was listed before, most likely, and may be very
   * much. `all`: there, too. `none`: their headers are believed.
   */
  readonly readsWhole?: ReadsWhole;
}

/** Which packs are read whole: see `IndexRepairOptions.readsWhole`. */
export type ReadsWhole = 'all' | 'left' | 'none';

/** A blob that a pack should hold and that cannot be read, so that the index does not list it. */
export interface LostBlob {
  readonly pack: Id;
  readonly blob: PackedBlob;
}

/** What a repair of the index would read and change. Valid while the lock is held that it was made under. */
export interface IndexRepairPlan {
  readonly listing: IndexListing;
  readonly order: PackOrder;
  /** Packs that the index lists and that are not stored: numbers. */
  readonly missingPacks: readonly number[];
  readonly packsToRead: readonly PackToRead[];
  readonly readsWhole: ReadsWhole;
}

/** What a repair of the index changed. */
export interface IndexRepairResult {
  /** Packs whose header was read and is now listed as it is. */
  readonly addedPacks: readonly Id[];
  /** Packs that are no longer listed: gone, or without any blob that can be read. */
  readonly droppedPacks: readonly Id[];
  /** Packs that are damaged, and listed with the blobs that can still be read from them. */
  readonly damagedPacks: readonly Id[];
  /** Files in the place of packs that no index lists, and of which nothing can be read that is not stored elsewhere, too. */
  readonly unreadablePacks: readonly Id[];
  /** What headers list of damaged packs and could not be read. */
  readonly lostBlobs: readonly LostBlob[];
  /** How many of `addedPacks` are listed by their header alone. */
  readonly unreadCount: number;
  /** Damaged index files that were removed. */
  readonly removedDamagedFiles: readonly Id[];
  readonly newIndexFiles: readonly Id[];
  readonly removedIndexFiles: readonly Id[];
}

/**
 * Compares the index with the packs. Reads index files and sizes of packs, no pack.
 *
 * A pack that the listing lacks, or has in another size, is asked for by name before that counts.
 */
export async function planIndexRepair(
  repository: Repository,
  options: IndexRepairOptions,
  context: EngineContext<PhaseMonitor>,
): Promise<IndexRepairPlan> {
  const { monitor, signal } = context;
  monitor.phase('load index files');
  const listing = await loadIndexListing(repository, context);
  for (const { id, error } of listing.damagedFiles) {
    monitor.problem({ item: `index ${id}`, during: 'check', error });
  }
  monitor.phase('compare them with the packs');
  const stored = await storedPackSizes(repository, listing.index, { signal });
  const order = PackOrder.of(listing.index);
  const { readsWhole = 'left' } = options;
  const missingPacks: number[] = [];
  const packsToRead: PackToRead[] = [];
  for (const [pack, sizeBytes] of stored.sizes.entries()) {
    const id = toHex(listing.index.packId(pack));
    const isDoubtful = sizeBytes !== stored.expected[pack] || listing.conflictingPacks.has(pack);
    if (sizeBytes === undefined) missingPacks.push(pack);
    else if (isDoubtful || options.readAllPacks) {
      packsToRead.push({ id, sizeBytes, pack, isReadWhole: isDoubtful && readsWhole !== 'none' });
    }
  }
  // Packs that a prune marked wait to be deleted; where the index is not to be relied on, they are listed again.
  const mayBeMarked = !options.readAllPacks && listing.damagedFiles.length === 0;
  const isIndexWhole = listing.damagedFiles.length === 0 && listing.index.packCount > 0;
  const isReadWhole = readsWhole === 'all' || (readsWhole === 'left' && isIndexWhole);
  for (const [id, sizeBytes] of stored.others) {
    if (mayBeMarked && listing.markedPacks.has(id)) continue;
    packsToRead.push({ id, sizeBytes, isReadWhole });
  }
  const isEmpty = packsToRead.length === 0 && missingPacks.length === listing.index.packCount;
  if (isEmpty && missingPacks.length > 0 && !options.readAllPacks)
    throw noPacks(missingPacks.length);
  return { listing, order, missingPacks, packsToRead, readsWhole };
}

/**
 * Makes the index list what the packs hold. What is new is stored and confirmed before an old index file goes, so that a
 * stop at any point loses nothing, and the next run goes on.
 *
 * Of a listed pack whose header cannot be read, the blobs that can be read by the index stay listed: without
 * them files would be lost that can be restored now. What was not listed before is only once it has been read: a backup
 * would lean on it.
 * @throws what the storage throws; CANCELLED, LOCK_LOST. Index files that were stored before stay
 */
export async function executeIndexRepair(
  repository: Repository,
  plan: IndexRepairPlan,
  context: EngineContext<PhaseMonitor>,
): Promise<IndexRepairResult> {
  const repair = new IndexRepair(repository, plan, context);
  await repair.readPacks();
  return repair.rewrite();
}

/** A running repair. */
class IndexRepair {
  readonly #repository: Repository;
  readonly #plan: IndexRepairPlan;
  readonly #context: EngineContext<PhaseMonitor>;
  readonly #writer: IndexWriter;
  /** Packs of which no listing of an old file may stay, and what the new ones list of them. */
  readonly #replaced = new Map<Id, PackedBlobs | undefined>();
  readonly #addedPacks: Id[] = [];
  readonly #droppedPacks: Id[] = [];
  readonly #damagedPacks: Id[] = [];
  readonly #unreadablePacks: Id[] = [];
  readonly #lostBlobs: LostBlob[] = [];
  #unreadCount = 0;
  /** Numbers of packs that the index lists, and that are missing or yet to be read. */
  readonly #doubtful: ReadonlySet<number>;

  constructor(repository: Repository, plan: IndexRepairPlan, context: EngineContext<PhaseMonitor>) {
    this.#repository = repository;
    this.#plan = plan;
    this.#context = context;
    this.#writer = new IndexWriter(repository, { signal: context.signal });
    const read = plan.packsToRead.flatMap(({ pack }) => pack ?? []);
    this.#doubtful = new Set([...plan.missingPacks, ...read]);
    for (const pack of plan.missingPacks) this.#drop(toHex(plan.listing.index.packId(pack)));
  }

  /** Reads the packs of the plan; new listings go to new index files as they come. */
  async readPacks(): Promise<void> {
    const { packsToRead } = this.#plan;
    const { monitor, signal } = this.#context;
    if (packsToRead.length === 0) return;
    monitor.phase('read headers of packs');
    let filesDone = 0;
    const concurrency = Math.max(2, this.#repository.backend.connectionCount);
    await forEachConcurrent(packsToRead, concurrency, async (pack) => {
      throwIfAborted(signal);
      await this.#readPack(pack);
      filesDone++;
      const errorCount = this.#damagedPacks.length + this.#unreadablePacks.length;
      const totals = { filesTotal: packsToRead.length, bytesDone: 0, currentItems: [] };
      monitor.progress({ ...totals, filesDone, errorCount });
    });
  }

  /** Stores what is left to store, then removes the files that are out of date. */
  async rewrite(): Promise<IndexRepairResult> {
    const { listing } = this.#plan;
    const { monitor, signal } = this.#context;
    monitor.phase('write the index');
    const { newFiles, removedFiles } = await replaceListings(
      { repository: this.#repository, writer: this.#writer },
      { damagedFiles: listing.damagedFiles, files: listing.files, replaced: this.#replaced },
      { signal },
    );
    return {
      addedPacks: this.#addedPacks,
      droppedPacks: this.#droppedPacks,
      damagedPacks: this.#damagedPacks,
      unreadablePacks: this.#unreadablePacks,
      lostBlobs: this.#lostBlobs,
      unreadCount: this.#unreadCount,
      removedDamagedFiles: listing.damagedFiles.map(({ id }) => id),
      newIndexFiles: newFiles,
      removedIndexFiles: removedFiles,
    };
  }

  async #readPack(toRead: PackToRead): Promise<void> {
    const { pack } = toRead;
    let held: HeldBlobs;
    try {
      held = await this.#hold(toRead);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return this.#dropIfGone(toRead, error);
      if (!isHoldfastError(error, 'PACK_DAMAGED', 'RANGE_NOT_SATISFIABLE')) throw error;
      return pack === undefined
        ? this.#passOver(toRead, error)
        : this.#listRemains({ ...toRead, pack }, error);
    }
    if (pack === undefined) await this.#enter(toRead, held);
    else this.#correct({ ...toRead, pack }, held);
  }

  /** What a pack holds; read whole if that is not what the index lists of it already. */
  async #hold(toRead: PackToRead): Promise<HeldBlobs> {
    if (toRead.isReadWhole) return readHeldBlobs(this.#repository, toRead, this.#context);
    const header = await readHeader(this.#repository, toRead, this.#context);
    const { pack } = toRead;
    const isKnown = pack === undefined || this.#isListed(pack, header);
    if (isKnown || this.#plan.readsWhole === 'none') return { header };
    return readHeldBlobs(this.#repository, toRead, this.#context);
  }

  /** Lists a pack that no index file lists: only what can be read, where that was tried. */
  async #enter(toRead: PackToRead, { header, remains }: HeldBlobs): Promise<void> {
    const { id, isReadWhole } = toRead;
    const sound = remains ? PackedBlobs.from(remains.sound) : header;
    if (remains) {
      const error = this.#tellLost(id, header, remains.unread.concat(remains.lost));
      if (this.#isElsewhere(sound)) return this.#passOver(toRead, error);
      this.#tellDamaged(id, error);
    }
    this.#addedPacks.push(id);
    if (!isReadWhole) this.#unreadCount++;
    await this.#writer.add(id, sound);
  }

  /**
   * Whether nothing is lost without these: the index has each in a pack that is stored as it says. What is left of a damaged pack
   * whose blobs a repair stored anew is no gain to anybody, and makes of a sound repository one with errors.
   */
  #isElsewhere(blobs: PackedBlobs): boolean {
    const { index } = this.#plan.listing;
    for (const { type, id } of blobs.iterate()) {
      if (!index.findAll(type, id).some((entry) => !this.#doubtful.has(index.packOf(entry)))) {
        return false;
      }
    }
    return true;
  }

  /** Lists a pack as it is if the index lists it otherwise. */
  #correct(toRead: PackToRead & { readonly pack: number }, { header, remains }: HeldBlobs): void {
    const { id, pack } = toRead;
    const { listing, order } = this.#plan;
    let held = header;
    if (remains) {
      const unread = listedOf(remains.unread, order.blobsOf(listing.index, pack));
      const kept = new Set([...remains.sound, ...unread]);
      held = inOrder([...kept]);
      const lost = [...remains.unread, ...remains.lost].filter((blob) => !kept.has(blob));
      const error = this.#tellLost(id, header, lost);
      if (held.count === 0) this.#complain(id, error);
      else this.#tellDamaged(id, error);
    }
    if (this.#isListed(pack, held)) return;
    if (held.count === 0) return this.#drop(id);
    if (!remains) this.#addedPacks.push(id);
    this.#relist(id, held);
  }

  /** Whether the index lists a pack as just that. */
  #isListed(pack: number, held: PackedBlobs): boolean {
    const { listing, order } = this.#plan;
    if (listing.conflictingPacks.has(pack)) return false;
    return isSameListing(held, order.blobsOf(listing.index, pack));
  }

  #tellLost(pack: Id, header: PackedBlobs, lost: readonly PackedBlob[]): HoldfastError {
    for (const blob of lost) this.#lostBlobs.push({ pack, blob });
    return new HoldfastError('PACK_DAMAGED', {
      message:
        lost.length === 0
          ? 'the content of a pack is not what its name says'
          : `${lost.length} of ${header.count} blobs of a pack cannot be read`,
    });
  }

  #tellDamaged(id: Id, error: HoldfastError): void {
    this.#damagedPacks.push(id);
    this.#complain(id, error);
  }

  #complain(id: Id, error: HoldfastError): void {
    this.#context.monitor.problem({ item: `pack ${id}`, during: 'check', error });
  }

  #passOver({ id }: PackToRead, error: HoldfastError): void {
    this.#unreadablePacks.push(id);
    this.#complain(id, error);
  }

  /** The storage said that a pack is there, and now that it is not: asked once more before it counts as gone. */
  async #dropIfGone({ id, pack }: PackToRead, error: HoldfastError): Promise<void> {
    if ((await statPack(this.#repository, id, this.#context)) !== undefined) throw error;
    if (pack === undefined) return;
    this.#drop(id);
  }

  /** No file shall list a pack any more. */
  #drop(id: Id): void {
    this.#replaced.set(id, undefined);
    this.#droppedPacks.push(id);
  }

  /** The files shall list a pack otherwise than they do. */
  #relist(id: Id, blobs: PackedBlobs): void {
    this.#replaced.set(id, blobs);
  }

  /** Lists what can still be read of a pack that lost its header. */
  async #listRemains(
    toRead: PackToRead & { readonly pack: number },
    error: HoldfastError,
  ): Promise<void> {
    const { id, pack } = toRead;
    const { listing, order } = this.#plan;
    this.#complain(id, error);
    const blobs = PackedBlobs.from(order.blobsOf(listing.index, pack));
    const remains = await readRemains(this.#repository, { id, blobs }, this.#context);
    const kept = inOrder([...remains.sound, ...remains.unread]);
    for (const blob of remains.lost) this.#lostBlobs.push({ pack: id, blob });
    if (kept.count > 0) this.#damagedPacks.push(id);
    if (this.#isListed(pack, kept)) return;
    if (kept.count > 0) this.#relist(id, kept);
    else this.#drop(id);
  }
}

function inOrder(blobs: readonly PackedBlob[]): PackedBlobs {
  return PackedBlobs.from(blobs.toSorted((a, b) => a.offset - b.offset));
}

/** All packs gone is rather a folder that is not mounted than a loss. */
function noPacks(packCount: number): HoldfastError {
  return new HoldfastError('PACK_DAMAGED', {
    message: 'the storage has none of the packs that the index lists',
    details: { packCount },
    hint: 'Check that all of the storage is there. If all data is lost indeed, use --read-all-packs.',
  });
}
