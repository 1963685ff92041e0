import { PackOrder } from '../packs/pack-order.ts';
import { storedPackSizes } from '../packs/stored-packs.ts';
import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type Id, idBytes } from '../../repository/id.ts';
import type { IndexedPack } from '../../repository/index-file.ts';
import { type LoadedIndex, loadMarks, loadMoreIndexFiles } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { addBareMark, type BareMark, type PackMark } from '../../repository/pack-marks.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../repository/snapshots.ts';
import { BlobMarks } from '../trees/blob-marks.ts';
import type { EngineContext } from '../context.ts';
import { collectUsedBlobs } from '../trees/used-blobs.ts';
import type { PruneMonitor, UnlistedPack } from './options.ts';

/** Where a prune gets the repository from. */
export interface PruneSource {
  readonly repository: Repository;
  /** Loads all index files; the first that cannot be used ends it. */
  readonly loadIndex: () => Promise<LoadedIndex>;
  /** Snapshots that were removed just now, and that a listing may still have. */
  readonly removedSnapshots?: ReadonlySet<Id> | undefined;
  /** Prune although there is no snapshot: then all data goes. */
  readonly allowRemoveAll?: boolean | undefined;
}

/**
 * What a prune knows of a repository: all index files, marks, snapshots and what these use, and the pack files. Grows when
 * more appears; what was seen once counts as there, so that no single listing makes anything look unused. Packs alone are
 * only there while they are: each look asks for those that a listing lacks.
 */
export class PruneState {
  readonly repository: Repository;
  readonly indexed: IndexedRepository;
  /** Sizes of the stored packs. */
  readonly stored: Map<Id, number> = new Map<Id, number>();
  readonly #source: PruneSource;
  readonly #context: EngineContext<PruneMonitor>;
  readonly #indexNames: Set<Id>;
  readonly #snapshots = new Set<Id>();
  readonly #marks = new Map<Id, BareMark>();
  /** Packs of the index that no index file lists: they are marked only. */
  readonly #onlyMarked = new Set<number>();
  /** Packs that this run deleted. */
  readonly #deleted = new Set<Id>();
  readonly used: BlobMarks;

  private constructor(
    source: PruneSource,
    loaded: LoadedIndex,
    context: EngineContext<PruneMonitor>,
  ) {
    this.#source = source;
    this.#context = context;
    this.repository = source.repository;
    this.indexed = new IndexedRepository(source.repository, loaded.index);
    this.#indexNames = new Set(loaded.names);
    this.used = new BlobMarks(loaded.index);
  }

  /** @throws what cannot be read, whatever it is: a prune must know everything; PRUNE_REFUSED */
  static async load(
    source: PruneSource,
    context: EngineContext<PruneMonitor>,
  ): Promise<PruneState> {
    const { monitor } = context;
    monitor.phase('loading all snapshots...');
    // Before the index, which then covers all they refer to.
    const snapshots = await loadUnknownSnapshots(source, new Set(), context);
    const loaded = await source.loadIndex();
    const state = new PruneState(source, loaded, context);
    await state.#takeMarks(loaded.markNames);
    monitor.phase(`finding data that is still in use for ${snapshots.length} snapshots`);
    await state.#use(snapshots);
    monitor.phase('searching used packs...');
    await state.#listPacks();
    if (snapshots.length === 0) state.#refuseWithoutSnapshots();
    return state;
  }

  /**
   * Looks again for snapshots and index files, and takes in what is new.
   * @returns whether anything was
   */
  async refresh(): Promise<boolean> {
    const { signal } = this.#context;
    const snapshots = await loadUnknownSnapshots(this.#source, this.#snapshots, this.#context);
    const names: Id[] = [];
    for await (const { name } of this.repository.backend.list('index', { signal })) {
      if (!this.#indexNames.has(name)) names.push(name);
    }
    if (names.length > 0) {
      const { index } = this.indexed;
      const { markNames } = await loadMoreIndexFiles(this.repository, index, { names, signal });
      for (const name of names) this.#indexNames.add(name);
      await this.#takeMarks(markNames);
    }
    await this.#use(snapshots);
    await this.#listPacks();
    return snapshots.length + names.length > 0;
  }

  /** Takes in index files that this run stored: what they list is in the index. */
  takeOwn(names: Iterable<Id>): void {
    for (const name of names) this.#indexNames.add(name);
  }

  /** Index files that any listing of this run showed, and its own. */
  get indexNames(): ReadonlySet<Id> {
    return this.#indexNames;
  }

  /** The marks that count, by pack id: a pack without known blobs that is listed by now is no longer one to delete. */
  get marks(): ReadonlyMap<Id, BareMark> {
    return this.#marks;
  }

  /** True for marks that say nothing: of packs that were in no index file and now are, or that are gone. */
  isVoid(mark: BareMark): boolean {
    const isListed = this.isListed(mark.id);
    return isListed ? !mark.hasBlobs : !this.stored.has(mark.id);
  }

  /** What index files must list in addition for packs that are only marked, unless they are among `going`. */
  onlyMarkedExcept(going: ReadonlySet<number>): IndexedPack[] {
    const isToBeListed = (pack: number): boolean =>
      !going.has(pack) &&
      this.isStored(pack) &&
      this.#marks.has(toHex(this.indexed.index.packId(pack)));
    return this.listingsOf([...this.#onlyMarked].filter(isToBeListed));
  }

  /** What an index file says of packs of the index. */
  listingsOf(packs: readonly number[]): IndexedPack[] {
    const { index } = this.indexed;
    if (packs.length === 0) return [];
    const order = PackOrder.ofPacks(index, packs);
    return packs.map((pack) => ({
      id: index.packId(pack),
      blobs: order.packedBlobsOf(index, pack),
    }));
  }

  /** Packs of the index that are marked. */
  markedPacks(): Set<number> {
    const packs = new Set<number>();
    for (const mark of this.#marks.values()) {
      const pack = this.indexed.index.findPack(idBytes(mark.id));
      if (pack >= 0 && !this.isVoid(mark)) packs.add(pack);
    }
    return packs;
  }

  /** Packs of the index that are not stored any more. */
  gonePacks(): Set<number> {
    const packs = new Set<number>();
    for (let pack = 0; pack < this.indexed.index.packCount; pack++) {
      if (!this.isStored(pack)) packs.add(pack);
    }
    return packs;
  }

  /** Takes in that marks were dropped, and packs deleted. */
  forget(marks: ReadonlySet<Id>, packs: ReadonlySet<Id>): void {
    for (const id of marks) this.#marks.delete(id);
    for (const id of packs) {
      this.stored.delete(id);
      this.#deleted.add(id);
    }
  }

  /** Packs of the index that are no longer to be considered: marked before, or deleted. */
  settledPacks(): Set<number> {
    const packs = this.markedPacks();
    for (const id of this.#deleted) packs.add(this.indexed.index.findPack(idBytes(id)));
    return packs;
  }

  /** Whether a pack of the index is stored. */
  isStored(pack: number): boolean {
    return this.stored.has(toHex(this.indexed.index.packId(pack)));
  }

  /** Packs that are stored and that no index file lists or marks with its blobs. */
  unlistedPacks(): UnlistedPack[] {
    const { index } = this.indexed;
    const packs: UnlistedPack[] = [];
    for (const [id, sizeBytes] of this.stored) {
      if (index.findPack(idBytes(id)) < 0) packs.push({ id, sizeBytes });
    }
    return packs;
  }

  /** Whether an index file lists the pack. */
  isListed(id: Id): boolean {
    const pack = this.indexed.index.findPack(idBytes(id));
    return pack >= 0 && !this.isOnlyMarked(pack);
  }

  /** Whether a pack of the index is in no index file, but among the marks. */
  isOnlyMarked(pack: number): boolean {
    return this.#onlyMarked.has(pack);
  }

  /**
   * A repository without snapshots is one that lost them more often than one that is to be emptied: a folder that a copy left
   * out looks like one in which nothing is. What is marked already was decided by a run that saw snapshots, or was told.
   */
  #refuseWithoutSnapshots(): void {
    if (this.#source.allowRemoveAll) return;
    const isDecided = (id: Id): boolean => {
      const mark = this.#marks.get(id);
      return mark !== undefined && !this.isVoid(mark);
    };
    const packCount = [...this.stored.keys()].filter((id) => !isDecided(id)).length;
    if (packCount > 0) throw new HoldfastError('PRUNE_REFUSED', { details: { packCount } });
  }

  async #use(snapshots: readonly StoredSnapshot[]): Promise<void> {
    await collectUsedBlobs(this.indexed, snapshots, { ...this.#context, marks: this.used });
    for (const { id } of snapshots) this.#snapshots.add(id);
  }

  /** Takes in marks; packs that are only marked get their blobs into the index, in case somebody needs them. */
  async #takeMarks(names: readonly Id[]): Promise<void> {
    const { index } = this.indexed;
    const { signal } = this.#context;
    const onMark = (mark: PackMark): void => {
      addBareMark(this.#marks, mark);
      const id = idBytes(mark.id);
      if (mark.blobs.count === 0 || index.findPack(id) >= 0) return;
      const { bytes } = mark.blobs;
      const records = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      index.addListedPack(id, records);
      this.#onlyMarked.add(index.findPack(id));
    };
    await loadMarks(this.repository, names, { signal, onMark });
  }

  async #listPacks(): Promise<void> {
    const { signal } = this.#context;
    const { index } = this.indexed;
    const options = { signal, removed: this.#deleted };
    const { sizes, others } = await storedPackSizes(this.repository, index, options);
    for (const [name, sizeBytes] of others) this.stored.set(name, sizeBytes);
    for (const [pack, sizeBytes] of sizes.entries()) {
      const id = toHex(index.packId(pack));
      // Asked for by name: of a pack that was there when this began, no copy may be deleted for its sake any more.
      if (sizeBytes === undefined) this.stored.delete(id);
      else this.stored.set(id, sizeBytes);
    }
  }
}

/** All snapshots that are not `known`. One that is listed and cannot be read ends it. */
function loadUnknownSnapshots(
  { repository, removedSnapshots }: PruneSource,
  seen: ReadonlySet<Id>,
  { signal }: EngineContext,
): Promise<StoredSnapshot[]> {
  const known = { has: (id: Id) => seen.has(id) || removedSnapshots?.has(id) === true };
  return loadSnapshots(repository, { known, signal });
}
