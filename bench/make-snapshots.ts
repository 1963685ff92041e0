// Adds snapshots to a repository, an hour apart, without any data. Run: make-snapshots.ts FOLDER COUNT, with RESTIC_PASSWORD
import { saveSnapshot } from '../src/repository/index-test-support.ts';
import { systemEnvironment as environment } from '../src/base/environment.ts';
import { openRepository } from '../src/repository/repository.ts';
import { openBackend } from '../src/storage/open.ts';

const firstSeconds = 1_735_689_600;
const hourSeconds = 3600;
const emptyTree = 'ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8';

const [folder = '', count = '0'] = process.argv.slice(2);
const password = Buffer.from(process.env['RESTIC_PASSWORD'] ?? '');
const backend = await openBackend(folder, { environment });
const repository = await openRepository(backend, { environment, password });
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
