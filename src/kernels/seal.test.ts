import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defined } from '../base/assert.ts';
import { fromHex, toHex, utf8 } from '../base/bytes.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { bindNativeSeal } from './native/seal.ts';
import { poly1305 } from './portable/poly1305.ts';
import { portableSeal } from './portable/seal.ts';
import { Sealer, type SealKey, sealOverheadBytes, sealStartBytes } from './seal.ts';
import type { SealKernelFactory } from './seal-kernel.ts';

interface KeyHex {
  readonly encrypt: string;
  readonly k: string;
  readonly r: string;
}

interface Vectors {
  readonly mac: readonly { message: string; k: string; r: string; nonce: string; tag: string }[];
  readonly seal: readonly (KeyHex & { iv: string; plaintext: string; sealed: string })[];
  readonly config: { readonly sealed: string; readonly plaintext: string };
  readonly keyfile: { readonly masterKey: KeyHex };
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('./fixtures/poly1305aes.json', import.meta.url), 'utf8'),
);

const withoutLibraries: SealKernelFactory = (keys) => ({
  ...portableSeal(keys),
  authenticate: poly1305,
});
const native = bindNativeSeal();
const kernels: [string, SealKernelFactory][] = [
  ['portable', portableSeal],
  ['without libraries', withoutLibraries],
];
if (native) kernels.push(['native', native]);
// Takes every input of these tests in pieces, as the whole one takes inputs above 1 GiB.
const piecewise = bindNativeSeal(7);
if (piecewise) kernels.push(['native in pieces', piecewise]);

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return defined(fromHex(hex), 'a vector is hex');
}

function keyOf(hex: KeyHex): SealKey {
  return { encrypt: bytesOf(hex.encrypt), macK: bytesOf(hex.k), macR: bytesOf(hex.r) };
}

const keyA = keyOf(vectors.keyfile.masterKey);
const keyB: SealKey = { ...keyA, encrypt: new Uint8Array(32).fill(9) };

/** Gives out `bytes`, then fails. */
function fixedRandom(bytes: Uint8Array): Random {
  let used = 0;
  return {
    fill(target) {
      expect(used + target.length).toBeLessThanOrEqual(bytes.length);
      target.set(bytes.subarray(used, used + target.length));
      used += target.length;
      return target;
    },
  };
}

describe('sealing vectors', () => {
  it.runIf(process.platform === 'linux')('are tried natively on Linux', () => {
    expect(native).toBeDefined();
  });

  it.each(kernels)('of the MAC: %s', (_, factory) => {
    for (const { message, k, r, nonce, tag } of vectors.mac) {
      const kernel = factory({ encrypt: keyA.encrypt, macK: bytesOf(k) });
      const oneTimeKey = new Uint8Array(32);
      oneTimeKey.set(bytesOf(r));
      kernel.encryptNonce(bytesOf(nonce), oneTimeKey.subarray(16));
      const result = new Uint8Array(16);
      kernel.authenticate(oneTimeKey, bytesOf(message), result);
      expect(toHex(result)).toBe(tag);
    }
  });

  it.each(kernels)('of sealing and opening: %s', (_, factory) => {
    for (const vector of vectors.seal) {
      const sealer = new Sealer(keyOf(vector), fixedRandom(bytesOf(vector.iv)), factory);
      expect(toHex(sealer.seal(bytesOf(vector.plaintext)))).toBe(vector.sealed);
      expect(toHex(sealer.open(bytesOf(vector.sealed)))).toBe(vector.plaintext);
    }
    const { sealed, plaintext } = vectors.config;
    const sealer = new Sealer(keyA, systemRandom, factory);
    expect(sealer.open(bytesOf(sealed))).toEqual(utf8(plaintext));
  });
});

describe('Sealer', () => {
  it('opens with each kernel what any sealed, within larger buffers and in turns', () => {
    const sealers = kernels.flatMap(([, factory]) =>
      [keyA, keyB].map((key) => ({ key, sealer: new Sealer(key, systemRandom, factory) })),
    );
    const property = fc.property(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.nat(40),
      (plain, offset) => {
        for (const writer of sealers) {
          const target = new Uint8Array(plain.length + 100).fill(0xee);
          expect(writer.sealer.sealInto(plain, target, offset)).toBe(plain.length + 32);
          const end = offset + plain.length + sealOverheadBytes;
          const sealed = target.slice(offset, end);
          expect(target.fill(0xee, offset, end).every((byte) => byte === 0xee)).toBe(true);
          for (const reader of sealers) {
            if (reader.key === writer.key) expect(reader.sealer.open(sealed)).toEqual(plain);
          }
        }
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('seals in place, and opens part by part, as it seals and opens a whole', () => {
    const property = fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
      fc.nat(40),
      fc.array(fc.nat(2_000), { maxLength: 6 }),
      (plain, offset, cuts) => {
        for (const [, factory] of kernels) {
          // An IV from which on the count of blocks goes beyond several bytes.
          const iv = new Uint8Array(16).fill(0xff).fill(7, 0, 12);
          const whole = new Sealer(keyA, fixedRandom(iv), factory).seal(plain);
          const target = new Uint8Array(plain.length + 100).fill(0xee);
          target.set(plain, offset + sealStartBytes);
          const sealer = new Sealer(keyA, fixedRandom(iv), factory);
          const end = offset + sealer.sealInPlace(target, offset, plain.length);
          expect(target.slice(offset, end)).toEqual(whole);
          expect(target.fill(0xee, offset, end).every((byte) => byte === 0xee)).toBe(true);
          const partAt = sealer.openParts(whole);
          const bounds = [0, ...cuts.filter((cut) => cut <= plain.length), plain.length];
          for (const [i, bound] of bounds.entries()) {
            const [from, to] = [bounds[i - 1] ?? 0, bound].toSorted((a, b) => a - b);
            const part = partAt(from ?? 0, to ?? 0, new Uint8Array(plain.length + 15));
            expect(part).toEqual(plain.subarray(from, to));
          }
        }
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('works in memory that is shared', () => {
    const plain = new Uint8Array(new SharedArrayBuffer(300), 7, 200).fill(3);
    for (const [, factory] of kernels) {
      const sealer = new Sealer(keyA, systemRandom, factory);
      const sealed = new Uint8Array(new SharedArrayBuffer(300), 11, 232);
      expect(sealer.sealInto(plain, sealed, 0)).toBe(232);
      const back = new Uint8Array(new SharedArrayBuffer(300), 1, 200);
      expect(sealer.openInto(sealed, back, 0)).toBe(200);
      expect(back.every((byte) => byte === 3)).toBe(true);
    }
  });

  it('takes another IV each time', () => {
    const sealer = new Sealer(keyA, systemRandom);
    const ivs = Array.from({ length: 1_000 }, () => toHex(sealer.seal(utf8('x')).subarray(0, 16)));
    expect(new Set(ivs).size).toBe(1_000);
  });

  it.each(kernels)('finds every changed bit and every cut: %s', (_, factory) => {
    const sealer = new Sealer(keyA, systemRandom, factory);
    const sealed = sealer.seal(utf8('seventeen bytes..'));
    const target = new Uint8Array(sealed.length);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const changed = sealed.slice();
      changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => sealer.openInto(changed, target, 0)).toThrow('does not authenticate');
      expect(() => sealer.openParts(changed)).toThrow('does not authenticate');
    }
    for (let size = 0; size < sealed.length; size++) {
      expect(() => sealer.openInto(sealed.subarray(0, size), target, 0)).toThrow(
        'does not authenticate',
      );
    }
    expect(target.every((byte) => byte === 0)).toBe(true);
    expect(() =>
      new Sealer({ ...keyA, macR: new Uint8Array(16).fill(1) }, systemRandom).open(sealed),
    ).toThrow('does not authenticate');
  });

  it('refuses an IV of zeros both ways', () => {
    for (const [, factory] of kernels) {
      const zeros = fixedRandom(new Uint8Array(16));
      const sealer = new Sealer(keyA, zeros, factory);
      expect(() => sealer.seal(utf8('x'))).toThrow('an IV is not all zero');
      // Right in all but its IV.
      const kernel = factory(keyA);
      const sealed = new Uint8Array(33);
      const oneTimeKey = new Uint8Array(32);
      oneTimeKey.set(keyA.macR);
      kernel.crypt(sealed.subarray(0, 16), utf8('x'), sealed.subarray(16, 17));
      kernel.encryptNonce(sealed.subarray(0, 16), oneTimeKey.subarray(16));
      kernel.authenticate(oneTimeKey, sealed.subarray(16, 17), sealed.subarray(17));
      expect(() => sealer.open(sealed)).toThrow('does not authenticate');
    }
  });

  it('refuses keys that are none', () => {
    for (const part of ['encrypt', 'macK', 'macR'] as const) {
      for (const bytes of [new Uint8Array(keyA[part].length), keyA[part].subarray(1)]) {
        const make = (): Sealer => new Sealer({ ...keyA, [part]: bytes }, systemRandom);
        expect(make).toThrow('a key file is damaged');
      }
    }
  });

  it('does not follow later changes of the key it was given', () => {
    const key = { ...keyA, encrypt: keyA.encrypt.slice(), macK: keyA.macK.slice() };
    const sealer = new Sealer(key, systemRandom);
    key.encrypt.fill(1);
    key.macK.fill(1);
    expect(new Sealer(keyA, systemRandom).open(sealer.seal(utf8('text')))).toEqual(utf8('text'));
  });

  it('refuses targets without room and overlapping ones', () => {
    const sealer = new Sealer(keyA, systemRandom);
    const buffer = new Uint8Array(200);
    const plain = utf8('p'.repeat(50));
    const sealed = sealer.seal(plain);
    for (const offset of [119, 200]) {
      expect(() => sealer.sealInto(plain, buffer, offset)).toThrow('fit their target');
      expect(() => sealer.openInto(sealed, buffer.subarray(offset), 32)).toThrow(
        'fit their target',
      );
    }
    for (const offset of [-1, 0.5, Number.NaN]) {
      expect(() => sealer.sealInto(plain, buffer, offset)).toThrow('an offset is a natural number');
    }
    expect(() => sealer.sealInPlace(buffer, 119, 50)).toThrow('fit their target');
    const partAt = sealer.openParts(sealed);
    expect(() => partAt(1, 50, new Uint8Array(49))).toThrow('fits its room');
    for (const [start, end] of [
      [0, 51],
      [-1, 3],
      [3, 2],
    ] as const) {
      expect(() => partAt(start, end, buffer)).toThrow('the part is there');
    }
    expect(() => sealer.sealInto(buffer.subarray(81, 131), buffer, 0)).toThrow('do not overlap');
    expect(() => sealer.openInto(buffer.subarray(0, 82), buffer, 81)).toThrow('do not overlap');
    expect(sealer.sealInto(buffer.subarray(82, 132), buffer, 0)).toBe(82);
    expect(sealer.openInto(buffer.subarray(0, 82), buffer, 82)).toBe(50);
  });
});
