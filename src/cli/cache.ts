import { fromHex } from '../base/bytes.ts';
import { describeError } from '../base/errors.ts';
import { cacheDirectory } from '../platform/machine.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import type { Id } from '../repository/id.ts';
import type { IndexCacheStore } from '../repository/index-load.ts';
import type { Backend } from '../storage/backend.ts';
import { cache, type CachedBackend } from '../storage/cache.ts';
import {
  cacheAgeMsMax,
  type CacheFolder,
  listCacheFolders,
  openCacheFolder,
  removeCacheFolder,
} from '../storage/local/cache-folder.ts';
import { KnownKeys } from '../storage/local/known-keys.ts';
import type { Invocation } from './command.ts';
import { FolderIndexCache } from './index-cache-store.ts';
import { usage } from './parse.ts';
import { assertDecoded } from './raw-arguments.ts';
import { SwitchedBackend } from './switched-backend.ts';

type CacheInvocation = Pick<Invocation, 'globals' | 'variables' | 'environment' | 'output'>;

/** The folder that holds the caches of all repositories. @throws USAGE if the system has none for caches */
export function cacheBase({ globals, variables }: CacheInvocation): string {
  const base = globals.cacheDirectory ?? cacheDirectory(variables.all);
  if (base !== undefined) {
    // The folder lies below what one of these names, or is what a flag or another variable names.
    const homes = [variables.plain('HOME'), variables.plain('XDG_CACHE_HOME')];
    const home = homes.find((one) => one !== undefined && base.startsWith(one));
    assertDecoded(home ?? base, 'folder for caches');
    assertDecoded(base, 'folder for caches');
    return base;
  }
  throw usage('there is no folder for caches', 'Name one with --cache-dir, or use --no-cache.');
}

/** Removes caches that were not used for `maxAgeMs`. @returns their number */
export async function removeOldCaches(
  { environment }: CacheInvocation,
  base: string,
  maxAgeMs: number = cacheAgeMsMax,
): Promise<number> {
  const nowMs = environment.clock.wallMs();
  let count = 0;
  for (const { name, usedMs } of await listCacheFolders(base)) {
    if (nowMs - usedMs <= maxAgeMs) continue;
    await removeCacheFolder(base, name);
    count++;
  }
  return count;
}

/**
 * The local cache of one session. It can only be attached once the repository is open, for its folder is named after
 * the repository; so the storage is wrapped first and switched then.
 */
export class SessionCache {
  readonly backend: SwitchedBackend;
  readonly #invocation: CacheInvocation;
  #cached: CachedBackend | undefined;
  #folder: CacheFolder | undefined;

  constructor(storage: Backend, invocation: CacheInvocation) {
    this.backend = new SwitchedBackend(storage);
    this.#invocation = invocation;
  }

  /** Where a sealed copy of the index may be kept; undefined without a cache. */
  get indexStore(): IndexCacheStore | undefined {
    return this.#folder && new FolderIndexCache(this.#folder.path);
  }

  /** The key file that opened the repository of this location the last time, where to ask for it saves requests. */
  async knownKey(): Promise<Id | undefined> {
    return await this.#knownKeys()?.load();
  }

  /** Notes which key file opened the repository. */
  async noteKey(keyId: Id): Promise<void> {
    await this.#knownKeys()
      ?.save(keyId)
      .catch((error: unknown) => this.warn(error));
  }

  #knownKeys(): KnownKeys | undefined {
    const isFar = this.backend.localPath === undefined;
    if (this.#invocation.globals.noCache || !isFar) return undefined;
    try {
      return new KnownKeys(cacheBase(this.#invocation), this.backend.location);
    } catch {
      // That there is no folder for caches is told when one is attached.
      return undefined;
    }
  }

  /** Tells that the cache failed; the work goes on without it. */
  warn(error: unknown): void {
    const { output } = this.#invocation;
    if (output.verbosity >= 1 && !output.isJson) {
      output.errorLine(`the local cache cannot be used: ${describeError(error)}`);
    }
  }

  /** Starts to use the cache of a repository. Without one the work goes on, only slower. */
  async attach(repositoryId: string): Promise<void> {
    const { globals, output, environment } = this.#invocation;
    if (globals.noCache) return;
    try {
      const base = cacheBase(this.#invocation);
      if (globals.cleanupCache) await removeOldCaches(this.#invocation, base);
      const folder = await openCacheFolder(base, repositoryId, { environment });
      this.#folder = folder;
      // Files of a local repository can be read as fast as copies of them.
      if (this.backend.localPath !== undefined) return;
      this.#cached = cache(this.backend.current, folder.backend, {
        onProblem: (error) => this.warn(error),
      });
      this.backend.switchTo(this.#cached);
      if (folder.isNew) output.verbose(`created new cache in ${base}`);
    } catch (error) {
      this.warn(error);
    }
  }

  /** Drops cached packs that an index just loaded does not know. */
  async retainPacks(index: BlobIndex): Promise<void> {
    await this.#cached?.retainPacks((name) => {
      const id = fromHex(name);
      return id !== undefined && index.findPack(id) >= 0;
    });
  }
}
