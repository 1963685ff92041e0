import { HoldfastError } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { EngineContext } from '../context.ts';
import { missingPacks } from '../packs/stored-packs.ts';
import { isStored } from './needed-blobs.ts';

/** Packs that the target of a copy lists but does not have whole any more, and what becomes of what they held. */
export class LostPacks {
  /** Numbers in the index of the target as it was loaded. */
  readonly packs: ReadonlySet<number>;
  readonly #index: BlobIndex;

  private constructor(index: BlobIndex, packs: ReadonlySet<number>) {
    this.#index = index;
    this.packs = packs;
  }

  /** Looks for them, and tells of them. A pack that the listing lacks is asked for by name before it counts as lost. */
  static async find(
    target: IndexedRepository,
    { monitor, signal }: EngineContext,
  ): Promise<LostPacks> {
    const packs = await missingPacks(target, { signal });
    if (packs.size > 0) {
      monitor.note(
        `${packs.size} packs that the index of the destination lists are missing or cut short: ` +
          'looking in the source for what they held',
      );
    }
    return new LostPacks(target.index, packs);
  }

  /** True if this snapshot of the target may lack something: packs are lost, or its topmost tree is. */
  isKnownToMiss({ tree }: StoredSnapshot): boolean {
    return this.packs.size > 0 || this.#index.find('tree', idBytes(tree)) < 0;
  }

  /**
   * Tells how it ended.
   * @param index of the target without these packs, and with what was stored since
   */
  tellEnd(index: BlobIndex, { monitor }: EngineContext): void {
    if (this.packs.size === 0) return;
    const count = this.#missingCount(index);
    if (count === 0) {
      monitor.note(
        'all that the lost packs of the destination held is stored again; ' +
          'there, run "holdfast repair index", then "holdfast check"',
      );
      return;
    }
    const error = new HoldfastError('PACK_DAMAGED', {
      message:
        'packs of the destination are lost, and not all that they held is in the snapshots chosen from the source; ' +
        'there, "holdfast repair index", then "holdfast check" finds out who needs it',
      details: { packs: this.packs.size, blobs: count },
    });
    monitor.problem({ item: '', during: 'scan', error });
  }

  /** Blobs of these packs that are stored nowhere else. */
  #missingCount(index: BlobIndex): number {
    const missing = new Set<number>();
    for (let entry = 0; entry < this.#index.blobCount; entry++) {
      if (!this.packs.has(this.#index.packOf(entry))) continue;
      const isThere = isStored(index, this.#index.typeOf(entry), this.#index.idOf(entry));
      if (!isThere) missing.add(this.#index.firstOf(entry));
    }
    return missing.size;
  }
}
