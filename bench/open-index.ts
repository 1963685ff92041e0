// Opens the index of a repository as a command does, and prints how long that took. Run: open-index.ts FOLDER CACHE
import { systemEnvironment } from '../src/base/environment.ts';
import { FolderIndexCache } from '../src/session/index-cache-store.ts';
import { loadIndex } from '../src/repository/index-load.ts';
import { openRepository } from '../src/repository/repository.ts';
import { openBackend } from '../src/storage/open.ts';

const [folder = '', cacheFolder] = process.argv.slice(2);
const environment = systemEnvironment;
const backend = await openBackend(folder, { environment });
const password = Buffer.from('benchmark');
const repository = await openRepository(backend, { environment, password });
const startedMs = performance.now();
const cache = cacheFolder === undefined ? {} : { cache: new FolderIndexCache(cacheFolder) };
const index = await loadIndex(repository, cache);
const seconds = (performance.now() - startedMs) / 1000;
console.log(JSON.stringify({ blobs: index.blobCount, seconds }));
await repository.close();
await backend.close();
process.exit(0);
