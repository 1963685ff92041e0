import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fromHex, toHex, utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { isHoldfastError } from '../base/errors.ts';
import { type SealKey, Sealer } from '../kernels/seal.ts';
import { sha256 } from '../kernels/sha256.ts';
import { decodeConfig, openConfig } from './config.ts';
import {
  decodeKeyFile,
  decodeMasterKey,
  encodeKeyFile,
  encodeMasterKey,
  type KeyFile,
} from './key-file.ts';
import { openKeyFile } from './key-search.ts';

interface KeyVector {
  readonly password: string;
  readonly json: string;
  readonly name: string;
}
interface Vectors {
  readonly keyfile: KeyVector;
  readonly keyfileOutsideRfc7914: KeyVector;
  readonly config: { readonly sealed: string; readonly plaintext: string };
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL('fixtures/poly1305aes.json', import.meta.url), 'utf8'),
);
const { json } = vectors.keyfile;
const code = (code: string) => expect.objectContaining({ code });
const damaged = code('KEY_DAMAGED');
const decode = (json: string): KeyFile => decodeKeyFile(utf8(json));
const open = (json: string, password: string): Promise<SealKey | undefined> =>
  openKeyFile(decode(json), { password: utf8(password), environment: systemEnvironment });

describe('key files', () => {
  test.each(['keyfile', 'keyfileOutsideRfc7914'] as const)(
    'the published %s is read, opened and written byte for byte',
    async (name) => {
      const { json, password, name: id } = vectors[name];
      expect(toHex(sha256(utf8(json)))).toBe(id);
      expect(Buffer.from(encodeKeyFile(decode(json))).toString()).toBe(json);
      const masterKey = await open(json, password);
      const sealer = new Sealer(masterKey!, systemEnvironment.random);
      const sealedConfig = fromHex(vectors.config.sealed);
      expect(openConfig(sealedConfig!, sealer)).toEqual(
        decodeConfig(utf8(vectors.config.plaintext)),
      );
    },
  );

  test('another password does not fit; the same with other normalisation neither', async () => {
    expect(await open(json, 'passwort')).toBeUndefined();
    expect(await open(json, 'pässword'.normalize('NFD'))).toBeUndefined();
    expect(await open(json, '')).toBeUndefined();
  });

  test('write names as Go strings', () => {
    const file = { ...decode(json), username: 'a<b>&"\u2028', hostname: 'ü' };
    const text = Buffer.from(encodeKeyFile(file)).toString();
    expect(text).toContain('"username":"a\\u003cb\\u003e\\u0026\\"\\u2028","hostname":"ü"');
    expect(decodeKeyFile(utf8(text))).toEqual(file);
  });

  test.each([
    ['another derivation', '"kdf":"scrypt"', '"kdf":"argon2"'],
    ['no derivation', '"kdf":"scrypt",', ''],
    ['N of 0', '"N":1024', '"N":0'],
    ['N of 1', '"N":1024', '"N":1'],
    ['negative r', '"r":8', '"r":-8'],
    ['p as text', '"p":1', '"p":"1"'],
    ['a huge number', '"p":1', '"p":1e400'],
    ['no p', '"p":1,', ''],
    ['short salt', '"salt":"Yu2M', '"salt":"'],
    ['no salt', '"salt"', '"sale"'],
    ['salt that is not base64', '"salt":"Yu2M', '"salt":"Yu_M'],
    ['short data', /"data":"[^"]*"/, '"data":"AAAA"'],
    ['no data', '"data"', '"date"'],
    ['other data behind', '"}', '"}}'],
  ])('refuses %s', (_, from, to) => {
    const changed = json.replace(from, to);
    expect(changed).not.toBe(json);
    expect(() => decode(changed)).toThrow(damaged);
  });

  test.each([
    ['memory', '"N":1024', '"N":1073741824'],
    ['r', '"r":8', '"r":1048576'],
    ['p', '"p":1', '"p":1048576'],
    ['time', '"N":1024,"r":8,"p":1', '"N":1048576,"r":8,"p":16'],
  ])('does not run a derivation that asks for too much %s', async (_, from, to) => {
    const changed = json.replace(from, to);
    expect(changed).not.toBe(json);
    await expect(open(changed, 'x')).rejects.toThrow(code('KEY_LIMIT'));
  });

  test('are refused at every truncation, and above their size', () => {
    for (let length = 0; length < json.length; length++) {
      expect(() => decode(json.slice(0, length))).toThrow(damaged);
    }
    expect(() => decode(json.replace('user', 'u'.repeat(70_000)))).toThrow(damaged);
  });

  test('any damage gives the one code, or another file', () => {
    const bytes = utf8(json);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const mutated = bytes.slice();
        mutated[at] = value;
        try {
          encodeKeyFile(decodeKeyFile(mutated));
        } catch (error) {
          expect(isHoldfastError(error, 'KEY_DAMAGED')).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('master keys', () => {
  const key: SealKey = {
    encrypt: new Uint8Array(32).fill(1),
    macK: new Uint8Array(16).fill(2),
    macR: new Uint8Array(16).fill(255),
  };

  test('are written mac first, r as it is', () => {
    const json = Buffer.from(encodeMasterKey(key)).toString();
    expect(json).toBe(
      '{"mac":{"k":"AgICAgICAgICAgICAgICAg==","r":"/////////////////////w=="},"encrypt":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}',
    );
    expect(decodeMasterKey(utf8(json))).toEqual(key);
  });

  test.each([
    ['nothing', '{}'],
    ['no encrypt', '{"mac":{"k":"AgICAgICAgICAgICAgICAg==","r":"AgICAgICAgICAgICAgICAg=="}}'],
    ['a mac of another kind', '{"mac":1,"encrypt":"AQ=="}'],
    ['a short part', '{"mac":{"k":"AgI=","r":"AgICAgICAgICAgICAgICAg=="},"encrypt":"AQ=="}'],
  ])('refuse %s', (_, json) => {
    expect(() => decodeMasterKey(utf8(json))).toThrow(damaged);
  });

  test('refuse parts of zeros', () => {
    for (const part of ['encrypt', 'macK', 'macR'] as const) {
      const zeroed = { ...key, [part]: new Uint8Array(key[part].length) };
      expect(() => decodeMasterKey(encodeMasterKey(zeroed))).toThrow(damaged);
    }
  });
});
