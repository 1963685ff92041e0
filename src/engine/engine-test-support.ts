import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { concatBytes, toHex } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import type { Problem } from '../base/monitor.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { removeTree } from '../platform/files.ts';
import { currentIds } from '../platform/machine.ts';
import type { BlobType } from '../repository/blob.ts';
import { encodeIndex } from '../repository/index-file.ts';
import { saveSnapshot, testRepository } from '../repository/index-test-support.ts';
import { loadIndex } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { type FinishedPack, PackBuilder } from '../repository/pack.ts';
import type { Repository } from '../repository/repository.ts';
import { type StoredSnapshot } from '../repository/snapshots.ts';
import { goMode, type NodeType, TreeEncoder, type TreeNode } from '../repository/tree.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import type { EngineContext } from './context.ts';
import type {
  RestoreItem,
  RestoreMonitor,
  RestoreOptions,
  RestoreProgress,
  RestoreResult,
} from './restore.ts';
import { restore } from './restore.ts';

/** The time of nodes that have no other. */
export const someTime: Timestamp = { seconds: 1_500_000_000, nanoseconds: 123_456_789 };

/** What is in a folder of a made-up snapshot: text is a file, an object a folder, the rest is as given. */
export interface FolderContent {
  readonly [name: string]: string | Uint8Array | FolderContent | MadeNode;
}

/** A node that is made explicitly; its name comes from where it stands. */
export class MadeNode {
  readonly more: Partial<TreeNode>;
  /** Pieces of a file, each a blob. */
  readonly pieces: readonly Uint8Array[] | undefined;

  constructor(more: Partial<TreeNode>, pieces?: readonly Uint8Array[]) {
    this.more = more;
    this.pieces = pieces;
  }
}

/** A file with this content, and whatever else its node has. */
export function madeFile(content: string | Uint8Array, more: Partial<TreeNode> = {}): MadeNode {
  const bytes = Buffer.from(content);
  return new MadeNode({ type: 'file', ...more }, bytes.byteLength === 0 ? [] : [bytes]);
}

/** A file of several blobs. */
export function madeOfPieces(
  pieces: readonly Uint8Array[],
  more: Partial<TreeNode> = {},
): MadeNode {
  return new MadeNode({ type: 'file', ...more }, pieces);
}

/** Something that is neither file nor folder. */
export function madeSpecial(type: NodeType, more: Partial<TreeNode> = {}): MadeNode {
  return new MadeNode({ type, ...more });
}

/** A symbolic link. */
export function madeLink(target: string): MadeNode {
  return madeSpecial('symlink', { linkTarget: Buffer.from(target) });
}

/** Bytes that do not compress, the same in every run. */
export function noise(sizeBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = (seed * 0x9e3779b1 + 1) >>> 0;
  for (let i = 0; i < sizeBytes; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

interface MadeBlob {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Makes snapshots that no backup would: blob by blob, in memory. */
export class SnapshotMaker {
  readonly backend: MemoryBackend = new MemoryBackend();
  readonly repository: Repository;
  /** Packs stored by `store`, in order. */
  readonly packs: FinishedPack[] = [];
  #pending: Record<BlobType, Map<string, MadeBlob>> = { data: new Map(), tree: new Map() };
  #inode = 1000;

  constructor() {
    this.repository = testRepository({ backend: this.backend });
  }

  /** Adds a blob; it is stored by the next `store`. */
  blob(type: BlobType, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const id = new Uint8Array(createHash('sha256').update(bytes).digest());
    this.#pending[type].set(toHex(id), { id, bytes });
    return id;
  }

  /** A node with everything that a backup would record. */
  node(name: string | Uint8Array, made: MadeNode): TreeNode {
    const type = made.more.type ?? 'file';
    const { uid, gid } = currentIds();
    const pieces = made.pieces ?? [];
    const content = concatBytes(pieces.map((piece) => this.blob('data', piece)));
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    return {
      name: Buffer.from(name),
      type,
      mode: goMode(type, type === 'dir' ? 0o755 : 0o644),
      mtime: someTime,
      atime: someTime,
      ctime: someTime,
      uid,
      gid,
      user: '',
      group: '',
      inode: this.#inode++,
      deviceId: 7,
      sizeBytes,
      links: 1,
      extendedAttributes: [],
      device: 0,
      ...(type === 'file' ? { content } : {}),
      ...made.more,
    };
  }

  /** A tree of nodes; they are sorted. */
  tree(nodes: readonly TreeNode[]): Uint8Array<ArrayBuffer> {
    const encoder = new TreeEncoder(() => 0);
    for (const node of nodes.toSorted((a, b) => Buffer.compare(a.name, b.name))) encoder.add(node);
    return this.blob('tree', encoder.finish());
  }

  /** A tree of JSON that no encoder would write. */
  rawTree(json: string): Uint8Array<ArrayBuffer> {
    return this.blob('tree', Buffer.from(json));
  }

  /** A folder with all that is in it. */
  folder(content: FolderContent): Uint8Array<ArrayBuffer> {
    return this.tree(Object.entries(content).map(([name, what]) => this.#entry(name, what)));
  }

  /** Stores what was added: a pack a type, and an index file that lists them. */
  async store(): Promise<FinishedPack[]> {
    const packs: FinishedPack[] = [];
    for (const type of ['data', 'tree'] as const) {
      const builder = new PackBuilder({
        version: 2,
        sealer: this.repository.sealer,
        compression: 'auto',
        targetSizeBytes: 128 << 20,
        maxBlobSizeBytes: 1 << 20,
      });
      for (const { id, bytes } of this.#pending[type].values()) builder.add(type, id, bytes);
      this.#pending[type].clear();
      if (builder.blobCount === 0) continue;
      const built = builder.finish();
      const pack = { ...built, bytes: built.bytes.slice() };
      await this.backend.put({ type: 'pack', name: pack.id }, [pack.bytes]);
      packs.push(pack);
    }
    const listed = packs.map(({ id, blobs }) => ({ id: Buffer.from(id, 'hex'), blobs }));
    if (packs.length > 0) await this.repository.saveUnpacked('index', encodeIndex(listed));
    this.packs.push(...packs);
    return packs;
  }

  /** Stores everything, and a snapshot of `tree`. */
  async snapshot(tree: Uint8Array, time: Timestamp = someTime): Promise<StoredSnapshot> {
    await this.store();
    const snapshot = { time, tree: toHex(tree), paths: ['/made'] };
    return { ...snapshot, id: await saveSnapshot(this.repository, snapshot) };
  }

  /** A snapshot of a folder. */
  snapshotOf(content: FolderContent): Promise<StoredSnapshot> {
    return this.snapshot(this.folder(content));
  }

  async indexed(): Promise<IndexedRepository> {
    return new IndexedRepository(this.repository, await loadIndex(this.repository));
  }

  #entry(name: string, what: FolderContent[string]): TreeNode {
    if (what instanceof MadeNode) return this.node(name, what);
    if (typeof what === 'string' || what instanceof Uint8Array) {
      return this.node(name, madeFile(what));
    }
    return this.node(name, madeSpecial('dir', { subtree: this.folder(what) }));
  }
}

/** A restore as tests look at it. */
export interface HeardRestore extends RestoreResult {
  /** `path: message`, in the order told. */
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  /** `action path`, sorted. */
  readonly items: readonly string[];
  readonly lastProgress: RestoreProgress | undefined;
}

/** Restores and remembers all that is said. */
export async function restoreHeard(
  indexed: IndexedRepository,
  request: {
    readonly snapshot: StoredSnapshot;
    readonly target: string;
    readonly options?: Partial<RestoreOptions>;
    /** Default true: hear of every item. */
    readonly hearsItems?: boolean;
    /** Hears each complaint as it comes. */
    readonly onComplaint?: (text: string) => void;
    readonly onProgress?: (progress: RestoreProgress) => void;
  },
  context: Partial<EngineContext> = {},
): Promise<HeardRestore> {
  const complaints: string[] = [];
  const notes: string[] = [];
  const items: string[] = [];
  let lastProgress: RestoreProgress | undefined;
  const item = ({ action, path: at, isDirectory }: RestoreItem): void => {
    items.push(`${action} ${Buffer.from(at).toString('latin1')}${isDirectory ? '/' : ''}`);
  };
  const { snapshot, target, options, hearsItems = true } = request;
  const monitor: RestoreMonitor = {
    problem: ({ item: at, error }: Problem) => {
      const text = `${at}: ${describeError(error)}`;
      complaints.push(text);
      request.onComplaint?.(text);
    },
    note: (text) => notes.push(text),
    progress: (progress) => {
      lastProgress = progress;
      request.onProgress?.(progress);
    },
    ...(hearsItems ? { item } : {}),
  };
  const result = await restore(
    indexed,
    {
      snapshot,
      target: Buffer.from(target),
      options: { overwrite: 'always', workerCount: 1, ...options },
    },
    { environment: { ...systemEnvironment, isSingleThreaded: true }, ...context, monitor },
  );
  return { ...result, complaints, notes, items: items.toSorted(), lastProgress };
}

/** A folder for one test file, on tmpfs where there is one. */
export interface TestFolder {
  readonly path: string;
  /** A path below it that does not exist yet. */
  fresh(): string;
  remove(): void;
}

export function testFolder(): TestFolder {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const root = mkdtempSync(path.join(base, 'holdfast-engine-'));
  let count = 0;
  return {
    path: root,
    fresh: () => path.join(root, String(count++)),
    remove: () => removeTree(Buffer.from(root)),
  };
}
