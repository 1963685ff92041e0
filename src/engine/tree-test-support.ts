import { systemEnvironment } from '../base/environment.ts';
import type { Problem } from '../base/monitor.ts';
import { toHex } from '../base/bytes.ts';
import { sha256 } from '../kernels/sha256.ts';
import { BlobIndex } from '../repository/blob-index.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { type BlobType, PackBuilder, PackWorkspace } from '../repository/pack.ts';
import { createRepository } from '../repository/repository.ts';
import { utcZone } from '../repository/time-format.ts';
import { bareNode, goMode, TreeEncoder, type TreeNode } from '../repository/tree.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import type { EngineContext } from './context.ts';

/** For tests: what a tree shall hold; a text is a file, an object a folder. */
export type TreeSpec = { readonly [name: string]: TreeSpec | string | Partial<TreeNode> };

const packSizes = { compression: 'auto', maxBlobSizeBytes: 1 << 17 } as const;

const time = { seconds: 1_000_000_000, nanoseconds: 5 };
const defaults = {
  ...bareNode,
  mtime: time,
  atime: time,
  ctime: time,
} as const;

/** For tests: a repository in memory into which trees are put as they are described. */
export class TreeFixture {
  readonly indexed: IndexedRepository;
  readonly backend: MemoryBackend;
  /** Problems that a walk told. */
  readonly problems: Problem[] = [];
  readonly notes: string[] = [];
  readonly #workspace = new PackWorkspace(packSizes);

  private constructor(indexed: IndexedRepository, backend: MemoryBackend) {
    this.indexed = indexed;
    this.backend = backend;
  }

  static async create(): Promise<TreeFixture> {
    const backend = new MemoryBackend();
    const repository = await createRepository(backend, {
      environment: systemEnvironment,
      password: Buffer.from('x'),
      hostname: 'host',
      username: 'user',
      scrypt: { N: 1024, r: 8, p: 1 },
    });
    return new TreeFixture(new IndexedRepository(repository, BlobIndex.create()), backend);
  }

  get context(): EngineContext {
    return {
      environment: systemEnvironment,
      monitor: {
        problem: (problem) => this.problems.push(problem),
        note: (text) => this.notes.push(text),
      },
    };
  }

  /** Stores a tree with all below it. @returns its id */
  async put(spec: TreeSpec): Promise<Uint8Array> {
    const encoder = new TreeEncoder(utcZone);
    const entries = Object.entries(spec).map(([name, value]) => ({
      name: Buffer.from(name),
      value,
    }));
    entries.sort((a, b) => Buffer.compare(a.name, b.name));
    for (const { name, value } of entries) encoder.add(await this.#node(name, value));
    return this.blob('tree', encoder.finish());
  }

  /** Stores one blob in a pack of its own, unless it is there. @returns its id */
  async blob(type: BlobType, plain: Uint8Array): Promise<Uint8Array> {
    const id = sha256(plain);
    const { repository, index } = this.indexed;
    if (index.find(type, id) >= 0) return id;
    const builder = new PackBuilder({
      version: 2,
      sealer: repository.sealer,
      ...packSizes,
      targetSizeBytes: 1 << 17,
      workspace: this.#workspace,
    });
    builder.add(type, id, plain);
    const pack = builder.finish();
    await this.backend.put({ type: 'pack', name: pack.id }, [pack.bytes]);
    const number = index.addPack(Buffer.from(pack.id, 'hex'));
    for (const blob of pack.blobs.iterate()) {
      index.insert(type, blob.id, { ...blob, pack: number });
    }
    return id;
  }

  /** Removes the pack of a blob, which then cannot be read. */
  lose(type: BlobType, id: Uint8Array): void {
    const { index } = this.indexed;
    const name = toHex(index.packId(index.packOf(index.find(type, id))));
    for (const key of this.backend.files.keys()) {
      if (key.includes(name)) this.backend.files.delete(key);
    }
  }

  async #node(name: Uint8Array, value: TreeSpec[string]): Promise<TreeNode> {
    if (typeof value === 'string') {
      const plain = Buffer.from(value);
      const content = plain.byteLength > 0 ? await this.blob('data', plain) : new Uint8Array();
      const mode = goMode('file', 0o644);
      return {
        ...defaults,
        name,
        type: 'file',
        mode,
        sizeBytes: plain.byteLength,
        links: 1,
        content,
      };
    }
    if (isNode(value)) {
      const mode = goMode(value.type ?? 'file', 0o644);
      const content = value.type === 'file' ? { content: new Uint8Array() } : {};
      return { ...defaults, ...content, mode, type: 'file', ...value, name };
    }
    const subtree = await this.put(value);
    return { ...defaults, name, type: 'dir', mode: goMode('dir', 0o755), subtree };
  }
}

function isNode(value: TreeSpec | Partial<TreeNode>): value is Partial<TreeNode> {
  return typeof (value as Partial<TreeNode>).type === 'string';
}
