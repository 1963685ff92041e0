import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { fromHex, utf8 } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import { Sealer } from '../kernels/seal.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import {
  decodeConfig,
  encodeConfig,
  loadSealedConfig,
  newRepositoryId,
  openConfig,
} from './config.ts';
import { isId } from './id.ts';

interface ConfigVector {
  readonly config: { readonly sealed: string; readonly plaintext: string };
}
const vectors: ConfigVector = JSON.parse(
  readFileSync(new URL('fixtures/poly1305aes.json', import.meta.url), 'utf8'),
);
const { plaintext } = vectors.config;
const key = (fill: number) => ({
  encrypt: new Uint8Array(32).fill(fill),
  macK: new Uint8Array(16).fill(fill),
  macR: new Uint8Array(16).fill(fill),
});
const code = (code: string) => expect.objectContaining({ code });
const decode = (json: string) => decodeConfig(utf8(json));

test('reads and writes the published config byte for byte', () => {
  const config = decode(plaintext);
  expect(config).toEqual({
    version: 2,
    id: '0c956770860f02c8faa367e78f49146207df1a3e25c73109562b54bbb9e9883b',
    polynomial: 0x31a1ec5d60e3c9n,
  });
  expect(Buffer.from(encodeConfig(config)).toString()).toBe(plaintext);
});

test('ignores unknown keys and the case of known ones', () => {
  const json = plaintext.replace('"version":2', '"Version":1,"x":{"version":9}');
  expect(decode(json).version).toBe(1);
});

test.each([
  ['version 0', '"version":2', '"version":0', 'FORMAT_UNSUPPORTED'],
  ['version 3', '"version":2', '"version":3', 'FORMAT_UNSUPPORTED'],
  ['no version', '"version":2', '"x":2', 'CONFIG_DAMAGED'],
  ['a version that is text', '"version":2', '"version":"2"', 'CONFIG_DAMAGED'],
  ['a short id', '"id":"0c', '"id":"', 'CONFIG_DAMAGED'],
  ['a polynomial with a factor', '31a1ec5d60e3c9', '31a1ec5d60e3c8', 'CONFIG_DAMAGED'],
  ['a polynomial of degree 52', '31a1ec5d60e3c9', '11a1ec5d60e3c9', 'CONFIG_DAMAGED'],
  ['a long polynomial', '31a1ec5d60e3c9', '031a1ec5d60e3c9', 'CONFIG_DAMAGED'],
  ['a polynomial that is not hex', '31a1ec5d60e3c9', '0x31a1ec5d60e3', 'CONFIG_DAMAGED'],
  ['other data behind', '"}', '"}x', 'CONFIG_DAMAGED'],
])('refuses %s', (_, from, to, expected) => {
  expect(plaintext).toContain(from);
  expect(() => decode(plaintext.replace(from, to))).toThrow(code(expected));
});

test('refuses every truncation, and damage with one of its codes', () => {
  for (let length = 0; length < plaintext.length; length++) {
    expect(() => decode(plaintext.slice(0, length))).toThrow(code('CONFIG_DAMAGED'));
  }
  const bytes = utf8(plaintext);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const mutated = bytes.slice();
      mutated[at] = value;
      try {
        decodeConfig(mutated);
      } catch (error) {
        expect(isHoldfastError(error, 'CONFIG_DAMAGED', 'FORMAT_UNSUPPORTED')).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('tells a missing config from an empty one', async () => {
  const backend = new MemoryBackend();
  await expect(loadSealedConfig(backend)).rejects.toThrow(code('REPOSITORY_NOT_FOUND'));
  backend.files.set('config/', new Uint8Array());
  await expect(loadSealedConfig(backend)).rejects.toMatchObject({
    code: 'CONFIG_DAMAGED',
    message: 'the repository config is empty',
  });
});

test('a sealed config opens with its key only, whole only, and is bounded', () => {
  const sealer = new Sealer(key(1), systemRandom);
  const sealed = sealer.seal(utf8(plaintext));
  expect(openConfig(sealed, sealer).version).toBe(2);
  const other = new Sealer(key(2), systemRandom);
  expect(() => openConfig(sealed, other)).toThrow(code('SEAL_BROKEN'));
  for (const length of [0, 1, 31, 32, sealed.length - 1]) {
    expect(() => openConfig(sealed.subarray(0, length), sealer)).toThrow();
  }
  expect(() => openConfig(sealer.seal(new Uint8Array(70_000)), sealer)).toThrow(
    code('CONFIG_DAMAGED'),
  );
  expect(fromHex(vectors.config.sealed)).toHaveLength(plaintext.length + 32);
});

test('ids of new repositories are ids, and differ', () => {
  const id = newRepositoryId(systemRandom);
  expect(isId(id)).toBe(true);
  expect(newRepositoryId(systemRandom)).not.toBe(id);
});
