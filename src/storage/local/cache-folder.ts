import { promises as fs } from 'node:fs';
import path from 'node:path';

import { assert } from '../../base/assert.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type Backend, isFileName } from '../backend.ts';
import { setTimes, status } from './files.ts';
import { makeFolders } from './folders.ts';
import { cacheLayout } from '../layout.ts';
import { LocalBackend } from './local-backend.ts';
import { translate } from './translate.ts';
import { ignore, type Modes } from './write-file.ts';

/** One repository's part of a local cache. */
export interface CacheFolder {
  readonly path: string;
  /** Snapshots, index files and packs; nothing else can be stored there. */
  readonly backend: Backend;
  /** It was made by this call: restic says so once. */
  readonly isNew: boolean;
}

/** What is known of a cache without opening it. */
export interface CacheSummary {
  /** Repository id, or the name of a temporary cache (`restic-check-cache-…`). */
  readonly name: string;
  readonly path: string;
  /** When it was last opened: milliseconds since 1970. */
  readonly usedMs: number;
  readonly sizeBytes: number;
}

/** Caches not opened for this long are old. */
export const cacheAgeMsMax: number = 30 * 24 * 3600 * 1000;

const tag = 'Signature: 8a477f597d28d172789f06886806bc55\n';
const version = 1;
const cacheModes: Modes = { folder: 0o700, writing: 0o600, final: 0o600 };
const namePattern = /^(?:[0-9a-f]{64}|restic-check-cache-[0-9]+)$/;

/**
 * Opens the cache of one repository below `base`, and makes both where missing. Restic may use it at the same time.
 *
 * @throws FORMAT_UNSUPPORTED if a newer program wrote it, PERMISSION_DENIED, STORAGE_FULL, …
 * @see docs/FORMAT.md#cache
 */
export async function openCacheFolder(
  base: string,
  repositoryId: string,
  options: { readonly environment: Environment },
): Promise<CacheFolder> {
  assert(isFileName(repositoryId), 'a repository id is 64 lower-case hex digits');
  const folder = path.join(base, repositoryId);
  try {
    await makeFolders(base, { mode: cacheModes.folder, durable: false });
    await writeIfMissing(path.join(base, 'CACHEDIR.TAG'), tag);
    const isNew = await makeFolders(folder, { mode: cacheModes.folder, durable: false });
    await checkVersion(path.join(folder, 'version'));
    const nowSeconds = options.environment.clock.wallMs() / 1000;
    await setTimes(folder, nowSeconds, nowSeconds);
    const backend = new LocalBackend(folder, {
      environment: options.environment,
      layout: cacheLayout,
      modes: cacheModes,
      durable: false,
      temporaryName: (_, number) => `tmp-${number}`,
    });
    return { path: folder, backend, isNew };
  } catch (error) {
    throw translate(error, { action: 'write', path: folder });
  }
}

/** The caches below `base`, those of restic included; none if it is missing. */
export async function listCacheFolders(base: string): Promise<CacheSummary[]> {
  try {
    const names = (await fs.readdir(base).catch(ignore('ENOENT'))) ?? [];
    const found: CacheSummary[] = [];
    for (const name of names.filter((candidate) => namePattern.test(candidate))) {
      const folder = path.join(base, name);
      const entry = await status(folder).catch(ignore('ENOENT'));
      if (!entry?.isDirectory()) continue;
      found.push({
        name,
        path: folder,
        usedMs: entry.mtimeMs,
        sizeBytes: await treeSizeBytes(folder),
      });
    }
    return found;
  } catch (error) {
    throw translate(error, { action: 'read', path: base });
  }
}

/** Removes one cache whole. Who has it open goes on without it. */
export async function removeCacheFolder(base: string, name: string): Promise<void> {
  assert(namePattern.test(name), 'a cache is named after its repository');
  const folder = path.join(base, name);
  try {
    await fs.rm(folder, { recursive: true, force: true });
  } catch (error) {
    throw translate(error, { action: 'write', path: folder });
  }
}

async function writeIfMissing(file: string, content: string): Promise<void> {
  await fs.writeFile(file, content, { flag: 'wx', mode: 0o600 }).catch(ignore('EEXIST'));
}

async function checkVersion(file: string): Promise<void> {
  await writeIfMissing(file, `${version}`);
  const text = (await fs.readFile(file, 'latin1')).trim();
  // Empty after a crash between making and writing it.
  if (text === '') return await fs.writeFile(file, `${version}`);
  if (/^[0-9]+$/.test(text) && Number(text) <= version) return;
  throw new HoldfastError('FORMAT_UNSUPPORTED', {
    message: 'the local cache was written by a newer program',
    hint: 'Use --no-cache or another --cache-dir.',
    details: { path: file },
  });
}

async function treeSizeBytes(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const entry of (await fs.readdir(folder, { withFileTypes: true }).catch(ignore('ENOENT'))) ??
    []) {
    const child = path.join(folder, entry.name);
    if (entry.isDirectory()) sizeBytes += await treeSizeBytes(child);
    else if (entry.isFile()) sizeBytes += (await status(child).catch(ignore('ENOENT')))?.size ?? 0;
  }
  return sizeBytes;
}
