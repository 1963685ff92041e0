import { fromHex } from '../base/bytes.ts';
import type { Environment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
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
import { FolderIndexCache } from './index-cache-store.ts';
import { SwitchedBackend } from './switched-backend.ts';

/** Where local caches are, and who hears of them. */
export interface CacheSettings {
  /** The folder of all caches. @throws USAGE if there is none: the work goes on without */
  base(): string;
  /** Remove old caches on the way. */
  readonly cleanUp: boolean;
  /** Hears remarks. */
  tell(text: string): void;
  /** Hears that the cache cannot be used. */
  warn(text: string): void;
}

/** Removes caches that were not used for `maxAgeMs`. @returns their number */
export async function removeOldCaches(
  { environment }: { readonly environment: Environment },
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
  readonly #settings: CacheSettings | undefined;
  readonly #environment: Environment;
  #cached: CachedBackend | undefined;
  #folder: CacheFolder | undefined;

  /** @param settings undefined: no cache is used */
  constructor(storage: Backend, settings: CacheSettings | undefined, environment: Environment) {
    this.backend = new SwitchedBackend(storage);
    this.#settings = settings;
    this.#environment = environment;
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
    if (!this.#settings || !isFar) return undefined;
    try {
      return new KnownKeys(this.#settings.base(), this.backend.location);
    } catch {
      // That there is no folder for caches is told when one is attached.
      return undefined;
    }
  }

  /** Tells that the cache failed; the work goes on without it. */
  warn(error: unknown): void {
    this.#settings?.warn(`the local cache cannot be used: ${describeError(error)}`);
  }

  /** Starts to use the cache of a repository. Without one the work goes on, only slower. */
  async attach(repositoryId: string): Promise<void> {
    const settings = this.#settings;
    if (!settings) return;
    const environment = this.#environment;
    try {
      const base = settings.base();
      if (settings.cleanUp) await removeOldCaches({ environment }, base);
      const folder = await openCacheFolder(base, repositoryId, { environment });
      this.#folder = folder;
      // Files of a local repository can be read as fast as copies of them.
      if (this.backend.localPath !== undefined) return;
      this.#cached = cache(this.backend.current, folder.backend, {
        onProblem: (error) => this.warn(error),
      });
      this.backend.switchTo(this.#cached);
      if (folder.isNew) settings.tell(`created new cache in ${base}`);
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
