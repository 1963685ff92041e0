import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestPlace } from './holdfast-test-support.ts';

const place = TestPlace.create();
const hook = place.at('no-koffi.cjs');

beforeAll(async () => {
  await place.createRepository();
  mkdirSync(place.at('source'));
  writeFileSync(place.at('source', 'file'), 'content');
  const code = `const module_ = require('node:module');
    const load = module_._load;
    module_._load = (name, ...rest) => {
      if (name === 'koffi') throw new Error('no such library');
      return load(name, ...rest);
    };`;
  writeFileSync(hook, code);
});
afterAll(() => place.remove());

const commands = [
  { args: ['backup', 'source'], failed: 3 },
  { args: ['restore', 'latest', '--target', 'restored'], failed: 1 },
];
const lost = /^Warning: here, a (backup|restore) does not keep extended attributes, .*; holes/m;

test.each(commands)('nothing is lost where the system can keep all: $args', async ({ args }) => {
  expect(await place.run(args)).toMatchObject({ exitCode: 0, errors: '' });
});

test.each(commands)('what the system cannot keep is said: $args', async ({ args }) => {
  const run = await place.run(args, { variables: { HOLDFAST_PLATFORM: 'portable' } });
  expect(run).toMatchObject({ exitCode: 0, errors: expect.stringMatching(lost) });
});

test.each(commands)('what it could keep is missed: $args', async ({ args, failed }) => {
  const run = await place.run(args, { variables: { NODE_OPTIONS: `--require=${hook}` } });
  expect(run).toMatchObject({
    exitCode: failed,
    errors: expect.stringMatching(/were left out: the native library "koffi" does not load here/),
  });
  expect(run.errors).toMatch(lost);
});
