// Adds snapshots of an empty folder to a repository, an hour apart. Run: make-snapshots.ts FOLDER COUNT, with RESTIC_PASSWORD
import { silentMonitor } from '../src/base/monitor.ts';
import { toHex, utf8 } from '../src/base/bytes.ts';
import { BlobWriter } from '../src/engine/packs/blob-writer.ts';
import { loadIndexFiles } from '../src/repository/index-load.ts';
import { IndexedRepository } from '../src/repository/indexed.ts';
import { saveSnapshot } from '../src/repository/index-test-support.ts';
import { systemEnvironment as environment } from '../src/base/environment.ts';
import { openRepository } from '../src/repository/repository.ts';
import { openBackend } from '../src/storage/open.ts';

const firstSeconds = 1_735_689_600;
const hourSeconds = 3600;

const [folder = '', count = '0'] = process.argv.slice(2);
const password = Buffer.from(process.env['RESTIC_PASSWORD'] ?? '');
const backend = await openBackend(folder, { environment });
const repository = await openRepository(backend, { environment, password });
const loaded = await loadIndexFiles(repository);
const indexed = new IndexedRepository(repository, loaded.index, loaded);
const writer = new BlobWriter(indexed, { environment, monitor: silentMonitor });
const emptyTree = toHex(await writer.add('tree', utf8('{"nodes":[]}\n')));
await writer.finish();
for (let i = 0; i < Number(count); i++) {
  const time = { seconds: firstSeconds + i * hourSeconds, nanoseconds: 1 + i, offsetMinutes: 60 };
  await saveSnapshot(repository, {
    time,
    tree: emptyTree,
    paths: ['/home', '/etc'],
    hostname: 'bench',
    username: 'bench',
    tags: ['hourly'],
    programVersion: 'restic 0.19.1',
    summary: { backupStart: time, backupEnd: time, totalFilesProcessed: i },
  });
}
await repository.close();
