import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { systemEnvironment } from '../../base/environment.ts';
import { describeBackend } from '../conformance.ts';
import { LocalBackend } from './local-backend.ts';

describeBackend('local', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'holdfast-local-'));
  const open = (): Promise<LocalBackend> =>
    LocalBackend.open(path.join(root, 'repository'), { environment: systemEnvironment });
  const backend = await open();
  await backend.create();
  return {
    backend,
    other: await open(),
    plant: async (name, content) => {
      const target = path.join(root, 'repository', name);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    },
    dispose: async () => rmSync(root, { recursive: true }),
  };
});
