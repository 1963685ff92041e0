import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquireLock, type HeldLock } from '../repository/locks.ts';
import { TestPlace } from './holdfast-test-support.ts';
import { thisOwner, thisProbe } from '../session/this-process.ts';

const place = TestPlace.create();
let lock: HeldLock;

beforeAll(async () => {
  const repository = await place.createRepository();
  mkdirSync(place.at('source'));
  writeFileSync(place.at('source', 'file'), 'content');
  await place.must(['backup', 'source']);
  const who = { owner: thisOwner(), probe: thisProbe(), operation: 'test' };
  lock = await acquireLock(repository, { kind: 'exclusive', ...who });
});
afterAll(async () => {
  await lock.release();
  place.remove();
});

test.each([
  { args: ['snapshots'], exitCode: 0 },
  { args: ['backup', '--dry-run', 'source'], exitCode: 0 },
  { args: ['backup', 'source'], exitCode: 11 },
  { args: ['tag', '--add', 'x'], exitCode: 11 },
  { args: ['key', 'add'], exitCode: 11 },
  { args: ['key', 'passwd'], exitCode: 11 },
  { args: ['key', 'remove', 'ffff'], exitCode: 11 },
])(
  '--no-lock lets only reading pass by a lock: $args',
  async ({ args, exitCode }) => {
    const run = await place.run([...args, '--no-lock'], { input: 'new password\n' });
    expect({ exitCode: run.exitCode, errors: run.errors }).toMatchObject({ exitCode });
  },
  30_000,
);

test('--no-lock makes no lock, and does not say that it makes one', async () => {
  const output = await place.must(['check', '--no-lock']);
  expect(output).not.toContain('lock');
  expect(output).toContain('no errors were found');
});
