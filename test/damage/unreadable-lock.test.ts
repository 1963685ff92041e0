import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { backUp, hurried, initRepository, password } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { scratchFolder } from '../tools/scratch.ts';

/** A lock file that cannot be read may be anybody's: reading goes on beside it, all else is refused. */

const scratch = scratchFolder('unreadable-lock');
const source = scratch.fresh('source');
const repository = scratch.fresh('repository');
const lockId = 'ab'.repeat(32);

beforeAll(async () => {
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'content');
  await initRepository(repository);
  await backUp(repository, [source]);
  writeFileSync(join(repository, 'locks', lockId), 'half of a lo');
});

function run(...args: readonly string[]): Promise<CommandRun> {
  const variables = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password, TZ: 'UTC' };
  return runCommand(['--no-cache', ...args], { variables, environment: hurried });
}

test('restore brings everything back, and names the file and what removes it, once', async () => {
  const target = scratch.fresh('target');
  const { exitCode, errors } = await run('restore', 'latest', '--target', target);
  expect(exitCode).toBe(0);
  expect(readFileSync(join(target, source, 'file'), 'utf8')).toBe('content');
  const warnings = errors.split('\n').filter((line) => line.startsWith('Warning: the lock file'));
  expect(warnings).toEqual([expect.stringMatching(`${lockId}.*"holdfast unlock --remove-all"`)]);
  expect(readdirSync(join(repository, 'locks'))).toEqual([lockId]);
});

test.each([
  [['snapshots']],
  [['ls', 'latest']],
  [['find', 'file']],
  [['stats']],
  [['cat', 'config']],
  [['key', 'list']],
  [['diff', 'latest', 'latest']],
  [['dump', 'latest', join(source, 'file')]],
  [['list', 'blobs']],
])('%j reads beside it', async (args) => {
  const { exitCode, errors } = await run(...args);
  expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
  expect(errors).toContain(lockId);
});

test.each([
  [['backup', source]],
  [['tag', '--add', 'x']],
  [['key', 'add', '--new-insecure-no-password']],
  [['forget', '--keep-last', '1']],
  [['prune']],
  [['prune', '--instant']],
  [['rewrite', '--new-host', 'other']],
  [['check']],
])('%j does not', async (args) => {
  const before = new Set(readdirSync(repository, { recursive: true, encoding: 'utf8' }));
  const { exitCode, errors } = await run(...args);
  expect({ exitCode, errors }).toMatchObject({ exitCode: 1 });
  expect(errors).toMatch(`a lock file cannot be read (lockId: ${lockId})`);
  expect(errors).toMatch('holdfast unlock --remove-all');
  expect(new Set(readdirSync(repository, { recursive: true, encoding: 'utf8' }))).toEqual(before);
});

test.each([[['snapshots']], [['check']]])('%j with --no-lock does not look', async (args) => {
  expect(await run('--no-lock', ...args)).toMatchObject({ exitCode: 0, errors: '' });
});
