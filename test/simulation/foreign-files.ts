import { toHex } from '../../src/base/bytes.ts';
import { isHoldfastError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Backend, FileType } from '../../src/storage/backend.ts';

type DocumentType = 'index' | 'snapshot' | 'lock';

/** Where a blob lies. */
export interface ForeignPlace {
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
  readonly isCompressed: boolean;
}

export interface ForeignBlob {
  readonly id: string;
  readonly type: 'data' | 'tree';
  readonly offset: number;
  readonly length: number;
  readonly uncompressed_length?: number;
}

export interface ForeignIndex {
  readonly packs: readonly { readonly id: string; readonly blobs: readonly ForeignBlob[] }[];
}

/** What another program knows of a repository: its files as sealed JSON, and packs as the format describes them. */
export class ForeignFiles {
  readonly backend: Backend;
  readonly #repository: Repository;

  /** @param repository for its key and its documents; nothing else of it is used */
  constructor(repository: Repository) {
    this.#repository = repository;
    this.backend = repository.backend;
  }

  async list(type: FileType): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.backend.list(type)) names.push(name);
    return names.toSorted();
  }

  async load<T>(type: DocumentType, name: string): Promise<T> {
    const json = await this.#repository.loadUnpacked(type, name);
    return JSON.parse(Buffer.from(json).toString()) as T;
  }

  /** Undefined if it is gone. */
  async tryLoad<T>(type: DocumentType, name: string): Promise<T | undefined> {
    try {
      return await this.load<T>(type, name);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Stores a document. @param onName hears its name before it is stored */
  async save(
    type: DocumentType,
    document: object,
    onName: (name: string) => void = () => {},
  ): Promise<string> {
    const sealed = this.#repository.sealer.seal(Buffer.from(JSON.stringify(document)));
    const name = toHex(sha256(sealed));
    onName(name);
    await this.backend.put({ type, name }, [sealed]);
    return name;
  }

  /** Stores blobs of one type in one pack. */
  async savePack(
    type: ForeignBlob['type'],
    plain: ReadonlyMap<string, Uint8Array>,
  ): Promise<{ readonly id: string; readonly blobs: readonly ForeignBlob[] }> {
    const { sealer } = this.#repository;
    const blobs: ForeignBlob[] = [];
    const parts: Uint8Array[] = [];
    const header: Buffer[] = [];
    let offset = 0;
    for (const [id, bytes] of plain) {
      const sealed = sealer.seal(bytes);
      const entry = Buffer.alloc(37);
      entry[0] = type === 'data' ? 0 : 1;
      entry.writeUInt32LE(sealed.byteLength, 1);
      entry.write(id, 5, 'hex');
      header.push(entry);
      blobs.push({ id, type, offset, length: sealed.byteLength });
      parts.push(sealed);
      offset += sealed.byteLength;
    }
    const sealedHeader = sealer.seal(Buffer.concat(header));
    const size = Buffer.alloc(4);
    size.writeUInt32LE(sealedHeader.byteLength);
    const pack = Buffer.concat([...parts, sealedHeader, size]);
    const id = toHex(sha256(pack));
    await this.backend.put({ type: 'pack', name: id }, [pack]);
    return { id, blobs };
  }
}
