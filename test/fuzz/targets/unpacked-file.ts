import { systemRandom } from '../../../src/base/random.ts';
import { bindNativeZstd } from '../../../src/kernels/native/zstd.ts';
import { portableZstd } from '../../../src/kernels/portable/zstd.ts';
import { Sealer } from '../../../src/kernels/seal.ts';
import { Compressor, compressBound, decompressUnknown } from '../../../src/kernels/zstd.ts';
import { testKey } from '../../../src/repository/index-test-support.ts';
import { documentSizeBytesMax, openDocument } from '../../../src/repository/unpacked.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { join, mutateBytes } from '../mutate-bytes.ts';
import type { FuzzRandom } from '../random.ts';
import { resticSeeds, textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

const sealer = new Sealer(testKey, systemRandom);
const native = bindNativeZstd();
const compressor = (): Compressor => new Compressor('auto');

function frameOf(plain: Uint8Array): Uint8Array {
  const target = new Uint8Array(compressBound(plain.length));
  return target.slice(0, compressor().compress(plain, target));
}

/** Frames that are valid but not usual: without size, with checksum, skippable, run-length, several. */
function frameSeeds(): Uint8Array[] {
  const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4);
  // Window of 1 KiB, no size, one run-length block of 2,000 bytes, the last.
  const runLength = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, 0x83, 0x3e, 0, 0x7b);
  const small = frameOf(Buffer.from('{"a":1}'));
  return [
    small,
    join(small, small),
    join(skippable, small, skippable),
    runLength,
    frameOf(new Uint8Array(300_000)),
    frameOf(Uint8Array.from({ length: 5000 }, (_, i) => (i * i) >>> 3)),
  ];
}

function mutateFrame(seed: Uint8Array, random: FuzzRandom): Uint8Array {
  if (random.oneIn(8)) return join(seed, random.pick(frameSeeds()));
  const bytes = mutateBytes(seed, random);
  // The header of a frame decides about memory: change it more often than its place deserves.
  if (random.oneIn(2) && bytes.length > 8) bytes[1 + 4 + random.below(6)] = random.next();
  return bytes;
}

/** What is below the seal of an unpacked file: a mark and zstd frames, or plain JSON. */
export const unpackedFileTarget: FuzzTarget = {
  name: 'unpacked-file',
  runsInCi: 800,
  seeds: () => [
    ...resticSeeds(/\.plain$/),
    ...frameSeeds().map((frame) => join(Uint8Array.of(2), frame)),
    ...textSeeds('{"plain":true}', '[]', ''),
  ],
  mutate: mutateFrame,
  run: (input) => {
    const sealed = sealer.seal(input);
    const codes = ['COMPRESSION_BROKEN', 'UNPACKED_DAMAGED'] as const;
    for (const version of [1, 2] as const) {
      const opened = answerOf(
        () => openDocument({ version, sealer, compressor }, 'lock', sealed),
        ...codes,
      );
      if (!opened.isGiven) continue;
      const size = opened.value.length;
      must(size <= Math.max(documentSizeBytesMax.lock, input.length), 'a document has its limit');
    }
    const frame = input.subarray(1);
    const portable = answerOf(() => decompressUnknown(frame, 1 << 20, portableZstd), ...codes);
    if (!native) return;
    const fast = answerOf(() => decompressUnknown(frame, 1 << 20, native), ...codes);
    mustEqual(fast.isGiven && fast.value, portable.isGiven && portable.value, 'both kernels');
  },
  // A buffer of the limit for each of the three ways to decompress, and a copy of each.
  allocatedBytesMax: (inputSizeBytes) => 8 * documentSizeBytesMax.lock + 64 * inputSizeBytes,
};
