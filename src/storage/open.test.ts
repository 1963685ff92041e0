import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { describeError } from '../base/errors.ts';
import { codeOf, describeBackend } from './conformance.ts';
import { openBackend } from './open.ts';
import { type TemporaryFolder, temporaryFolder, testEnvironment } from './test-support.ts';

describeBackend('opened', async () => {
  const folder = temporaryFolder();
  const options = { environment: testEnvironment(), uploadLimitBytesPerSecond: 1e6 };
  const backend = await openBackend(`local:${folder.path}/repository`, options);
  await backend.create();
  return {
    backend,
    other: await openBackend(`${folder.path}/repository`, options),
    dispose: async () => folder.remove(),
  };
});

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

test.each([
  ['b2:bucket', 'b2'],
  ['swift:c:/', 'swift'],
])('says of %j in one line that %s is not supported', async (location, scheme) => {
  const error = await openBackend(location, { environment: testEnvironment() }).catch(
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ code: 'UNSUPPORTED' });
  const line = describeError(error);
  expect(line).toContain(`this version cannot use ${scheme} storage (location: ${scheme}:`);
  expect(line).not.toMatch(/secret|\n/);
});

test('refuses what is no location', async () => {
  const options = { environment: testEnvironment() };
  expect(await codeOf(openBackend('foo:bar', options))).toBe('LOCATION_INVALID');
  expect(await codeOf(openBackend('', options))).toBe('LOCATION_INVALID');
});

test('refuses a file in place of a folder', async () => {
  const file = path.join(folder.path, 'file');
  writeFileSync(file, 'x');
  const options = { environment: testEnvironment() };
  expect(await codeOf(openBackend(file, options))).toBe('LOCATION_INVALID');
  expect(await codeOf(openBackend(`${file}/below`, options))).toBe('LOCATION_INVALID');
});

test('opens a missing folder, in which nothing is found', async () => {
  const options = { environment: testEnvironment() };
  const backend = await openBackend(`${folder.path}/absent`, options);
  expect(await codeOf(backend.get({ type: 'config', name: '' }))).toBe('FILE_NOT_FOUND');
  expect(backend.localPath).toBe(`${folder.path}/absent`);
});

test('takes the number of connections from its options, the extended one first', async () => {
  const environment = testEnvironment();
  const count = async (options: Partial<Parameters<typeof openBackend>[1]> = {}): Promise<number> =>
    (await openBackend(folder.path, { environment, ...options })).connectionCount;
  expect(await count()).toBe(2);
  expect(await count({ connectionCount: 7 })).toBe(7);
  const extended = new Map([
    ['local.connections', '3'],
    ['s3.unknown', 'x'],
  ]);
  expect(await count({ connectionCount: 7, extended })).toBe(3);
});

test.each([
  ['local.connections', '0'],
  ['local.connections', '-1'],
  ['local.connections', 'many'],
  ['local.connections', '1001'],
  ['local.layout', 'default'],
])('refuses the extended option %s=%s', async (name, value) => {
  const extended = new Map([[name, value]]);
  const open = openBackend(folder.path, { environment: testEnvironment(), extended });
  expect(await codeOf(open)).toBe('USAGE');
});
