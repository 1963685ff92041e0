import path from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';

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
    server = await startRcloneServer('webdav', folder.path);
  });
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  describeBackend('webdav', async () => {
    const name = `above/repository ${count++}`;
    const location = `webdav:http://127.0.0.1:${server.port}/${encodeURI(name)}`;
    const options = { environment: systemEnvironment };
    const backend = await openBackend(location, options);
    await backend.create();
    return {
      backend,
      other: await openBackend(location, options),
      fileCount: 40,
      lacks: new Set(['exclusive-race']),
      plant: async (place, content) => {
        const target = `${location.slice('webdav:'.length)}/${place}`;
        await fetch(path.posix.dirname(target), { method: 'MKCOL' });
        const put = await fetch(target, { method: 'PUT', body: Buffer.from(content) });
        expect(put.ok).toBe(true);
      },
      dispose: async () => {},
    };
  });
});
