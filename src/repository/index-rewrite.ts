import { toHex } from '../base/bytes.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import type { CallOptions } from '../storage/backend.ts';
import { PackedBlobs, recordWords } from './blob.ts';
import type { Id } from './id.ts';
import { DecodedIndex } from './index-decoded.ts';
import { decodeIndex, type IndexContents, type IndexedPack, marksOfFiles } from './index-file.ts';
import { indexBlobCountMax, saveIndex } from './index-writer.ts';
import { addMark, type PackMark } from './pack-marks.ts';
import type { Repository } from './repository.ts';
import { removeSurely } from './unpacked.ts';
import { throwUnopened } from './upgrade-told.ts';

/** How large index files are. */
export interface IndexFileLimits {
  /** Blobs from which on a file is full. */
  readonly fullBlobCount: number;
  /** Blobs from which on a file is cut up: more than one that became full by its last pack can have. */
  readonly oversizedBlobCount: number;
}

const limitsDefault: IndexFileLimits = {
  fullBlobCount: indexBlobCountMax,
  oversizedBlobCount: indexBlobCountMax + 409_199,
};

/** What the index files of a repository shall list, compared with what they list now. */
export interface IndexChange {
  /** Packs that no file shall list any more, as hex ids. */
  readonly removed?: ReadonlySet<Id>;
  /** Packs to list in addition. */
  readonly added?: readonly IndexedPack[];
  /** Which marks to keep; default: all. */
  readonly keepsMark?: (mark: PackMark) => boolean;
  /** Marks to make. Of several marks of a pack the latest counts. */
  readonly marks?: readonly PackMark[];
  /** Files that are not read, and removed: what they list is lost unless it is in `added`. */
  readonly dropped?: ReadonlySet<Id>;
  /** Files that the caller has read before: one that the listing lacks is asked for by name. */
  readonly known?: Iterable<Id>;
  /** Leave small files alone that nothing is to change in; default: they are joined to larger ones. */
  readonly keepsSmall?: boolean;
}

/** Who hears how far the rewriting is, and how large the new index files are. */
export interface IndexRewriteOptions extends CallOptions {
  /** Hears of index files read, and then of those removed. */
  readonly onProgress?: (step: 'read' | 'removed', done: number, total: number) => void;
  readonly limits?: IndexFileLimits;
}

/** What a rewrite did. */
export interface IndexRewrite {
  readonly stored: readonly Id[];
  readonly removed: readonly Id[];
}

/**
 * Changes what the index files list. Files without anything to change stay as they are; what others list is stored in new
 * files, all of which are confirmed before the first old one is removed. So at every instant all that shall be listed
 * is listed, and a run that was stopped is completed by the next one.
 *
 * Files that appear meanwhile are not touched. An old file is gone for certain when this returns.
 * @throws INDEX_DAMAGED, UNPACKED_DAMAGED for a file that cannot be read, or if files list different blobs of one
 *   pack; STORAGE_FULL and what the backend throws. Nothing was removed then, unless removing failed itself
 */
export async function rewriteIndex(
  repository: Repository,
  change: IndexChange,
  options: IndexRewriteOptions = {},
): Promise<IndexRewrite> {
  const rewriter = new Rewriter(repository, change, options);
  try {
    await rewriter.run();
  } catch (error) {
    await rewriter.undo();
    return await throwUnopened(repository, error, options);
  }
  await rewriter.removeOld();
  return { stored: rewriter.stored, removed: rewriter.old };
}

/** An index file as it is stored. */
interface SealedIndex {
  readonly name: Id;
  readonly sealed: Uint8Array<ArrayBuffer>;
}

/** What one index file lists. Packs are views that the next file takes the memory of. */
interface IndexContent {
  readonly name: Id;
  readonly packs: readonly IndexedPack[];
  readonly marks: readonly PackMark[];
  readonly blobCount: number;
}

class Rewriter {
  readonly #repository: Repository;
  readonly #change: IndexChange;
  readonly #options: IndexRewriteOptions;
  readonly #limits: IndexFileLimits;
  /** Packs that are listed by what was seen, with a digest of their blobs. */
  readonly #listed = new Map<Id, number>();
  /** Marks of all files but those that stay as they are. */
  readonly #marks = new Map<Id, PackMark>();
  /** Files that hold marks only. */
  readonly #markFiles: Id[] = [];
  /** What the file at hand lists. */
  readonly #decoded = new DecodedIndex();
  #areMarksNew = false;
  #pending: IndexedPack[] = [];
  #pendingBlobCount = 0;
  /** A small file without a change: it stays, unless there is something to join it with. */
  #small: IndexContent | undefined;
  readonly stored: Id[] = [];
  readonly old: Id[] = [];

  constructor(repository: Repository, change: IndexChange, options: IndexRewriteOptions) {
    this.#repository = repository;
    this.#change = change;
    this.#options = options;
    this.#limits = options.limits ?? limitsDefault;
  }

  /** Stores all new files. */
  async run(): Promise<void> {
    const { onProgress } = this.#options;
    const names: Id[] = [];
    for (const name of await this.#fileNames()) {
      if (this.#change.dropped?.has(name)) this.old.push(name);
      else names.push(name);
    }
    for (const mark of this.#change.marks ?? []) this.#addMark(mark);
    this.#areMarksNew = this.#marks.size > 0;
    for (const pack of this.#change.added ?? []) {
      this.#listed.set(toHex(pack.id), digestOf(pack.blobs));
      await this.#put(pack);
    }
    let done = 0;
    for await (const file of inOrder(names.toSorted(), (name) => this.#load(name))) {
      await this.#take(this.#open(file));
      onProgress?.('read', ++done, names.length);
    }
    if (this.#pending.length > 0) {
      await this.#joinSmall();
      await this.#storePacks();
    }
    await this.#storeMarks();
  }

  /** All files that are listed, and those that are known and still there. */
  async #fileNames(): Promise<ReadonlySet<Id>> {
    const { signal } = this.#options;
    const { backend } = this.#repository;
    const names = new Set<Id>();
    for await (const { name } of backend.list('index', { signal })) names.add(name);
    const unseen = [...(this.#change.known ?? [])].filter((name) => !names.has(name));
    await forEachConcurrent(unseen, backend.connectionCount, async (name) => {
      try {
        await backend.stat({ type: 'index', name }, { signal });
        names.add(name);
      } catch (error) {
        if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      }
    });
    return names;
  }

  /** Removes the files that the new ones stand for. */
  async removeOld(): Promise<void> {
    const { signal, onProgress } = this.#options;
    const { backend } = this.#repository;
    // What was stored may be, byte for byte, what there was.
    const stored = new Set(this.stored);
    const names = this.old.filter((name) => !stored.has(name));
    let done = 0;
    await forEachConcurrent(names, backend.connectionCount, async (name) => {
      try {
        await removeSurely(backend, { type: 'index', name }, { signal });
      } catch (error) {
        // Listed, but gone before: a listing may be old.
        if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      }
      onProgress?.('removed', ++done, names.length);
    });
  }

  /** Gives the room back that new files take, after a failure. What they list, the old files list as well. */
  async undo(): Promise<void> {
    const mayBeOnlyListing = (this.#change.added?.length ?? 0) > 0;
    if (mayBeOnlyListing) return;
    for (const name of this.stored) {
      if (this.old.includes(name)) continue;
      await this.#repository.removeUnpacked('index', name).catch(() => undefined);
    }
  }

  async #load(name: Id): Promise<SealedIndex> {
    return { name, sealed: await this.#repository.loadSealed('index', name, this.#options) };
  }

  #open({ name, sealed }: SealedIndex): IndexContent {
    const { config } = this.#repository;
    const json = this.#repository.openUnpacked('index', name, sealed);
    const decoded = this.#decoded;
    decoded.clear();
    const marks: PackMark[] = [];
    const onMark = (mark: PackMark): void => void marks.push(mark);
    try {
      decodeIndex(json, decoded, { version: config.version, onMark });
    } catch (error) {
      if (!isHoldfastError(error, 'INDEX_DAMAGED')) throw error;
      const details = { ...error.details, index: name };
      throw new HoldfastError('INDEX_DAMAGED', { message: error.message, details, cause: error });
    } finally {
      releaseBuffer(json.buffer);
    }
    const packs: IndexedPack[] = [];
    for (let pack = 0; pack < decoded.packCount; pack++) {
      const records = decoded.recordsOf(pack);
      const bytes = new Uint8Array(records.buffer, records.byteOffset, records.byteLength);
      packs.push({ id: decoded.packId(pack), blobs: new PackedBlobs(bytes) });
    }
    return { name, packs, marks, blobCount: decoded.blobCount };
  }

  async #take(content: IndexContent): Promise<void> {
    const { keepsMark, keepsSmall } = this.#change;
    const packs = content.packs.filter((pack) => this.#isToBeListed(pack));
    const marks = keepsMark ? content.marks.filter(keepsMark) : content.marks;
    const isSame = packs.length === content.packs.length && marks.length === content.marks.length;
    if (isSame && packs.length > 0) {
      const { blobCount } = content;
      const isOversized = blobCount >= this.#limits.oversizedBlobCount;
      if (!isOversized && (blobCount >= this.#limits.fullBlobCount || keepsSmall)) return;
      if (!isOversized && !this.#small && this.#pending.length === 0) {
        this.#small = { ...content, packs: content.packs.map(ownPack) };
        return;
      }
    }
    for (const mark of marks) this.#addMark(mark);
    if (isSame && packs.length === 0 && marks.length > 0) {
      this.#markFiles.push(content.name);
      return;
    }
    // Marks of a file that goes are stored anew, and so are those left of one that loses some.
    this.#areMarksNew ||= content.marks.length > 0;
    this.old.push(content.name);
    await this.#joinSmall();
    for (const pack of packs) await this.#put(ownPack(pack));
  }

  /** False for packs that are to go, and for those that a file before lists. @throws INDEX_DAMAGED */
  #isToBeListed({ id, blobs }: IndexedPack): boolean {
    const name = toHex(id);
    if (this.#change.removed?.has(name)) return false;
    const digest = digestOf(blobs);
    const known = this.#listed.get(name);
    if (known === undefined) {
      this.#listed.set(name, digest);
      return true;
    }
    if (known === digest) return false;
    throw new HoldfastError('INDEX_DAMAGED', {
      message: 'index files differ about what a pack holds',
      details: { pack: name },
      hint: 'Run "holdfast repair index", then try again.',
    });
  }

  /** Takes in the small file that waits. */
  async #joinSmall(): Promise<void> {
    const small = this.#small;
    if (!small) return;
    this.#small = undefined;
    this.old.push(small.name);
    this.#areMarksNew ||= small.marks.length > 0;
    for (const mark of small.marks) this.#addMark(mark);
    for (const pack of small.packs) await this.#put(pack);
  }

  async #put(pack: IndexedPack): Promise<void> {
    this.#pending.push(pack);
    this.#pendingBlobCount += pack.blobs.count;
    if (this.#pendingBlobCount >= this.#limits.fullBlobCount) await this.#storePacks();
  }

  async #storePacks(): Promise<void> {
    if (this.#pending.length === 0) return;
    await this.#store({ packs: this.#pending });
    this.#pending = [];
    this.#pendingBlobCount = 0;
  }

  #addMark(mark: PackMark): void {
    addMark(this.#marks, mark);
  }

  async #storeMarks(): Promise<void> {
    const areSame = !this.#areMarksNew && this.#markFiles.length < 2;
    if (areSame) return;
    this.old.push(...this.#markFiles);
    const { fullBlobCount } = this.#limits;
    for (const marks of marksOfFiles(this.#marks.values(), fullBlobCount)) {
      await this.#store({ packs: [], marks });
    }
  }

  async #store(contents: IndexContents): Promise<void> {
    this.stored.push(await saveIndex(this.#repository, contents, this.#options));
  }
}

/** A pack with memory of its own. */
function ownPack({ id, blobs }: IndexedPack): IndexedPack {
  return { id: id.slice(), blobs: new PackedBlobs(blobs.bytes.slice()) };
}

/** Files that are read ahead, as they are stored, of the one that is worked on. */
const aheadMax = 3;

/** What `load` gives for each name, in their order. */
async function* inOrder<T>(
  names: readonly Id[],
  load: (name: Id) => Promise<T>,
): AsyncGenerator<T, void, void> {
  const ahead: Promise<T>[] = [];
  for (let next = 0; next < names.length || ahead.length > 0; ) {
    const name = names[next];
    if (name !== undefined && ahead.length <= aheadMax) {
      const loading = load(name);
      // Its failure is met when it is awaited, which that of another before it leaves out.
      loading.catch(() => undefined);
      ahead.push(loading);
      next++;
      continue;
    }
    const first = ahead.shift();
    if (first) yield await first;
  }
}

/** Tells lists of blobs apart, whatever their order. */
function digestOf(blobs: PackedBlobs): number {
  const { bytes } = blobs;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  let digest = blobs.count;
  for (let word = 0; word < words.length; word += recordWords) {
    let mixed = words[word]! ^ words[word + 1]!;
    for (let at = 8; at < recordWords; at++) {
      mixed = Math.imul(mixed ^ words[word + at]!, 0x2c1b3c6d);
      mixed ^= mixed >>> 15;
    }
    digest = (digest + mixed) | 0;
  }
  return digest;
}
