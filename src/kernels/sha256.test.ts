import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../base/bytes.ts';
import { bindNativeSha256, type Sha256Kernel } from './native/sha256.ts';
import { portableSha256 } from './portable/sha256.ts';
import { sha256, sha256Into } from './sha256.ts';

const native = bindNativeSha256();
const kernels: [string, Sha256Kernel][] = [['portable', portableSha256]];
if (native) kernels.push(['native', native]);

/** Examples of FIPS 180-4 and the empty message. */
const vectors = [
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
] as const;

describe('sha256', () => {
  it.runIf(process.platform === 'linux')('has a native kernel on Linux', () => {
    expect(native).toBeDefined();
  });

  it.each(kernels)('gives the published digests: %s', (_, kernel) => {
    for (const [text, digest] of vectors) {
      const target = new Uint8Array(32);
      kernel(utf8(text), target);
      expect(toHex(target)).toBe(digest);
      expect(toHex(sha256(utf8(text)))).toBe(digest);
    }
  });

  it('equals the hash of node:crypto for every kernel and view', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.nat(64), (bytes, skip) => {
      const view = bytes.subarray(Math.min(skip, bytes.length));
      const expected = toHex(createHash('sha256').update(view).digest());
      expect(toHex(sha256(view))).toBe(expected);
      for (const [, kernel] of kernels) {
        const target = new Uint8Array(40);
        kernel(view, target.subarray(5, 37));
        expect(toHex(target)).toBe(`${'00'.repeat(5)}${expected}000000`);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('hashes shared memory and the memory of WebAssembly', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(100), 10, 50).fill(7);
    const expected = toHex(sha256(new Uint8Array(50).fill(7)));
    for (const [, kernel] of kernels) {
      const target = new Uint8Array(32);
      kernel(shared, target);
      expect(toHex(target)).toBe(expected);
    }
  });

  it('writes in place, also over its input, and only where there is room', () => {
    const bytes = new Uint8Array(64).fill(1);
    const expected = toHex(sha256(bytes));
    sha256Into(bytes, bytes, 20);
    expect(toHex(bytes)).toBe(`${'01'.repeat(20)}${expected}${'01'.repeat(12)}`);
    const digest = sha256(bytes);
    for (const offset of [33, 64, 1000]) {
      expect(() => sha256Into(bytes, bytes, offset)).toThrow('a digest has 32 bytes');
    }
    expect(() => sha256Into(bytes, bytes, -40)).toThrow('a digest has 32 bytes');
    expect(sha256(bytes)).toEqual(digest);
  });
});
