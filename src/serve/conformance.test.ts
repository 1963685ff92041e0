import path from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';

import { scratchFolder } from '../../test/tools/scratch.ts';
import { systemEnvironment } from '../base/environment.ts';
import { describeBackend, type Lack } from '../storage/conformance.ts';
import { openBackend } from '../storage/open.ts';
import { startTestServer, type TestServer } from './serve-test-support.ts';

const scratch = scratchFolder('serve-conformance');
let server: TestServer;
let count = 0;

beforeAll(async () => {
  server = await startTestServer(path.join(scratch.path, 'root'));
});
afterAll(() => server.stop());

// What it stores is what its name says, so that a lock of any content and a damaged pack are not stored.
const lacks: ReadonlySet<Lack> = new Set(['any-content', 'exclusive-race', 'absence']);

describeBackend('rest, on a server of our own', async () => {
  const name = `repository-${count++}`;
  const location = `rest:http://127.0.0.1:${server.port}/${name}`;
  const options = { environment: systemEnvironment };
  const backend = await openBackend(location, options);
  await backend.create();
  return {
    backend,
    other: await openBackend(location, options),
    fileCount: 40,
    lacks,
    plant: async (place, content) => {
      const file = path.join(server.root, name, place);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
    },
    tellsChecksum: true,
    dispose: async () => scratch.remove(path.join(server.root, name)),
  };
});
