import { zstdDecompressSync } from 'node:zlib';
import { toHex } from '../../src/base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import type { Sealer } from '../../src/kernels/seal.ts';
import { enterExclusion, openStorage, openWithKnown } from './client-session.ts';
import {
  type ForeignBlob,
  ForeignFiles,
  type ForeignIndex,
  type ForeignPlace,
} from './foreign-files.ts';
import { ForeignLock, foreignUnlock } from './foreign-lock.ts';
import { type Actor, newAttempt } from './operations.ts';
import { timeText, versionOf } from './oracle.ts';
import type { PlainFile, PlainTree } from './simulated-folder.ts';

const packSizeBytes = 7_000;

interface Foreign {
  readonly actor: Actor;
  readonly files: ForeignFiles;
  readonly sealer: Sealer;
  readonly lock: ForeignLock;
}

interface ForeignTree {
  readonly nodes: readonly {
    readonly type: string;
    readonly content?: readonly string[] | null;
    readonly subtree?: string;
  }[];
}

function openAsForeign({ world, process, place }: Actor): Promise<Repository> {
  const { environment, signal } = process;
  return openWithKnown(place.keyring, (password) =>
    openRepository(openStorage(world, process, place), { environment, password, signal }),
  );
}

/** Opens the repository as another program, which knows nothing of what Holdfast adds, and locks it. */
async function withForeign<T>(
  actor: Actor,
  lock: 'shared' | 'exclusive',
  work: (foreign: Foreign) => Promise<T>,
): Promise<T> {
  const { process } = actor;
  const repository = await openAsForeign(actor);
  const files = new ForeignFiles(repository);
  const held = await ForeignLock.take(files, process, lock === 'exclusive');
  repository.addWriteGuard(() => held.admits());
  const kind = lock === 'shared' ? 'foreign' : 'exclusive';
  const leave = enterExclusion(actor.world, { place: actor.place, process, kind });
  try {
    return await work({ actor, files, sealer: repository.sealer, lock: held });
  } catch (error) {
    // Who slept amid its reading finds what it read about gone, or new, and ends: its lock was taken for left.
    await held.assertHeld();
    throw error;
  } finally {
    leave();
    await held.release();
  }
}

async function loadPlaces({ files }: Foreign): Promise<Map<string, ForeignPlace>> {
  const places = new Map<string, ForeignPlace>();
  for (const name of await files.list('index')) {
    const { packs } = await files.load<ForeignIndex>('index', name);
    for (const { id: pack, blobs } of packs) {
      for (const blob of blobs) {
        const { offset, length } = blob;
        const isCompressed = (blob.uncompressed_length ?? 0) > 0;
        places.set(`${blob.type}/${blob.id}`, { pack, offset, length, isCompressed });
      }
    }
  }
  return places;
}

/** Packs what is new, several blobs a pack, and lists it in one index file at the end. */
class ForeignWriter {
  readonly #foreign: Foreign;
  readonly #known: ReadonlyMap<string, ForeignPlace>;
  readonly #open = { data: new Map<string, Uint8Array>(), tree: new Map<string, Uint8Array>() };
  readonly #added = new Set<string>();
  readonly #packs: ForeignIndex['packs'][number][] = [];

  constructor(foreign: Foreign, known: ReadonlyMap<string, ForeignPlace>) {
    this.#foreign = foreign;
    this.#known = known;
  }

  async add(type: ForeignBlob['type'], bytes: Uint8Array): Promise<string> {
    const id = toHex(sha256(bytes));
    const key = `${type}/${id}`;
    if (this.#known.has(key) || this.#added.has(key)) return id;
    this.#added.add(key);
    this.#open[type].set(id, bytes);
    let sizeBytes = 0;
    for (const { byteLength } of this.#open[type].values()) sizeBytes += byteLength;
    if (sizeBytes > packSizeBytes) await this.#store(type);
    return id;
  }

  async finish(): Promise<void> {
    await this.#store('data');
    await this.#store('tree');
    if (this.#packs.length === 0) return;
    await this.#foreign.lock.assertHeld();
    await this.#foreign.files.save('index', { packs: this.#packs });
  }

  async #store(type: ForeignBlob['type']): Promise<void> {
    const blobs = this.#open[type];
    if (blobs.size === 0) return;
    await this.#foreign.lock.assertHeld();
    this.#packs.push(await this.#foreign.files.savePack(type, blobs));
    this.#open[type] = new Map();
  }
}

export async function runForeignBackup(actor: Actor): Promise<string> {
  const { process, world, place } = actor;
  return withForeign(actor, 'shared', async (foreign) => {
    const { files, lock } = foreign;
    const writer = new ForeignWriter(foreign, await loadPlaces(foreign));
    const attempt = newAttempt(actor, {
      beganMs: Number.NEGATIVE_INFINITY,
      isForeign: true,
    });
    const root = await saveFolder(writer, new Map([[attempt.folder, attempt.tree]]));
    await writer.finish();
    await lock.assertHeld();
    const snapshotId = await files.save('snapshot', {
      time: new Date(process.time.wallMs()).toISOString(),
      tree: root,
      paths: [`/${attempt.folder}`],
      hostname: process.machine.name,
      username: 'user',
      program_version: versionOf(attempt),
    });
    if (!process.time.isAlive) return 'ended';
    const isClean = [...attempt.tree.values()].every(({ isReadable }) => isReadable);
    place.oracle.reported(attempt, { snapshotId, isClean });
    world.note(`${process.name} stored backup ${attempt.number} ${snapshotId.slice(0, 8)}`);
    return isClean ? 'complete' : 'partial';
  });
}

/** Stores a folder of folders and files. @returns the id of its tree */
async function saveFolder(
  writer: ForeignWriter,
  entries: ReadonlyMap<string, PlainTree | PlainFile>,
): Promise<string> {
  const nodes: object[] = [];
  const names = [...entries.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  for (const name of names) {
    const entry = entries.get(name);
    if (entry instanceof Map) {
      const subtree = await saveFolder(writer, childrenOf(entry as PlainTree));
      nodes.push({ name, type: 'dir', mode: 0x800001ed, ...common(0, 2), content: null, subtree });
    } else if (entry && 'bytes' in entry && entry.isReadable) {
      const { bytes, mtimeMs, inode } = entry;
      const content = bytes.byteLength === 0 ? [] : [await writer.add('data', bytes)];
      const size = bytes.byteLength === 0 ? {} : { size: bytes.byteLength };
      nodes.push({
        name,
        type: 'file',
        mode: 0o644,
        ...common(mtimeMs, inode),
        ...size,
        links: 1,
        content,
      });
    }
  }
  return writer.add('tree', Buffer.from(`${JSON.stringify({ nodes })}\n`));
}

function common(mtimeMs: number, inode: number): object {
  const time = timeText(mtimeMs);
  return { mtime: time, atime: time, ctime: time, uid: 0, gid: 0, inode };
}

/** What is directly in a folder; of folders in it, what they hold by paths. */
function childrenOf(tree: PlainTree): Map<string, PlainTree | PlainFile> {
  const children = new Map<string, PlainTree | PlainFile>();
  const folders = new Map<string, Map<string, PlainFile>>();
  for (const [path, file] of tree) {
    const [name = '', ...rest] = path.split('/');
    if (rest.length === 0) {
      children.set(name, file);
      continue;
    }
    const folder = folders.get(name) ?? new Map<string, PlainFile>();
    folders.set(name, folder.set(rest.join('/'), file));
  }
  for (const [name, folder] of folders) children.set(name, folder);
  return children;
}

/** Removes all but the newest snapshots of each machine. */
export async function runForeignForget(actor: Actor): Promise<string> {
  const { world, place } = actor;
  return withForeign(actor, 'exclusive', async ({ files, lock }) => {
    const byHost = new Map<string, { name: string; time: string }[]>();
    for (const name of await files.list('snapshot')) {
      const { hostname = '', time } = await files.load<{ hostname?: string; time: string }>(
        'snapshot',
        name,
      );
      byHost.set(hostname, [...(byHost.get(hostname) ?? []), { name, time }]);
    }
    const keepCount = 1 + world.random.below(3);
    let count = 0;
    for (const snapshots of byHost.values()) {
      const sorted = snapshots.toSorted((a, b) => Date.parse(b.time) - Date.parse(a.time));
      for (const { name } of sorted.slice(keepCount)) {
        await lock.assertHeld();
        place.oracle.mayVanish(name);
        await files.backend.remove({ type: 'snapshot', name });
        count++;
      }
    }
    return count > 0 ? 'removed' : 'kept all';
  });
}

/** What restic's prune does, without repacking: at once, in its order, knowing nothing of marks. */
export async function runForeignPrune(actor: Actor): Promise<string> {
  return withForeign(actor, 'exclusive', async (foreign) => {
    const { files, lock } = foreign;
    const places = await loadPlaces(foreign);
    const used = await usedBlobs(foreign, places);
    const indexes = new Map<string, ForeignIndex>();
    for (const name of await files.list('index')) {
      indexes.set(name, await files.load<ForeignIndex>('index', name));
    }
    const listed = [...indexes.values()].flatMap(({ packs }) => packs);
    const isUsed = (pack: ForeignIndex['packs'][number]): boolean =>
      pack.blobs.some(({ type, id }) => used.has(`${type}/${id}`));
    const indexed = new Set(listed.map(({ id }) => id));
    const unindexed = (await files.list('pack')).filter((id) => !indexed.has(id));
    const kept = new Map(listed.filter(isUsed).map((pack) => [pack.id, pack]));
    const unused = [...indexed].filter((id) => !kept.has(id));
    for (const name of unindexed) await remove(foreign, 'pack', name);
    if (unused.length === 0) return 'nothing to remove';
    await lock.assertHeld();
    const name = kept.size > 0 ? await files.save('index', { packs: [...kept.values()] }) : '';
    for (const old of indexes.keys()) if (old !== name) await remove(foreign, 'index', old);
    for (const pack of unused) await remove(foreign, 'pack', pack);
    actor.world.reach('foreignDeleted');
    return 'removed';
  });
}

async function remove(
  { files, lock, actor }: Foreign,
  type: 'pack' | 'index',
  name: string,
): Promise<void> {
  await lock.assertHeld();
  try {
    await files.backend.remove({ type, name });
    // It does not look whether a storage did what it says, and removes the packs that such an index file lists.
    const { store, oracle } = actor.place;
    if (type === 'index' && store.has({ type, name })) oracle.keptIndex(name);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
  }
}

async function usedBlobs(
  foreign: Foreign,
  places: ReadonlyMap<string, ForeignPlace>,
): Promise<Set<string>> {
  const { files } = foreign;
  const used = new Set<string>();
  const pending: string[] = [];
  for (const name of await files.list('snapshot')) {
    const { tree } = await files.load<{ tree: string }>('snapshot', name);
    pending.push(tree);
  }
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (used.has(`tree/${id}`)) continue;
    used.add(`tree/${id}`);
    const { nodes } = await loadTree(foreign, places, id);
    for (const { content, subtree } of nodes) {
      if (subtree) pending.push(subtree);
      for (const blob of content ?? []) used.add(`data/${blob}`);
    }
  }
  for (const key of used) if (!places.has(key)) throw lost(key);
  return used;
}

async function loadTree(
  { files, sealer }: Foreign,
  places: ReadonlyMap<string, ForeignPlace>,
  id: string,
): Promise<ForeignTree> {
  const place = places.get(`tree/${id}`);
  if (!place) throw lost(`tree/${id}`);
  const range = { start: place.offset, end: place.offset + place.length };
  const opened = sealer.open(await files.backend.get({ type: 'pack', name: place.pack }, range));
  const plain = place.isCompressed ? zstdDecompressSync(opened) : opened;
  return JSON.parse(Buffer.from(plain).toString()) as ForeignTree;
}

function lost(key: string): HoldfastError {
  return new HoldfastError('BLOB_NOT_FOUND', { details: { blob: key } });
}

export async function runForeignUnlock(actor: Actor): Promise<string> {
  const { process } = actor;
  const repository = await openAsForeign(actor);
  const count = await foreignUnlock(new ForeignFiles(repository), process);
  return count > 0 ? 'removed locks' : 'nothing to remove';
}
