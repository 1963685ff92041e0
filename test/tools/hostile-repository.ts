import { createHash } from 'node:crypto';
import type { BlobType } from '../../src/repository/blob.ts';
import { PackedBlobs } from '../../src/repository/blob.ts';
import { encodeIndex, type IndexedPack } from '../../src/repository/index-file.ts';
import { PackBuilder } from '../../src/repository/pack.ts';
import { decodePackHeader } from '../../src/repository/pack-header.ts';
import type { Repository, UnpackedType } from '../../src/repository/repository.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { initRepository, withRepository } from './engine.ts';

/** Bytes that an attacker who has the key may put in place of good ones. */
export type Edit = (bytes: Uint8Array) => Uint8Array;

const noEdit: Edit = (bytes) => bytes;

interface MadeBlob {
  readonly id: Buffer;
  readonly bytes: Uint8Array;
}

/**
 * A repository as an attacker makes it who has the key (A2): every seal and every hash is right, and below them stands
 * whatever he likes.
 */
export class HostileRepository {
  readonly repository: Repository;
  readonly #blobs: Record<BlobType, Map<string, MadeBlob>> = { data: new Map(), tree: new Map() };

  private constructor(repository: Repository) {
    this.repository = repository;
  }

  /** A new repository; close its backend at the end. */
  static async create(location: string | Backend): Promise<HostileRepository> {
    await initRepository(location);
    return HostileRepository.open(location);
  }

  /** A repository that is there. */
  static open(location: string | Backend): Promise<HostileRepository> {
    // Kept open: closing a local backend ends nothing that is needed here.
    return withRepository(location, {}, async (repository) => new HostileRepository(repository));
  }

  /** Adds a blob; `store` writes it. @returns its id in hex */
  blob(type: BlobType, content: string | Uint8Array): string {
    const bytes = Buffer.from(content);
    const id = createHash('sha256').update(bytes).digest();
    this.#blobs[type].set(id.toString('hex'), { id, bytes });
    return id.toString('hex');
  }

  /** Adds a tree of these nodes, as JSON, in this order. */
  tree(...nodes: readonly string[]): string {
    return this.blob('tree', `{"nodes":[${nodes.join(',')}]}\n`);
  }

  /** Writes the blobs in one pack a type, and an index file that lists them; both can be edited below the seal. */
  async store(
    edits: { readonly header?: Edit; readonly index?: Edit } = {},
  ): Promise<readonly IndexedPack[]> {
    const packs: IndexedPack[] = [];
    for (const type of ['data', 'tree'] as const) {
      for (const pack of this.#build(type)) {
        const bytes = edits.header ? this.#withHeader(pack.bytes, edits.header) : pack.bytes;
        const id = await this.put('pack', bytes);
        packs.push({ id: Buffer.from(id, 'hex'), blobs: pack.blobs });
      }
    }
    await this.save('index', (edits.index ?? noEdit)(encodeIndex(packs)));
    return packs;
  }

  /** Seals a document, whatever it is, and stores it under the name of its hash. */
  save(type: UnpackedType, json: string | Uint8Array): Promise<string> {
    return this.put(type, this.repository.sealer.seal(Buffer.from(json)));
  }

  /** A snapshot of a tree. */
  snapshot(tree: string, more = '', time = '2026-01-01T00:00:00Z'): Promise<string> {
    return this.save('snapshot', `{"time":"${time}","tree":"${tree}","paths":["/made"]${more}}`);
  }

  /** Stores bytes under the name of their hash. @returns the name */
  async put(type: UnpackedType | 'pack' | 'key', bytes: Uint8Array): Promise<string> {
    const name = createHash('sha256').update(bytes).digest('hex');
    const { backend } = this.repository;
    const handle = { type, name } as const;
    await backend.put(handle, [bytes]).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'FILE_EXISTS') throw error;
    });
    return name;
  }

  /** As many packs as are needed: most often one. */
  *#build(
    type: BlobType,
  ): Generator<{ readonly bytes: Uint8Array; readonly blobs: PackedBlobs }, void, void> {
    let builder = this.#builder();
    for (const { id, bytes } of this.#blobs[type].values()) {
      if (builder.isFull) {
        yield builder.finish();
        builder = this.#builder();
      }
      builder.add(type, id, bytes);
    }
    this.#blobs[type].clear();
    if (builder.blobCount > 0) yield builder.finish();
  }

  #builder(): PackBuilder {
    return new PackBuilder({
      version: 2,
      sealer: this.repository.sealer,
      compression: 'auto',
      targetSizeBytes: 256 << 20,
      maxBlobSizeBytes: 1 << 18,
    });
  }

  #withHeader(pack: Uint8Array, edit: Edit): Uint8Array {
    const { sealer } = this.repository;
    const view = new DataView(pack.buffer, pack.byteOffset, pack.byteLength);
    const end = pack.byteLength - 4;
    const start = end - view.getUint32(end, true);
    const header = sealer.open(pack.subarray(start, end));
    decodePackHeader(header, start);
    const sealed = sealer.seal(edit(header));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(sealed.length);
    return Buffer.concat([pack.subarray(0, start), sealed, length]);
  }
}

/** A node of a tree as JSON, of any type; `more` replaces and adds fields. */
export function nodeJson(name: string, more: Readonly<Record<string, unknown>> = {}): string {
  const time = '2026-01-01T00:00:00Z';
  const times = { mtime: time, atime: time, ctime: time };
  const usual = { name, type: 'file', mode: 0o644, ...times, uid: 0, gid: 0, content: [] };
  return JSON.stringify({ ...usual, ...more });
}

/** A folder of a tree as JSON. */
export function folderJson(name: string, subtree: string): string {
  return nodeJson(name, { type: 'dir', mode: 0o755 + 2 ** 31, content: null, subtree });
}
