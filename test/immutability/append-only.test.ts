import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { startTestServer } from '../../src/serve/serve-test-support.ts';
import { printFolder } from '../tools/folder-print.ts';
import { backUp, hurried, initRepository } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { startRcloneServer } from '../tools/rclone-server.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('append-only');
const root = path.join(scratch.path, 'root');
const repository = path.join(root, 'repository');

beforeAll(async () => {
  mkdirSync(root);
  await initRepository(repository);
  for (const name of ['one', 'two']) {
    const source = path.join(scratch.path, name);
    mkdirSync(source);
    writeFileSync(`${source}/file`, noise(50_000, name.length));
    await backUp(repository, [source], { environment: hurried });
  }
  await run(repository, 'forget', '--keep-last', '1', '--group-by', '');
});

function run(location: string, ...args: readonly string[]): Promise<CommandRun> {
  const variables = { RESTIC_REPOSITORY: location, RESTIC_PASSWORD: 'x' };
  return runCommand(['--no-cache', ...args], { variables, environment: hurried });
}

async function isRefused(location: string): Promise<void> {
  const before = printFolder(repository);
  for (const args of [['prune'], ['prune', '--instant']]) {
    const { exitCode, errors } = await run(location, ...args);
    expect(exitCode).toBe(1);
    expect(errors).toContain('the storage is append-only for these credentials');
    expect(errors).toContain('Run it where removing is allowed');
  }
  expect(printFolder(repository)).toEqual(before);
  expect((await run(location, 'prune', '--dry-run')).exitCode).toBe(0);
}

test('prune says so of holdfast serve-repository --append-only, and changes nothing', async () => {
  const server = await startTestServer(root, { isAppendOnly: true });
  await isRefused(`rest:http://127.0.0.1:${server.port}/repository`);
  await server.stop();
});

describeWith(['rclone'], 'append-only', () => {
  test('prune says so of rclone serve restic --append-only, and changes nothing', async () => {
    const server = await startRcloneServer('restic', root, ['--append-only']);
    await isRefused(`rest:http://127.0.0.1:${server.port}/repository`);
    await server.stop();
  });
});

test('storage without locks and versions says so', async () => {
  for (const [args, text] of [
    [['immutability'], 'this storage has no locks of files that last'],
    [['immutability', '--lock', '30d'], 'this storage has no locks of files that last'],
    [['rescue'], 'this storage keeps no older versions of files'],
  ] as const) {
    const { exitCode, errors } = await run(repository, ...args);
    expect([exitCode, errors]).toEqual([1, expect.stringContaining(text)]);
  }
  const init = await run(path.join(scratch.path, 'new'), 'init', '--lock', '30d');
  expect(init.errors).toContain('this storage has no locks of files that last');
});

test.each([
  ['0d', 'a lock of no time locks nothing'],
  ['11y', 'locks of more than 10 years are not made'],
  ['30', 'it is no time like 30d, 8w or 1y'],
  ['1h', 'it is no time like 30d, 8w or 1y'],
])('init --lock %s is refused', async (text, why) => {
  const { exitCode, errors } = await run(path.join(scratch.path, 'new'), 'init', '--lock', text);
  expect([exitCode, errors]).toEqual([1, expect.stringContaining(why)]);
});
