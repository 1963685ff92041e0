import { toHex } from '../base/bytes.ts';
import type { Timer } from '../base/clock.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { isHoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import { giveBackFreed } from '../kernels/freed-memory.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { PackedBlobs } from './blob.ts';
import { type Id, idBytes } from './id.ts';
import {
  encodeIndex,
  encodeIndexPieces,
  type IndexContents,
  type IndexedPack,
  indexSizeBytesMax,
} from './index-file.ts';
import type { Repository } from './repository.ts';
import { removedAsLeft } from './repository-guard.ts';
import { framedSizeBytesMin, frameSizeBytes } from './unpacked.ts';

/** An index file is saved when it lists this many blobs. */
export const indexBlobCountMax = 50_000;
/** An index file is saved when its first pack has waited this long. */
export const indexAgeMsMax: number = 10 * 60 * 1000;

/** How often an index writer that keeps time looks for packs that have waited too long. */
const lookMs: number = indexAgeMsMax / 4;

/** What an index writer needs of a repository. */
export type IndexTarget = Pick<
  Repository,
  'absences' | 'backend' | 'certain' | 'environment' | 'retract' | 'saveUnpacked'
>;

/** When packs are entered into an index file, and whose memory their lists are. */
export interface IndexWriterOptions extends CallOptions {
  /**
   * Packs that may wait at first, for work that must not store anything twice after a crash. Once three times as many are
   * saved, a share of what is saved may: so a crash costs few of a hundred of them, in few files of a small piece of work
   * and in no more than some hundred of a very large one.
   */
  readonly packCountMin?: number;
  /** The lists of blobs that it is given are its own: their memory is given back once they are saved. */
  readonly ownsBlobs?: boolean;
}

/** What a piece of work stored, as far as its index writer knows. */
export interface StoredByWork {
  /** Index files. */
  readonly indexIds: readonly Id[];
  /** Packs that nobody has looked for since they are listed; who has takes them out. */
  readonly unseenPacks: Set<Id>;
}

/** Share of the saved packs that may wait, beyond the first. */
const waitingShare = 1 / 24;
/** As many times `packCountMin` are the first. */
const firstFactor = 3;

/**
 * Saves index files for packs that are stored.
 *
 * Packs that no index lists look left to a prune, which removes them when it takes this work for gone. So after an absence
 * those not listed yet are looked for before anything is changed: an index must not list what is not there.
 *
 * After a failure every further call fails as well: nothing may be built on packs that no index lists.
 * @see docs/FORMAT.md#index
 */
export class IndexWriter {
  readonly #repository: IndexTarget;
  readonly #options: IndexWriterOptions;
  readonly #saving = new Set<Promise<void>>();
  readonly #savedIds: Id[] = [];
  /** What was stored, growing. */
  readonly stored: StoredByWork = { indexIds: this.#savedIds, unseenPacks: new Set<Id>() };
  readonly #unlisted = new Set<Id>();
  #packs: IndexedPack[] = [];
  #blobCount = 0;
  #savedPackCount = 0;
  #firstMs = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(repository: IndexTarget, options: IndexWriterOptions = {}) {
    this.#repository = repository;
    this.#options = options;
    repository.absences.addCheck((signal) => this.#confirm([...this.#unlisted], { signal }));
  }

  /** Index files saved so far. */
  get savedIds(): readonly Id[] {
    return this.stored.indexIds;
  }

  /** Blobs that no saved index file lists yet. */
  get pendingBlobCount(): number {
    return this.#blobCount;
  }

  /** Adds a pack that is stored. Saves an index file if it is time, and then resolves once that is stored. */
  async add(packId: Id, blobs: PackedBlobs): Promise<void> {
    this.#throwFailure();
    const nowMs = this.#repository.environment.clock.monotonicMs();
    if (this.#packs.length === 0) this.#firstMs = nowMs;
    this.#packs.push({ id: idBytes(packId), blobs });
    this.#unlisted.add(packId);
    this.stored.unseenPacks.add(packId);
    this.#blobCount += blobs.count;
    // The absence may have been between the end of its put and this call.
    if (this.#repository.absences.count > 0) await this.#confirm([packId], this.#options);
    const isOld = nowMs - this.#firstMs >= indexAgeMsMax;
    if (isOld || this.#blobCount >= indexBlobCountMax || this.#isPackCountDue()) await this.#save();
  }

  /**
   * From now on, until stopped, also saves while no pack comes: what waits for a slow source through a day must not look
   * left. What fails so, the next call throws.
   */
  keepTime(): Timer {
    const { clock } = this.#repository.environment;
    return clock.every(lookMs, () => {
      const isDue = this.#packs.length > 0 && clock.monotonicMs() - this.#firstMs >= indexAgeMsMax;
      if (isDue && !this.#failure) this.#save().catch(() => undefined);
    });
  }

  /** Resolves once nothing is being saved. Never throws. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#saving);
  }

  /** Saves what is pending, and resolves once every pack added so far is listed in a stored index file. */
  async flush(): Promise<void> {
    this.#throwFailure();
    const last = this.#packs.length > 0 ? this.#save() : undefined;
    await Promise.allSettled(this.#saving);
    await last;
    this.#throwFailure();
  }

  #isPackCountDue(): boolean {
    const { packCountMin } = this.#options;
    if (packCountMin === undefined) return false;
    const isFirst = this.#savedPackCount < firstFactor * packCountMin;
    const waitingMax = isFirst ? packCountMin : this.#savedPackCount * waitingShare;
    return this.#packs.length >= waitingMax;
  }

  #save(): Promise<void> {
    const packs = this.#packs;
    this.#savedPackCount += packs.length;
    this.#packs = [];
    this.#blobCount = 0;
    const task = this.#store(packs).finally(() => this.#saving.delete(task));
    this.#saving.add(task);
    return task;
  }

  async #store(packs: readonly IndexedPack[]): Promise<void> {
    try {
      const indexId = await saveIndex(this.#repository, { packs }, this.#options);
      await this.#assertCertain(indexId);
      this.#savedIds.push(indexId);
      for (const { id } of packs) this.#unlisted.delete(toHex(id));
      if (this.#options.ownsBlobs !== true) return;
      for (const { blobs } of packs) releaseBuffer(blobs.bytes.buffer);
      giveBackFreed();
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  /** If the packs went while their index file was on its way, that must go again: it lists what is not there. */
  async #assertCertain(id: Id): Promise<void> {
    try {
      await this.#repository.certain();
    } catch (error) {
      await this.#repository.retract('index', id).catch(() => undefined);
      throw error;
    }
  }

  /** Looks for packs. If one is gone, this and every further call fails. */
  async #confirm(packIds: readonly Id[], options: CallOptions): Promise<void> {
    const { backend } = this.#repository;
    try {
      await forEachConcurrent(packIds, backend.connectionCount, async (packId) => {
        await backend.stat({ type: 'pack', name: packId }, options).catch((error: unknown) => {
          throw isHoldfastError(error, 'FILE_NOT_FOUND') ? removedAsLeft({ packId }, error) : error;
        });
      });
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/**
 * Stores an index file. That of one pack of very small blobs has 25 MB of text, which is made and sealed piece by piece;
 * that of others is given back as soon as it is sealed.
 * @throws as `saveUnpacked`
 */
export function saveIndex(
  repository: Pick<Repository, 'saveUnpacked'>,
  contents: IndexContents,
  options: CallOptions,
): Promise<Id> {
  const sizeBytesMax = indexSizeBytesMax(contents);
  if (sizeBytesMax > framedSizeBytesMin) {
    const pieces = (): Iterable<Uint8Array> => encodeIndexPieces(contents, frameSizeBytes);
    return repository.saveUnpacked('index', { sizeBytesMax, pieces }, options);
  }
  const json = encodeIndex(contents.packs, contents.marks);
  const saved = repository.saveUnpacked('index', json, options);
  releaseBuffer(json.buffer);
  return saved;
}
