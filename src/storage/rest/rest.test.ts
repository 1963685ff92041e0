import { afterAll, beforeAll } from 'vitest';

import { systemEnvironment } from '../../base/environment.ts';
import { describeWith } from '../../../test/tools/peers.ts';
import { type RcloneServer, startRcloneServer } from '../../../test/tools/rclone-server.ts';
import { describeBackend } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { temporaryFolder } from '../test-support.ts';

describeWith(['rclone'], 'against rclone', () => {
  const folder = temporaryFolder();
  let server: RcloneServer;
  let count = 0;
  beforeAll(async () => {
    server = await startRcloneServer('restic', folder.path);
  });
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  describeBackend('rest', async () => {
    const location = `rest:http://127.0.0.1:${server.port}/repository-${count++}`;
    const options = { environment: systemEnvironment };
    const backend = await openBackend(location, options);
    await backend.create();
    return {
      backend,
      other: await openBackend(location, options),
      fileCount: 40,
      lacks: new Set(['exclusive-put']),
      dispose: async () => {},
    };
  });
});
