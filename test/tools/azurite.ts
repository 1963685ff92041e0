import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll } from 'vitest';

/** The account that every azurite has; its key is public. */
export const emulatorAccount: Readonly<Record<string, string>> = {
  AZURE_ACCOUNT_NAME: 'devstoreaccount1',
  AZURE_ACCOUNT_KEY:
    'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
};

/** A running azurite: Microsoft's emulator of Azure Blob Storage. */
export interface Azurite {
  /** `127.0.0.1:PORT`, which is what AZURE_ENDPOINT_SUFFIX takes. */
  readonly address: string;
}

/** Starts azurite for one test file; its contents are in memory. */
export function startAzurite(): Azurite {
  const started: { address: string } = { address: '' };
  let stop: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    const script = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
    const flags = ['--inMemoryPersistence', '--silent', '--skipApiVersionCheck'];
    const child = spawn(
      process.execPath,
      [script, '--blobPort', '0', ...flags, '--disableTelemetry'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    stop = async () => {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    };
    for await (const line of createInterface(child.stdout)) {
      const match = /successfully listens on https?:\/\/(\S+)$/.exec(line);
      if (match?.[1] !== undefined) {
        started.address = match[1];
        break;
      }
    }
    child.stdout.resume();
  });
  afterAll(() => stop?.());
  return started;
}
