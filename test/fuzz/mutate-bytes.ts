import { Buffer } from 'node:buffer';
import type { FuzzRandom } from './random.ts';

/** Pieces that formats care about. */
const pieces: readonly Uint8Array[] = [
  ...'"{}[]:,\\/.-+0*?!^|;\n\r\t\0 '.split('').map((text) => Buffer.from(text)),
  ...[
    'null',
    'true',
    '1e9',
    '..',
    '\\u0000',
    '\\ud800',
    '\\x2f',
    '{"',
    '"}',
    '[[',
    '__proto__',
    '**',
    '[a-',
    '[^',
    '${HOME}',
    '$$',
    '://',
    '@',
    '%2f',
    '%00',
    '--',
    '-',
    '=',
    '9999',
    '18446744073709551616',
  ].map((text) => Buffer.from(text)),
  Buffer.of(0xef, 0xbb, 0xbf),
  Buffer.of(0xff, 0xfe),
  Buffer.of(0xc0, 0xaf),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xf4, 0x90, 0x80, 0x80),
  Buffer.of(0xff, 0xff, 0xff, 0xff),
  Buffer.of(0, 0, 0, 0),
  Buffer.of(0, 0, 0, 0x80),
  Buffer.of(0x28, 0xb5, 0x2f, 0xfd),
];

/** Changes bytes at one to four places: flips, overwrites, inserts, removes, repeats, moves, cuts. */
export function mutateBytes(
  source: Uint8Array,
  random: FuzzRandom,
  sizeBytesMax = 1 << 16,
): Uint8Array<ArrayBuffer> {
  let bytes = Uint8Array.from(source);
  for (let count = 1 + random.small(3); count > 0; count--) bytes = mutateOnce(bytes, random);
  return bytes.subarray(0, sizeBytesMax);
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, random: FuzzRandom): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.small(16);
  switch (random.below(9)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.next();
      return bytes;
    case 2:
      return join(bytes.subarray(0, at), random.bytes(length), bytes.subarray(at));
    case 3:
      return join(bytes.subarray(0, at), bytes.subarray(at + length));
    case 4:
      return bytes.slice(0, at);
    case 5: {
      const from = random.below(bytes.length + 1);
      const part = bytes.subarray(from, from + random.small(64));
      return join(bytes.subarray(0, at), part, bytes.subarray(at));
    }
    case 6: {
      const part = bytes.subarray(at, at + length);
      const repeated = Array.from({ length: 1 + random.small(200) }, () => part);
      return join(bytes.subarray(0, at), ...repeated, bytes.subarray(at));
    }
    case 7: {
      const piece = random.pick(pieces);
      return join(bytes.subarray(0, at), piece, bytes.subarray(at + piece.length));
    }
    default:
      return join(bytes.subarray(0, at), random.pick(pieces), bytes.subarray(at));
  }
}

/** Parts one after another, in memory of their own. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}
