import { assert } from '../../base/assert.ts';
import { fromHex } from '../../base/bytes.ts';
import type { CallOptions } from '../../storage/backend.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { PackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { PackEvent } from './messages.ts';
import type { PackSlots } from './pack-slots.ts';

/** Stores finished packs, several at once, and enters them into the index once they are stored. */
export class PackStore {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #writer: IndexWriter | undefined;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** @param writer absent in a dry run: nothing is stored then */
  constructor(repository: Repository, index: BlobIndex, writer: IndexWriter | undefined) {
    this.#repository = repository;
    this.#index = index;
    this.#writer = writer;
  }

  /** Takes a pack; its slot becomes free once it is stored or has failed. */
  take(event: PackEvent, slots: PackSlots, options: CallOptions): void {
    const { place, sizeBytes } = event;
    const bytes = typeof place === 'number' ? slots.bytesOf(place, sizeBytes) : place;
    const task: Promise<void> = this.#store(event, bytes, options)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#running.delete(task);
        if (typeof place === 'number') slots.free(place);
      });
    this.#running.add(task);
  }

  /** Throws the first failure so far: nothing may be built on what was not stored. */
  assertStored(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Resolves once everything taken is stored and in index files. */
  async finish(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.assertStored();
    await this.#writer?.flush();
  }

  async #store(event: PackEvent, bytes: Uint8Array, options: CallOptions): Promise<void> {
    if (!this.#writer || this.#failure) return;
    await this.#repository.backend.put({ type: 'pack', name: event.id }, [bytes], options);
    const packId = fromHex(event.id);
    assert(packId, 'a pack id is hex');
    const blobs = new PackedBlobs(event.blobs);
    const pack = this.#index.addPack(packId);
    let i = 0;
    for (const { offset, length, uncompressedLength } of blobs.iterate()) {
      const entry = event.entries[i++];
      assert(entry !== undefined, 'each blob of a pack has an index entry');
      this.#index.place(entry, { pack, offset, length, uncompressedLength });
    }
    assert(i === event.entries.length, 'each index entry of a pack has a blob');
    await this.#writer.add(event.id, blobs);
  }
}
