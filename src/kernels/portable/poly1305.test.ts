import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../base/bytes.ts';
import { defined } from '../../base/assert.ts';
import { bindNativeSeal } from '../native/seal.ts';
import { poly1305 } from './poly1305.ts';
import { loadSodium } from './seal.ts';

type Authenticate = (oneTimeKey: Uint8Array, message: Uint8Array, tag: Uint8Array) => void;

const native = bindNativeSeal()?.({ encrypt: new Uint8Array(32), macK: new Uint8Array(16) });
const sodium = loadSodium();
const others: Authenticate[] = [];
if (native) others.push((key, message, tag) => native.authenticate(key, message, tag));
if (sodium) others.push(sodium);

function bytesOf(hex: string): Uint8Array {
  return defined(fromHex(hex), 'a vector is hex');
}

function tagOf(authenticate: Authenticate, key: Uint8Array, message: Uint8Array): string {
  const tag = new Uint8Array(16);
  authenticate(key, message, tag);
  return toHex(tag);
}

/** One number modulo 2^130 - 5 at a time, straight from the definition. */
function definition(key: Uint8Array, message: Uint8Array): string {
  const prime = (1n << 130n) - 5n;
  const r = integer(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let h = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    h = ((h + integer(block) + (1n << BigInt(8 * block.length))) * r) % prime;
  }
  const tag = (h + integer(key.subarray(16))) & ((1n << 128n) - 1n);
  const bigEndian = tag.toString(16).padStart(32, '0');
  return toHex(bytesOf(bigEndian).toReversed());
}

function integer(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** RFC 8439, section 2.5.2 and those of appendix A.3 that reach the edges of the arithmetic. */
const vectors = [
  [
    '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
    '43727970746f6772617068696320466f72756d2052657365617263682047726f7570',
    'a8061dc1305136c6c22b8baf0c0127a9',
  ],
  [`02${'00'.repeat(31)}`, 'ff'.repeat(16), `03${'00'.repeat(15)}`],
  [`02${'00'.repeat(15)}${'ff'.repeat(16)}`, `02${'00'.repeat(15)}`, `03${'00'.repeat(15)}`],
  [
    `01${'00'.repeat(31)}`,
    `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`,
    `05${'00'.repeat(15)}`,
  ],
  [
    `01${'00'.repeat(31)}`,
    `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`,
    '00'.repeat(16),
  ],
  [`02${'00'.repeat(31)}`, `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
] as const;

describe('poly1305', () => {
  it.runIf(process.platform === 'linux')('has two others to be held against on Linux', () => {
    expect(others).toHaveLength(2);
  });

  it('gives the published tags', () => {
    for (const [key, message, tag] of vectors) {
      expect(tagOf(poly1305, bytesOf(key), bytesOf(message))).toBe(tag);
      expect(definition(bytesOf(key), bytesOf(message))).toBe(tag);
    }
  });

  it('equals its definition, OpenSSL and libsodium, also near the modulus', () => {
    const extreme = fc.constantFrom(0, 1, 2, 4, 5, 0xf0, 0xfa, 0xfb, 0xfc, 0xfe, 0xff);
    const byte = fc.oneof(extreme, fc.nat(255));
    const key = fc.array(byte, { minLength: 32, maxLength: 32 });
    const message = fc.array(fc.oneof({ weight: 3, arbitrary: extreme }, byte), { maxLength: 300 });
    const property = fc.property(key, message, (keyBytes, messageBytes) => {
      const [k, m] = [Uint8Array.from(keyBytes), Uint8Array.from(messageBytes)];
      const expected = definition(k, m);
      expect(tagOf(poly1305, k, m)).toBe(expected);
      for (const other of others) expect(tagOf(other, k, m)).toBe(expected);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it('stays exact over long messages of extremes', () => {
    for (const fill of [0xff, 0xfb, 0x00, 0x80]) {
      const key = new Uint8Array(32).fill(0xff);
      const message = new Uint8Array(100_003).fill(fill);
      const expected = definition(key, message);
      for (const one of [poly1305, ...others]) expect(tagOf(one, key, message)).toBe(expected);
    }
  });
});
