import { untilAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import { fromHex } from '../../base/bytes.ts';
import { describeError } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Id } from '../../repository/id.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { PackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import { storePack } from '../../repository/parity.ts';
import type { Environment } from '../../base/environment.ts';
import type { EngineContext } from '../context.ts';
import type { PackSlots } from './pack-slots.ts';
import type { PackEvent } from './pack-event.ts';

/** How long packs on their way may take when the run ends early. */
const abandonMsMax = 3_000;

/** Stores finished packs, several at once, and enters them into the index once they are stored. */
export class PackStore {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #writer: IndexWriter | undefined;
  readonly #running = new Set<Promise<void>>();
  readonly #puts = new AbortController();
  readonly #ended = new AbortController();
  #hurry: Promise<void> | undefined;
  readonly #storedIds: Id[] = [];
  #isStopped = false;
  #failure: { readonly error: unknown } | undefined;

  /** @param writer absent in a dry run: nothing is stored then */
  constructor(repository: Repository, index: BlobIndex, writer: IndexWriter | undefined) {
    this.#repository = repository;
    this.#index = index;
    this.#writer = writer;
  }

  /** Takes a pack; its slot becomes free once it is stored or has failed, before the index hears of it. */
  take(event: PackEvent, slots: PackSlots): void {
    const { place, sizeBytes } = event;
    const bytes = typeof place === 'number' ? slots.bytesOf(place, sizeBytes) : place;
    const free = (): void => {
      if (typeof place === 'number') slots.free(place);
    };
    const holdsTrees = event.blobType === 'tree';
    const task: Promise<void> = this.#put({ id: event.id, bytes, holdsTrees })
      .finally(free)
      .then((isStored) => (isStored ? this.#enter(event) : undefined))
      .catch((error: unknown) => {
        // What was given up on the way is no failure of the storage.
        if (!this.#puts.signal.aborted) this.#failure ??= { error };
      })
      .finally(() => {
        this.#running.delete(task);
      });
    this.#running.add(task);
  }

  /** Throws the first failure so far: nothing may be built on what was not stored. */
  assertStored(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /**
   * Resolves once everything taken is stored and known to the index writer.
   * @throws as `assertStored`; CANCELLED as soon as `signal` aborts
   */
  async settled(signal: AbortSignal | undefined): Promise<void> {
    while (this.#running.size > 0) await untilAborted(Promise.all(this.#running), signal);
    this.assertStored();
  }

  /** Resolves once everything taken is stored and in index files. @throws as `settled` */
  async finish(signal: AbortSignal | undefined): Promise<void> {
    await this.settled(signal);
    await this.#writer?.flush();
  }

  /** Packs that are stored and known to the index writer. */
  get storedIds(): readonly Id[] {
    return this.#storedIds;
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** From now on nothing is stored or entered into the index. */
  stop(): void {
    this.#isStopped = true;
  }

  /** What is on its way has a few seconds from now on, and then is given up. */
  hurry({ clock }: Environment): void {
    this.#hurry ??= clock.sleep(abandonMsMax, this.#ended.signal).then(
      () => this.#puts.abort(),
      () => undefined,
    );
  }

  /**
   * Ends the work early: waits for what is on its way as long as `hurry` lets it. Never throws.
   * @param keeps enter into the index what was stored
   */
  async abandon(keeps: boolean, { environment, monitor }: EngineContext): Promise<void> {
    if (!keeps) this.stop();
    this.hurry(environment);
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#ended.abort();
    await this.#hurry;
    if (!keeps) return;
    try {
      await this.#writer?.flush();
    } catch (error) {
      monitor.note(`what was stored could not be entered into the index: ${describeError(error)}`);
    }
  }

  /** @returns false if nothing is to be stored */
  async #put(pack: Parameters<typeof storePack>[1]): Promise<boolean> {
    const { signal } = this.#puts;
    if (!this.#writer || this.#failure || this.#isStopped || signal.aborted) return false;
    const repository = this.#repository;
    await repository.storeSurely({ packId: pack.id }, () =>
      storePack(repository, pack, { signal }),
    );
    return true;
  }

  async #enter(event: PackEvent): Promise<void> {
    const packId = fromHex(event.id);
    assert(packId, 'a pack id is hex');
    const blobs = new PackedBlobs(event.blobs);
    this.#index.place(event.entries, this.#index.addPack(packId), blobs);
    // After a failure nothing may enter the index any more: the lock may be gone.
    if (this.#isStopped) return;
    await this.#writer?.add(event.id, blobs);
    this.#storedIds.push(event.id);
  }
}
