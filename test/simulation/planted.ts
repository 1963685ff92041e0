import { ForwardingBackend } from '../../src/storage/forward.ts';
import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
} from '../../src/storage/backend.ts';
import type { Profile } from './profile.ts';

/** A mistake that a simulation must find, to show that it finds such. */
export interface Plant {
  /** Stands between every client and the storage. */
  readonly disguise?: (backend: Backend) => Backend;
  /** A power cut undoes what was stored in the last minute, though it was reported durable. */
  readonly losesStored?: true;
  /** A prune deletes what it marked as soon as it may. */
  readonly keepDeleteMs?: number;
  /** Where it shows: some of all seeds are like that. */
  readonly profile?: Partial<Profile>;
}

/** Reports index files stored before they are: a snapshot then comes before its index. */
class HastyBackend extends ForwardingBackend {
  readonly #held: (() => Promise<void>)[] = [];

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    if (handle.type === 'index') {
      const copies = parts.map((part) => part.slice());
      this.#held.push(() => this.inner.put(handle, copies, options));
      return;
    }
    await this.inner.put(handle, parts, options);
    if (handle.type === 'snapshot') for (const put of this.#held.splice(0)) await put();
  }

  override async stat(handle: FileHandle): Promise<FileStat> {
    if (handle.type !== 'index') return this.inner.stat(handle);
    return await this.inner.stat(handle).catch(() => ({ name: handle.name, sizeBytes: 0 }));
  }
}

/** Takes wrong bytes for right ones: one that is flipped on its way is stored so. */
class FlippingBackend extends ForwardingBackend {
  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    const bytes = Buffer.concat(parts);
    if (handle.type === 'pack' && handle.name < '4') bytes[7] = (bytes[7] ?? 0) ^ 1;
    await this.inner.put(handle, [bytes], options);
  }
}

/** Goes on without locks: their files are reported stored, and nobody sees them. */
class UnlockedBackend extends ForwardingBackend {
  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    if (handle.type !== 'lock') await this.inner.put(handle, parts, options);
  }

  override async stat(handle: FileHandle): Promise<FileStat> {
    if (handle.type === 'lock') return { name: handle.name, sizeBytes: 1 };
    return this.inner.stat(handle);
  }
}

/** Skips the proof before a snapshot: sees the index files that it saw first, and no others. */
class TrustingBackend extends ForwardingBackend {
  #listed: FileStat[] | undefined;

  override async *list(
    type: FileType,
    options?: CallOptions,
  ): AsyncGenerator<FileStat, void, undefined> {
    if (type !== 'index') return yield* this.inner.list(type, options);
    if (!this.#listed) {
      this.#listed = [];
      for await (const file of this.inner.list(type, options)) this.#listed.push(file);
    }
    yield* this.#listed;
  }
}

/** Reports key files stored that only this process sees. */
class KeylessBackend extends ForwardingBackend {
  readonly #own = new Map<string, Uint8Array<ArrayBuffer>>();

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    if (handle.type === 'key') this.#own.set(handle.name, new Uint8Array(Buffer.concat(parts)));
    else await this.inner.put(handle, parts, options);
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#own.get(handle.name)?.slice() ?? this.inner.get(handle, range, options);
  }
}

/** What all processes stored, as it was stored: damage is not seen by who reads that. */
const storedPacks = new Map<string, Uint8Array<ArrayBuffer>>();

/** Reads packs as they were stored, whatever became of them. */
class BlindBackend extends ForwardingBackend {
  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    await this.inner.put(handle, parts, options);
    if (handle.type !== 'pack') return;
    storedPacks.set(handle.name, new Uint8Array(Buffer.concat(parts)));
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const stored = handle.type === 'pack' ? storedPacks.get(handle.name) : undefined;
    if (!stored) return this.inner.get(handle, range, options);
    return stored.slice(range?.start ?? 0, range?.end ?? stored.byteLength);
  }
}

/** By name. */
export const planted: ReadonlyMap<string, Plant> = new Map<string, Plant>([
  ['index-last', { disguise: (backend: Backend) => new HastyBackend(backend) }],
  ['flipped-pack', { disguise: (backend: Backend) => new FlippingBackend(backend) }],
  ['not-durable', { losesStored: true }],
  ['no-locks', { disguise: (backend: Backend) => new UnlockedBackend(backend) }],
  ['no-proof', { disguise: (backend: Backend) => new TrustingBackend(backend) }],
  // Only where a listing hides a snapshot for as long as two prunes take.
  ['no-grace', { keepDeleteMs: 0, profile: { listingLagMsMax: 600_000 } }],
  ['early-key', { disguise: (backend: Backend) => new KeylessBackend(backend) }],
  [
    'blind-check',
    { disguise: (backend: Backend) => new BlindBackend(backend), profile: { damages: 4 } },
  ],
]);
