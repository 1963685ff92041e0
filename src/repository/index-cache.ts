import { throwIfAborted } from '../base/abort.ts';
import { toHex } from '../base/bytes.ts';
import { randomBytes } from '../base/random.ts';
import { sealOverheadBytes } from '../kernels/seal.ts';
import type { CallOptions } from '../storage/backend.ts';
import { BlobIndex, type IndexPart, indexPartWords } from './blob-index.ts';
import { BlobScratch } from './blob-scratch.ts';
import type { Id } from './id.ts';
import {
  decodeManifest,
  encodeManifest,
  type IndexCacheManifest,
  type IndexCacheSegment,
} from './index-manifest.ts';
import type { Repository } from './repository.ts';

/** A place outside the repository that keeps a few files, such as a folder. Nothing in it is ever trusted. */
export interface IndexCacheStore {
  /** The whole file, or undefined if there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Creates or replaces a file; a reader sees all of it or what was there before. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Removes a file; that it is missing is no error. */
  remove(name: string): Promise<void>;
  /** Names of all files; others than those written here may be among them. */
  list(): Promise<readonly string[]>;
}

/** A loaded cache. */
export interface CachedIndex {
  readonly index: BlobIndex;
  /** What it was made from; the next cache continues it. */
  readonly manifest: IndexCacheManifest;
}

type CachingRepository = Pick<Repository, 'config' | 'environment' | 'sealer'>;

const manifestName = 'index-manifest';
const segmentPrefix = 'index-part-';
/** Words of a full segment: 12 MiB. Whole numbers of records and of slots. */
const segmentWords: number = 3 << 20;
/** What precedes the words of a segment: its id. */
const segmentIdSizeBytes = 16;

/**
 * Loads the index as it was saved from some of the index files `names`.
 * @returns undefined if there is no cache, it is of another repository, damaged, or lists a file that is gone
 * @throws SEAL_BROKEN if it is damaged; what the store throws
 */
export async function loadIndexCache(
  repository: CachingRepository,
  store: IndexCacheStore,
  options: { readonly names: ReadonlySet<Id> } & CallOptions,
): Promise<CachedIndex | undefined> {
  const sealed = await store.read(manifestName);
  if (!sealed) return undefined;
  const manifest = decodeManifest(repository.sealer.open(sealed));
  if (!manifest || manifest.repositoryId !== repository.config.id) return undefined;
  if (!manifest.names.every((name) => options.names.has(name))) return undefined;
  const index = await loadSegments(repository, store, { manifest, signal: options.signal });
  const isWhole = index?.blobCount === manifest.blobCount && index.packCount === manifest.packCount;
  return isWhole ? { index, manifest } : undefined;
}

/** An index of all segments, or undefined if one is missing or is not the right one. */
async function loadSegments(
  repository: CachingRepository,
  store: IndexCacheStore,
  options: { readonly manifest: IndexCacheManifest } & CallOptions,
): Promise<BlobIndex | undefined> {
  const { blobCount, shape, segments } = options.manifest;
  const index = BlobIndex.create({ shape, expectedBlobCount: blobCount });
  const next: Record<IndexPart, number> = { packs: 0, blobs: 0, slots: 0 };
  const scratch = new BlobScratch(segmentIdSizeBytes + segmentWords * 4);
  let ahead = readSegment(store, segments[0]);
  for (const [number, segment] of segments.entries()) {
    throwIfAborted(options.signal);
    const bytes = await ahead;
    ahead = readSegment(store, segments[number + 1]);
    // Its failure is met when it is awaited, which a missing segment leaves out.
    ahead.catch(() => undefined);
    const words = bytes && openSegment(repository, segment, { sealed: bytes, scratch });
    if (!words) return undefined;
    index.adoptPart(segment.part, words, next[segment.part]);
    next[segment.part] += segment.count;
  }
  return next.slots === index.partCount('slots') ? index : undefined;
}

/**
 * Saves the index that was made from the index files `names`, none other, and has no pending entries. Full segments of
 * `previous`, the cache that `index` was loaded from, stay as they are.
 */
export async function saveIndexCache(
  repository: CachingRepository,
  store: IndexCacheStore,
  content: {
    readonly index: BlobIndex;
    readonly names: readonly Id[];
    /** Those of them that mark packs as to be deleted. */
    readonly markNames: readonly Id[];
    readonly previous: IndexCacheManifest | undefined;
  } & CallOptions,
): Promise<void> {
  const { index, previous } = content;
  const segments: IndexCacheSegment[] = [];
  for (const part of ['packs', 'blobs', 'slots'] as const) {
    const segmentCount = segmentWords / indexPartWords[part];
    // Records never change, so the segments that are full of them stay; slots change all over.
    const kept = (previous?.segments ?? []).filter(
      (segment) => part !== 'slots' && segment.part === part && segment.count === segmentCount,
    );
    segments.push(...kept);
    const count = index.partCount(part);
    for (let start = kept.length * segmentCount; start < count; start += segmentCount) {
      throwIfAborted(content.signal);
      const end = Math.min(count, start + segmentCount);
      const id = randomBytes(repository.environment.random, segmentIdSizeBytes);
      const words = index.copyPart(part, start, end);
      await store.write(segmentName(id), sealSegment(repository, id, words));
      segments.push({ id, part, count: end - start });
    }
  }
  const manifest = encodeManifest({
    repositoryId: repository.config.id,
    shape: index.shape(),
    blobCount: index.blobCount,
    packCount: index.packCount,
    names: content.names,
    markNames: content.markNames,
    segments,
  });
  await store.write(manifestName, repository.sealer.seal(manifest));
  await removeUnused(store, segments);
}

async function removeUnused(
  store: IndexCacheStore,
  segments: readonly IndexCacheSegment[],
): Promise<void> {
  const used = new Set(segments.map(({ id }) => segmentName(id)));
  for (const name of await store.list()) {
    if (name.startsWith(segmentPrefix) && !used.has(name)) await store.remove(name);
  }
}

function segmentName(id: Uint8Array): string {
  return `${segmentPrefix}${toHex(id)}`;
}

async function readSegment(
  store: IndexCacheStore,
  segment: IndexCacheSegment | undefined,
): Promise<Uint8Array | undefined> {
  return segment && (await store.read(segmentName(segment.id)));
}

function sealSegment(
  repository: CachingRepository,
  id: Uint8Array,
  words: Uint32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const plain = new Uint8Array(segmentIdSizeBytes + words.byteLength);
  plain.set(id);
  plain.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), segmentIdSizeBytes);
  return repository.sealer.seal(plain);
}

/** The words of a segment, in the scratch, or undefined if it is not the one that the manifest means. */
function openSegment(
  repository: CachingRepository,
  segment: IndexCacheSegment,
  content: { readonly sealed: Uint8Array; readonly scratch: BlobScratch },
): Uint32Array<ArrayBuffer> | undefined {
  const wordCount = segment.count * indexPartWords[segment.part];
  const size = segmentIdSizeBytes + wordCount * 4;
  if (content.sealed.length !== size + sealOverheadBytes) return undefined;
  const plain = content.scratch.take(size);
  repository.sealer.openInto(content.sealed, plain, 0);
  if (toHex(plain.subarray(0, segmentIdSizeBytes)) !== toHex(segment.id)) return undefined;
  return new Uint32Array(plain.buffer, segmentIdSizeBytes, wordCount);
}
