import { ForwardingBackend } from '../../src/storage/forward.ts';
import type {
  Backend,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  PutOptions,
} from '../../src/storage/backend.ts';

/** A mistake that a simulation must find, to show that it finds such. */
export interface Plant {
  /** Stands between every client and the storage. */
  readonly disguise?: (backend: Backend) => Backend;
  /** A power cut undoes what was stored in the last minute, though it was reported durable. */
  readonly losesStored?: true;
  /** A prune deletes what it marked as soon as it may. */
  readonly keepDeleteMs?: number;
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

/** By name. */
export const planted: ReadonlyMap<string, Plant> = new Map<string, Plant>([
  ['index-last', { disguise: (backend: Backend) => new HastyBackend(backend) }],
  ['flipped-pack', { disguise: (backend: Backend) => new FlippingBackend(backend) }],
  ['not-durable', { losesStored: true }],
  ['no-locks', { disguise: (backend: Backend) => new UnlockedBackend(backend) }],
  ['no-proof', { disguise: (backend: Backend) => new TrustingBackend(backend) }],
  ['no-grace', { keepDeleteMs: 0 }],
]);
