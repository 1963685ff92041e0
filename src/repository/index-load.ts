import { workerModule } from '../base/worker-module.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import { WorkerPool } from '../kernels/worker-pool.ts';
import type { CallOptions, FileStat } from '../storage/backend.ts';
import { BlobIndex } from './blob-index.ts';
import type { Id } from './id.ts';
import {
  type CachedIndex,
  type IndexCacheStore,
  loadIndexCache,
  saveIndexCache,
} from './index-cache.ts';
import { DecodedIndex } from './index-decoded.ts';
import { decodeIndex, decodeIndexInto } from './index-file.ts';
import type { IndexRequest, IndexResponse, IndexWorkerData } from './index-messages.ts';
import type { PackMark } from './pack-marks.ts';
import { readings } from './readings.ts';
import type { Repository } from './repository.ts';
import { throwUnopened } from './upgrade-told.ts';

export type { IndexCacheStore } from './index-cache.ts';

/** How all index files are loaded: what to do with bad ones, with how many threads, and from which cache. */
export interface LoadIndexOptions extends CallOptions {
  /**
   * Hears of index files that cannot be used (INDEX_DAMAGED, UNPACKED_DAMAGED, FILE_NOT_FOUND); the rest is loaded.
   * Without it the first such file is thrown.
   */
  readonly onProblem?: (error: HoldfastError) => void;
  /** Keeps a sealed copy of large indexes. It is dropped when it does not fit, and its failures cost time only. */
  readonly cache?: IndexCacheStore;
  /** Hears of failures of the cache. */
  readonly onCacheProblem?: (error: unknown) => void;
  /** Threads to decode large indexes with; default: one a processor, at most 3. */
  readonly workerCount?: number;
  readonly limits?: Partial<IndexLoadLimits>;
  /** Names of index files that are there, which a listing may lack for a while. */
  readonly also?: Iterable<Id>;
}

const moduleAddress = workerModule('./index-worker.ts', import.meta.url);
/** From when on it pays to do more than the simplest thing. */
export interface IndexLoadLimits {
  /** Stored bytes of index files from which on threads decode them: one thread takes as long as those to start. */
  readonly workersSizeBytesMin: number;
  /** Blobs from which on an index is worth a cache. */
  readonly cachedBlobCountMin: number;
  /** Index files, or else blobs, that must be new since the cache was saved for it to be saved again. */
  readonly cacheNewFilesMin: number;
  readonly cacheNewBlobsMin: number;
}

const limitsDefault: IndexLoadLimits = {
  workersSizeBytesMin: 12 << 20,
  cachedBlobCountMin: 100_000,
  cacheNewFilesMin: 8,
  cacheNewBlobsMin: 20_000,
};
/** Room for new objects of a thread: there are hardly any. */
const youngHeapMiB = 4;
/** More threads would take a large index beyond 900 MiB. */
const workerCountMax = 3;
/** Times that index files may vanish while they are loaded. */
const replacedTimesMax = 3;
/** Room that is made on the mere size of files. */
const expectedBlobCountMax = 50_000_000;

/** The index files that an index was made from. */
export interface IndexFileNames {
  /** Names of the index files that were listed. */
  readonly names: ReadonlySet<Id>;
  /** Those of them that mark packs as to be deleted: see `loadMarks`. */
  readonly markNames: readonly Id[];
}

/** An index, and where it is from. */
export interface LoadedIndex extends IndexFileNames {
  readonly index: BlobIndex;
}

/** Loads all index files of a repository, as `loadIndexFiles`. */
export async function loadIndex(
  repository: Repository,
  options: LoadIndexOptions = {},
): Promise<BlobIndex> {
  return (await loadIndexFiles(repository, options)).index;
}

/**
 * Loads all index files of a repository. Packs that are marked as to be deleted are in the index if they are listed
 * besides.
 *
 * List snapshots before, so that all they refer to is in the index.
 * @throws INDEX_DAMAGED, UNPACKED_DAMAGED; what the backend throws
 */
export async function loadIndexFiles(
  repository: Repository,
  options: LoadIndexOptions = {},
): Promise<LoadedIndex> {
  const { onProblem, also = [] } = options;
  const listed = await listIndexFiles(repository, options);
  const names = new Set(listed.map(({ name }) => name));
  const unlisted = [...also].filter((name) => !names.has(name));
  let files = [...listed, ...unlisted.map((name) => ({ name, sizeBytes: 0 }))];
  for (let tries = 1; ; tries++) {
    const problems: HoldfastError[] = [];
    const tell = (problem: HoldfastError): void => void problems.push(problem);
    const passOptions = { ...options, ...(onProblem ? { onProblem: tell } : {}) };
    const isLast = tries === replacedTimesMax;
    const { loaded, instead } = await loadListed(repository, files, { ...passOptions, isLast });
    if (!instead) {
      for (const problem of problems) onProblem?.(problem);
      return loaded;
    }
    files = instead;
  }
}

/** What one reading of all listed index files gave. */
interface ListedIndex {
  readonly loaded: LoadedIndex;
  /** The files to read in their place: some that were read are gone, so that the index has what no file lists any more. */
  readonly instead: FileStat[] | undefined;
}

/** One reading: of the last, nothing is read instead, and what is gone is a problem. */
async function loadListed(
  repository: Repository,
  files: readonly FileStat[],
  options: LoadIndexOptions & { readonly isLast: boolean },
): Promise<ListedIndex> {
  const cached = await tryLoadCache(repository, files, options);
  const index = cached?.index ?? createFor(repository, files);
  const known = new Set(cached?.manifest.names);
  const newFiles = files.filter(({ name }) => !known.has(name));
  const markNames = [...(cached?.manifest.markNames ?? [])];
  const onMarks = (name: Id): void => void markNames.push(name);
  const listed = new Map(files.map((file) => [file.name, file]));
  const decodeOptions = { ...options, index, onMarks };
  const decoded = await decodeListed(repository, newFiles, { ...decodeOptions, listed });
  const { isWhole, instead } = decoded;
  const loaded = { index, names: new Set(listed.keys()), markNames };
  if (instead) return { loaded, instead };
  const newBlobCount = index.blobCount - (cached?.manifest.blobCount ?? 0);
  const limits = { ...limitsDefault, ...options.limits };
  const isNew =
    newFiles.length >= limits.cacheNewFilesMin || newBlobCount >= limits.cacheNewBlobsMin;
  if (isWhole && isNew && index.blobCount >= limits.cachedBlobCountMin) {
    await trySaveCache(
      repository,
      { index, files: [...listed.values()], cached, markNames },
      options,
    );
  }
  return { loaded, instead };
}

/** What became of the index files that were to be decoded. */
interface Decoded {
  readonly isWhole: boolean;
  readonly instead: ListedIndex['instead'];
}

/**
 * Decodes files. If some are gone before they are read, somebody is replacing index files, and what takes their place is
 * listed and read as well, unless files that were read are gone by then, too.
 * @param options.listed all files that were listed: gets the others
 */
async function decodeListed(
  repository: Repository,
  files: readonly FileStat[],
  options: DecodeOptions & { readonly listed: Map<Id, FileStat>; readonly isLast: boolean },
): Promise<Decoded> {
  const { listed } = options;
  let next = files;
  let isWhole = true;
  for (let tries = 0; ; tries++) {
    const gone: HoldfastError[] = [];
    const onGone = (_: Id, error: HoldfastError): void => void gone.push(error);
    isWhole = (await decodeFiles(repository, next, { ...options, onGone })) && isWhole;
    if (gone.length === 0) return { isWhole, instead: undefined };
    const now = await listIndexFiles(repository, options);
    next = now.filter(({ name }) => !listed.has(name));
    const names = new Set(now.map(({ name }) => name));
    const goneNames = new Set(gone.map(({ details }) => String(details['index'])));
    const unlisted = [...listed.keys()].filter((name) => !names.has(name) && !goneNames.has(name));
    const there = new Set(await indexFilesThere(repository, unlisted, options));
    const isOutdated = there.size < unlisted.length;
    const isReplaced = ![...goneNames].some((name) => names.has(name));
    if (!isReplaced || tries === replacedTimesMax || (isOutdated && options.isLast)) {
      if (!options.onProblem) throw gone[0];
      for (const error of gone) options.onProblem(error);
      return { isWhole: false, instead: undefined };
    }
    for (const name of goneNames) listed.delete(name);
    for (const name of unlisted) if (!there.has(name)) listed.delete(name);
    for (const file of next) listed.set(file.name, file);
    if (isOutdated) return { isWhole: false, instead: [...listed.values()] };
  }
}

/**
 * Those of some index files that are there. What a listing lacks is asked for by name.
 * @throws what the storage throws when it cannot tell
 */
export async function indexFilesThere(
  { backend }: Pick<Repository, 'backend'>,
  names: readonly Id[],
  { signal }: CallOptions,
): Promise<Id[]> {
  const there: Id[] = [];
  await forEachConcurrent(names, backend.connectionCount, async (name) => {
    try {
      await backend.stat({ type: 'index', name }, { signal });
      there.push(name);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  });
  return there;
}

/**
 * Adds further index files to an index.
 * @throws INDEX_DAMAGED, UNPACKED_DAMAGED, FILE_NOT_FOUND; what the backend throws. The index may have some of them then
 */
export async function loadMoreIndexFiles(
  repository: Repository,
  index: BlobIndex,
  options: { readonly names: Iterable<Id> } & CallOptions,
): Promise<{ readonly markNames: readonly Id[] }> {
  const markNames: Id[] = [];
  const onMarks = (name: Id): void => void markNames.push(name);
  const files = [...options.names].map((name) => ({ name, sizeBytes: 0 }));
  await decodeFiles(repository, files, { index, onMarks, signal: options.signal });
  return { markNames };
}

/**
 * Reads the marks of packs in some index files, one after the other: of one pack there may be several.
 * @throws INDEX_DAMAGED, UNPACKED_DAMAGED, FILE_NOT_FOUND; what the backend throws
 */
export async function loadMarks(
  repository: Pick<Repository, 'loadUnpacked' | 'config'>,
  names: Iterable<Id>,
  options: CallOptions & { readonly onMark: (mark: PackMark) => void },
): Promise<void> {
  const { version } = repository.config;
  const scratch = new DecodedIndex();
  for (const name of names) {
    const json = await repository.loadUnpacked('index', name, options);
    scratch.clear();
    decodeIndex(json, scratch, { version, onMark: options.onMark });
    releaseBuffer(json.buffer);
  }
}

/** An empty index with about the room that these files will need. */
function createFor(repository: Repository, files: readonly FileStat[]): BlobIndex {
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const blobSizeBytes = repository.config.version === 1 ? 150 : 48;
  const expectedBlobCount = Math.min(expectedBlobCountMax, Math.ceil(sizeBytes / blobSizeBytes));
  return BlobIndex.create({ random: repository.environment.random, expectedBlobCount });
}

async function listIndexFiles(
  repository: Pick<Repository, 'backend'>,
  { signal }: CallOptions,
): Promise<FileStat[]> {
  const files: FileStat[] = [];
  for await (const file of repository.backend.list('index', { signal })) files.push(file);
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function tryLoadCache(
  repository: Repository,
  files: readonly FileStat[],
  options: LoadIndexOptions,
): Promise<CachedIndex | undefined> {
  if (!options.cache) return undefined;
  const names = new Set(files.map(({ name }) => name));
  try {
    return await loadIndexCache(repository, options.cache, { names, signal: options.signal });
  } catch (error) {
    if (isHoldfastError(error, 'CANCELLED')) throw error;
    if (!isHoldfastError(error, 'SEAL_BROKEN')) options.onCacheProblem?.(error);
    return undefined;
  }
}

async function trySaveCache(
  repository: Repository,
  content: {
    readonly index: BlobIndex;
    readonly files: readonly FileStat[];
    readonly markNames: readonly Id[];
    readonly cached: CachedIndex | undefined;
  },
  options: LoadIndexOptions,
): Promise<void> {
  if (!options.cache) return;
  try {
    await saveIndexCache(repository, options.cache, {
      index: content.index,
      names: content.files.map(({ name }) => name),
      markNames: content.markNames,
      previous: content.cached?.manifest,
      signal: options.signal,
    });
  } catch (error) {
    if (isHoldfastError(error, 'CANCELLED')) throw error;
    options.onCacheProblem?.(error);
  }
}

type DecodeOptions = LoadIndexOptions & {
  readonly index: BlobIndex;
  /** Hears of a file that marks packs. */
  readonly onMarks: (name: Id) => void;
  /** Hears of a file that is gone; else that is a problem as others are. */
  readonly onGone?: (name: Id, error: HoldfastError) => void;
};

/** Adds files to the index. @returns false if one could not be used, which was then reported */
async function decodeFiles(
  repository: Repository,
  files: readonly FileStat[],
  options: DecodeOptions,
): Promise<boolean> {
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const { workersSizeBytesMin } = { ...limitsDefault, ...options.limits };
  const pool =
    sizeBytes >= workersSizeBytesMin && files.length > 1
      ? await startWorkers(repository, options)
      : undefined;
  const decode = pool
    ? (name: Id) =>
        decodeInWorker(repository, name, { ...options, pool }).catch((error: unknown) =>
          throwUnopened(repository, error, options),
        )
    : decodeHere(repository, options);
  let isWhole = true;
  try {
    await forEachConcurrent(files, repository.backend.connectionCount, async ({ name }) => {
      try {
        await decode(name);
      } catch (error) {
        const named = namedError(name, error);
        if (options.onGone && named.code === 'FILE_NOT_FOUND') options.onGone(name, named);
        else {
          isWhole = false;
          if (!options.onProblem) throw named;
          options.onProblem(named);
        }
      }
    });
  } finally {
    await pool?.close();
  }
  return isWhole;
}

function decodeHere(repository: Repository, options: DecodeOptions): (name: Id) => Promise<void> {
  const scratch = new DecodedIndex();
  const { version } = repository.config;
  return async (name) => {
    const json = await repository.loadUnpacked('index', name, { signal: options.signal });
    const { hasMarks } = decodeIndexInto(json, options.index, { version, scratch });
    releaseBuffer(json.buffer);
    if (hasMarks) options.onMarks(name);
  };
}

type IndexPool = WorkerPool<IndexRequest, IndexResponse>;

function startWorkers(repository: Repository, options: DecodeOptions): Promise<IndexPool> {
  const { masterKey, config, environment } = repository;
  const workerData: IndexWorkerData = {
    masterKey,
    share: options.index.share(),
    version: config.version,
  };
  const size =
    options.workerCount ?? Math.min(workerCountMax, globalThis.navigator.hardwareConcurrency);
  return WorkerPool.start(moduleAddress, { size, workerData, environment, youngHeapMiB });
}

async function decodeInWorker(
  repository: Repository,
  name: Id,
  options: DecodeOptions & { readonly pool: IndexPool },
): Promise<void> {
  const { pool, signal } = options;
  for (const { fresh } of readings) {
    const bytes = await repository.backend.get({ type: 'index', name }, undefined, {
      signal,
      fresh,
    });
    const request = { type: 'decode', name, bytes } as const;
    const response = await pool.run(request, [bytes.buffer], { signal });
    if (response.type === 'decoded') {
      if (response.hasMarks) options.onMarks(name);
      return;
    }
  }
  throw new HoldfastError('UNPACKED_DAMAGED', {
    message: 'an index file does not hold the bytes it is named after',
    details: { type: 'index', id: name },
  });
}

/** What to tell of a file that cannot be used. @throws `error` if the trouble is not the file's */
function namedError(id: Id, error: unknown): HoldfastError {
  const isOfFile = isHoldfastError(error, 'INDEX_DAMAGED', 'UNPACKED_DAMAGED', 'FILE_NOT_FOUND');
  const isSealed = isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN');
  if (!isOfFile && !isSealed) throw error;
  return new HoldfastError(isOfFile ? error.code : 'UNPACKED_DAMAGED', {
    message: error.message,
    details: { ...error.details, index: id },
    cause: error,
  });
}
