import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemEnvironment } from '../../src/base/environment.ts';
import { deriveKey } from '../../src/kernels/scrypt.ts';
import { initRepository } from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { codeOf, holdfast } from './bed.ts';

/** Hazards D7 and D8: whoever can write to the storage can put key files there; nothing authenticates them. */

const scratch = scratchFolder('hostile-keys');

test.each([
  [2 ** 30, 8, 1],
  [2 ** 24, 8, 1],
  [16, 1024, 2 ** 20],
  [2 ** 30, 1024, 2 ** 20],
  [1024, 8, 17],
  [2 ** 20, 8, 16],
  [2, 2 ** 40, 1],
  [2 ** 50, 2 ** 50, 2 ** 50],
])('a key of N=%i, r=%i, p=%i is refused before any work', async (N, r, p) => {
  expect(
    await codeOf(() =>
      deriveKey(Buffer.from('x'), { salt: new Uint8Array(64), N, r, p }, systemEnvironment),
    ),
  ).toBe('KEY_LIMIT');
});

test.each([
  [0, 8, 1],
  [3, 8, 1],
  [1, 8, 1],
  [1024.5, 8, 1],
  [1024, 0, 1],
  [1024, 8, -1],
  [Number.NaN, 8, 1],
  [Number.POSITIVE_INFINITY, 8, 1],
])('N=%d, r=%d, p=%d are no parameters', async (N, r, p) => {
  expect(
    await codeOf(() =>
      deriveKey(Buffer.from('x'), { salt: new Uint8Array(64), N, r, p }, systemEnvironment),
    ),
  ).toBe('KEY_DAMAGED');
});

test('a repository full of hostile keys opens with its own, and says what else there is', async () => {
  const location = scratch.fresh('repository');
  await initRepository(location);
  const folder = path.join(location, 'keys');
  const [name = ''] = readdirSync(folder);
  const text = readFileSync(path.join(folder, name), 'utf8');
  const put = (content: string): void => {
    const id = createHash('sha256').update(content).digest('hex');
    writeFileSync(path.join(folder, id), content);
  };
  for (let i = 0; i < 60; i++) {
    const later = text.replace(/"created":"\d{4}/, `"created":"${3000 + i}`);
    put(later.replace('"N":1024', `"N":${2 ** (24 + (i % 6))}`));
    put(later.replace('"N":1024', `"N":${1025 + i}`));
  }
  put(`${text.slice(0, -1)},"x":"${'y'.repeat(1_000_000)}"}`);
  expect((await holdfast(location, ['snapshots'], scratch)).exitCode).toBe(0);
  const checked = await holdfast(location, ['check'], scratch);
  expect(checked.exitCode).toBe(1);
  expect(checked.errors + checked.output).toContain('a key file is damaged');
});
