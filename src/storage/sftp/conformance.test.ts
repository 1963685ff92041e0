import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { RcloneSftp } from '../../../test/tools/rclone-sftp.ts';
import { findSftpServer, SshServer } from '../../../test/tools/ssh-server.ts';
import { systemEnvironment } from '../../base/environment.ts';
import type { Backend } from '../backend.ts';
import { type BackendUnderTest, describeBackend, type Lack } from '../conformance.ts';
import { openBackend } from '../open.ts';

const scratch = scratchFolder('sftp');

async function open(location: string, options: Record<string, string>): Promise<Backend> {
  const extended = new Map(Object.entries(options));
  return await openBackend(location, { environment: systemEnvironment, extended });
}

/** Two clients of an empty repository in a folder of this machine, as the server shows it. */
async function makeIn(
  folder: string,
  openAt: (folder: string) => Promise<Backend>,
  lacks?: ReadonlySet<Lack>,
): Promise<BackendUnderTest> {
  const backend = await openAt(folder);
  await backend.create();
  return {
    backend,
    other: await openAt(folder),
    plant: async (place, content) => {
      const file = path.join(folder, place);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
    },
    dispose: async () => scratch.remove(folder),
    ...(lacks && { lacks }),
  };
}

describeWith(['sshd'], 'OpenSSH', () => {
  let server: SshServer;
  beforeAll(async () => {
    server = await SshServer.start({ folder: scratch.fresh('server') });
  });
  afterAll(() => server.stop());

  describeBackend('by SSH', () =>
    makeIn(scratch.fresh('repository'), (folder) =>
      open(server.location(folder), { 'sftp.args': `-F ${server.clientSettings}` }),
    ),
  );

  describeBackend('sftp-server as a program', () =>
    makeIn(scratch.fresh('repository'), (folder) =>
      open(`sftp:host:${folder}`, { 'sftp.command': findSftpServer() ?? '' }),
    ),
  );
});

describeWith(['sshd', 'rclone'], 'rclone', () => {
  let keys: SshServer;
  let server: RcloneSftp;
  beforeAll(async () => {
    // Its keys and the client's settings are what is wanted; another program answers at its port.
    keys = await SshServer.start({ folder: scratch.fresh('keys') });
    await keys.stop();
    server = await RcloneSftp.start(keys, scratch.path);
  });
  afterAll(() => server.stop());

  describeBackend('serve sftp', () =>
    makeIn(
      scratch.fresh('repository'),
      (folder) =>
        open(keys.location(`/${path.basename(folder)}`), {
          'sftp.args': `-F ${keys.clientSettings}`,
        }),
      // It has no links, its renames replace, and its exclusive opening is not exclusive.
      new Set(['exclusive-race']),
    ),
  );
});
