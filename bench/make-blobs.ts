// Makes a repository of very many small blobs, all used, by two snapshots half each, in packs that hold both halves.
// Run: make-blobs.ts FOLDER BLOBS, with RESTIC_PASSWORD
import { saveSnapshot } from '../src/repository/index-test-support.ts';
import { systemEnvironment as environment } from '../src/base/environment.ts';
import { sha256 } from '../src/kernels/sha256.ts';
import { IndexWriter } from '../src/repository/index-writer.ts';
import { type BlobType, PackBuilder } from '../src/repository/pack.ts';
import { createRepository, type Repository } from '../src/repository/repository.ts';
import { localZone } from '../src/repository/time-format.ts';
import { bareNode, TreeEncoder, type TreeNode } from '../src/repository/tree.ts';
import { openBackend } from '../src/storage/open.ts';

const filesPerFolder = 50;
const blobsPerFile = 1000;
const blobSizeBytes = 64;
const time = { seconds: 1_735_689_600, nanoseconds: 0 };

/** Stores blobs one after the other. */
class BlobStore {
  readonly #repository: Repository;
  readonly #index: IndexWriter;
  readonly #builders: Record<BlobType, PackBuilder>;

  constructor(repository: Repository) {
    this.#repository = repository;
    this.#index = new IndexWriter(repository);
    const builder = (): PackBuilder =>
      new PackBuilder({
        version: 2,
        sealer: repository.sealer,
        compression: 'off',
        targetSizeBytes: repository.packSizeBytes,
        maxBlobSizeBytes: 8 << 20,
      });
    this.#builders = { data: builder(), tree: builder() };
  }

  async add(type: BlobType, bytes: Uint8Array): Promise<Uint8Array> {
    const id = sha256(bytes);
    this.#builders[type].add(type, id, bytes);
    if (this.#builders[type].isFull) await this.#store(type);
    return id;
  }

  async finish(): Promise<void> {
    for (const type of ['data', 'tree'] as const) await this.#store(type);
    await this.#index.flush();
  }

  async #store(type: BlobType): Promise<void> {
    if (this.#builders[type].blobCount === 0) return;
    const { id, bytes, blobs } = this.#builders[type].finish();
    await this.#repository.backend.put({ type: 'pack', name: id }, [bytes]);
    await this.#index.add(id, blobs);
  }
}

const [folder = '', count = '0'] = process.argv.slice(2);
const backend = await openBackend(folder, { environment });
const repository = await createRepository(backend, {
  environment,
  password: Buffer.from(process.env['RESTIC_PASSWORD'] ?? ''),
  hostname: 'bench',
  username: 'bench',
});
const store = new BlobStore(repository);
const fileCount = Math.ceil(Number(count) / blobsPerFile);
const folderCount = Math.ceil(fileCount / filesPerFolder);
const folders: [TreeNode[], TreeNode[]] = [[], []];
for (let at = 0; at < folderCount; at++) await storeFolder(at);
for (const [half, nodes] of folders.entries()) {
  const tree = await store.add('tree', encodeTree(nodes));
  await store.finish();
  await saveSnapshot(repository, {
    time: { ...time, seconds: time.seconds + half },
    tree: Buffer.from(tree).toString('hex'),
    paths: ['/made'],
    hostname: 'bench',
    username: 'bench',
    programVersion: 'bench',
  });
}
await repository.close();
await backend.close();

/** Two folders, of one snapshot each, whose blobs lie in turn. */
async function storeFolder(at: number): Promise<void> {
  const contents = Array.from({ length: filesPerFolder }, () => [] as Uint8Array[]);
  const seed = Buffer.alloc(blobSizeBytes);
  for (let i = 0; i < filesPerFolder * blobsPerFile; i++) {
    seed.writeUInt32LE(at * filesPerFolder * blobsPerFile + i);
    contents[i % filesPerFolder]?.push(await store.add('data', seed));
  }
  for (const half of [0, 1]) {
    const nodes = contents
      .map((content, i) => ({
        ...nodeOf('file', `f${String(i).padStart(4, '0')}`),
        content: Buffer.concat(content),
      }))
      .filter((_, i) => i % 2 === half);
    const subtree = await store.add('tree', encodeTree(nodes));
    folders[half === 0 ? 0 : 1].push({
      ...nodeOf('dir', `d${String(at).padStart(4, '0')}`),
      subtree,
    });
  }
}

function nodeOf(type: 'file' | 'dir', name: string): TreeNode {
  const times = { mtime: time, atime: time, ctime: time };
  return { ...bareNode, ...times, type, name: Buffer.from(name), mode: 0o644 };
}

function encodeTree(nodes: readonly TreeNode[]): Uint8Array {
  const encoder = new TreeEncoder(localZone);
  for (const node of nodes) encoder.add(node);
  return encoder.finish();
}
