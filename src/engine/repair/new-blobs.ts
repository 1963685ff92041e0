import { chunkSizeBytesMax } from '../../kernels/chunk-limits.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { Id } from '../../repository/id.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { storePack } from '../../repository/parity.ts';
import { PackBuilder } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';

/** Stores single blobs in packs of their own: few, one after the other. */
export class NewBlobs {
  readonly #repository: Repository;
  readonly #writer: IndexWriter;
  readonly #options: CallOptions;
  readonly #builders = new Map<BlobType, PackBuilder>();
  readonly packs: Id[] = [];

  /** @param writer hears of the packs once they are stored; not flushed */
  constructor(repository: Repository, writer: IndexWriter, options: CallOptions) {
    this.#repository = repository;
    this.#writer = writer;
    this.#options = options;
  }

  /** Adds a blob; it is stored when its pack is full, or by `flush`. */
  async add(type: BlobType, id: Uint8Array, plain: Uint8Array): Promise<void> {
    const builder = this.#builders.get(type) ?? this.#newBuilder(type);
    builder.add(type, id, plain);
    if (builder.isFull) await this.#store(builder);
  }

  /** Resolves once all blobs are stored and with the index writer. */
  async flush(): Promise<void> {
    for (const builder of this.#builders.values()) {
      if (builder.blobCount > 0) await this.#store(builder);
    }
  }

  #newBuilder(type: BlobType): PackBuilder {
    const { config, sealer, compression, packSizeBytes } = this.#repository;
    const builder = new PackBuilder({
      version: config.version,
      sealer,
      compression,
      targetSizeBytes: packSizeBytes,
      maxBlobSizeBytes: chunkSizeBytesMax,
    });
    this.#builders.set(type, builder);
    return builder;
  }

  async #store(builder: PackBuilder): Promise<void> {
    const { id, bytes, blobs } = builder.finish();
    await storePack(this.#repository, { id, bytes }, this.#options);
    this.packs.push(id);
    await this.#writer.add(id, blobs);
  }
}
