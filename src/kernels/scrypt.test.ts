import { readFileSync } from 'node:fs';
import { scryptSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defined } from '../base/assert.ts';
import { fromHex, toHex, utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { systemRandom } from '../base/random.ts';
import { portableScrypt } from './portable/scrypt.ts';
import { deriveKey, type ScryptParameters } from './scrypt.ts';
import { threadedScrypt } from './scrypt-thread.ts';
import { Sealer, type SealKey } from './seal.ts';

interface KeyFileVector {
  readonly password: string;
  readonly json: string;
  readonly scrypt: ScryptParameters & { readonly salt: string; readonly output64: string };
}

interface Vectors {
  readonly keyfile: KeyFileVector & { readonly masterKeyJson: string };
  readonly keyfileOutsideRfc7914: KeyFileVector;
}

const { keyfile, keyfileOutsideRfc7914 }: Vectors = JSON.parse(
  readFileSync(new URL('./fixtures/poly1305aes.json', import.meta.url), 'utf8'),
);

function bytesOf(hex: string): Uint8Array {
  return defined(fromHex(hex), 'a vector is hex');
}

function textOf(key: SealKey): string {
  return [key.encrypt, key.macK, key.macR].map(toHex).join('');
}

describe('deriveKey', () => {
  it.each([
    ['within RFC 7914', keyfile],
    ['outside RFC 7914', keyfileOutsideRfc7914],
  ])('opens a key file %s', async (_, { password, json, scrypt }) => {
    const { N, r, p } = scrypt;
    const key = await deriveKey(
      utf8(password),
      { salt: bytesOf(scrypt.salt), N, r, p },
      systemEnvironment,
    );
    expect(textOf(key)).toBe(scrypt.output64);
    const file: { readonly data: string } = JSON.parse(json);
    const master = new Sealer(key, systemRandom).open(Buffer.from(file.data, 'base64'));
    expect(master).toEqual(utf8(keyfile.masterKeyJson));
  });

  it.each([
    { N: 2 ** 20, r: 9, p: 1 },
    { N: 2 ** 24, r: 1, p: 1 },
    { N: 2, r: 2 ** 23, p: 1 },
    { N: 1024, r: 8, p: 17 },
    { N: 2 ** 20, r: 8, p: 9 },
    { N: 2 ** 30, r: 1024, p: 2 ** 20 },
  ])('refuses work that is not safe: %o', async (parameters) => {
    const derived = deriveKey(
      utf8('x'),
      { salt: new Uint8Array(64), ...parameters },
      systemEnvironment,
    );
    await expect(derived).rejects.toMatchObject({ code: 'KEY_LIMIT', details: parameters });
  });

  it.each([
    { N: 1, r: 8, p: 1 },
    { N: 0, r: 8, p: 1 },
    { N: 1000, r: 8, p: 1 },
    { N: 2 ** 53, r: 8, p: 1 },
    { N: 0.5, r: 8, p: 1 },
    { N: Number.NaN, r: 8, p: 1 },
    { N: Number.POSITIVE_INFINITY, r: 8, p: 1 },
    { N: 1024, r: 0, p: 1 },
    { N: 1024, r: 8, p: 1.5 },
    { N: 1024, r: 8, p: -1 },
  ])('refuses what are no parameters: %o', async (parameters) => {
    const derived = deriveKey(
      utf8('x'),
      { salt: new Uint8Array(64), ...parameters },
      systemEnvironment,
    );
    await expect(derived).rejects.toMatchObject({ code: 'KEY_DAMAGED' });
  });

  it.each([false, true])('takes the parameters of new keys, alone: %s', async (isAlone) => {
    const parameters = { N: 32768, r: 8, p: 5 };
    const key = await deriveKey(
      utf8('pässword'),
      { salt: new Uint8Array(64).fill(1), ...parameters, isAlone },
      systemEnvironment,
    );
    const options = { ...parameters, maxmem: 2 ** 26 };
    const expected = scryptSync('pässword', new Uint8Array(64).fill(1), 64, options);
    expect(textOf(key)).toBe(toHex(expected));
  });
});

describe('threadedScrypt', () => {
  it('gives what OpenSSL gives', async () => {
    // Starting a thread each time would be all that takes time here; one is started above.
    const environment = { ...systemEnvironment, isSingleThreaded: true } as const;
    const cost = fc.record({
      password: fc.uint8Array({ maxLength: 70 }),
      salt: fc.uint8Array({ maxLength: 70 }),
      N: fc.integer({ min: 1, max: 10 }).map((bits) => 2 ** bits),
      r: fc.integer({ min: 1, max: 9 }),
      p: fc.integer({ min: 1, max: 9 }),
      threadCountMax: fc.constantFrom(1, 2),
    });
    await fc.assert(
      fc.asyncProperty(cost, async ({ password, salt, N, r, p, threadCountMax }) => {
        fc.pre(Math.log2(N) < 16 * r);
        const input = { password, salt, N, r, p, sizeBytes: 64, threadCountMax };
        const expected = scryptSync(password, salt, 64, { N, r, p });
        expect(toHex(await threadedScrypt(input, environment))).toBe(toHex(expected));
      }),
      { numRuns: 40 },
    );
  });
});

describe('portableScrypt', () => {
  it('gives the published results', async () => {
    const [empty, nacl] = await Promise.all([
      portableScrypt({ password: utf8(''), salt: utf8(''), N: 16, r: 1, p: 1, sizeBytes: 64 }),
      portableScrypt({
        password: utf8('password'),
        salt: utf8('NaCl'),
        N: 1024,
        r: 8,
        p: 16,
        sizeBytes: 64,
      }),
    ]);
    // RFC 7914, section 12.
    expect(toHex(empty)).toBe(
      '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442' +
        'fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906',
    );
    expect(toHex(nacl)).toBe(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162' +
        '2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    );
  });

  it('equals OpenSSL wherever OpenSSL can', async () => {
    for (const [N, r, p, sizeBytes] of [
      [2, 1, 1, 1],
      [64, 1, 3, 100],
      [128, 3, 2, 64],
      [256, 16, 1, 64],
    ] as const) {
      const [password, salt] = [utf8(`p${N}`), utf8(`s${r}`)];
      const result = await portableScrypt({ password, salt, N, r, p, sizeBytes });
      expect(toHex(result)).toBe(toHex(scryptSync(password, salt, sizeBytes, { N, r, p })));
    }
  });
});
