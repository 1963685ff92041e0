import { HoldfastError } from '../../../src/base/errors.ts';
import { Sealer, sealOverheadBytes } from '../../../src/kernels/seal.ts';
import { Decompressor } from '../../../src/kernels/zstd.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { dataSizeBytesMax, openBlob } from '../../../src/repository/blob-open.ts';
import { decodeMasterKey } from '../../../src/repository/key-file.ts';
import {
  decodePackHeader,
  encodePackHeader,
  packHeaderSizeBytesMax,
  readPackedBlobs,
  readPackHeader,
} from '../../../src/repository/pack-header.ts';
import type { ByteRange } from '../../../src/storage/backend.ts';
import { answerOf, laterAnswerOf, must, mustEqual } from '../expect.ts';
import { join, mutateBytes } from '../mutate-bytes.ts';
import type { FuzzRandom } from '../random.ts';
import { resticSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

function sealerOfRestic(): Sealer {
  const [json = new Uint8Array()] = resticSeeds(/^restic-master-key/);
  return new Sealer(decodeMasterKey(json), systemRandom);
}

const sealer: Sealer = sealerOfRestic();

/** A pack taken apart: what an attacker who has the key can choose. */
interface PackParts {
  /** Added to the length at the end of the file, modulo 2^32. */
  readonly lengthError: number;
  readonly header: Uint8Array;
  readonly blobs: Uint8Array;
}

/** Input of the pack target: error of the length, size of the header, header, blobs. */
function writeParts({ lengthError, header, blobs }: PackParts): Uint8Array {
  const head = new DataView(new ArrayBuffer(6));
  head.setUint32(0, lengthError, true);
  head.setUint16(4, header.length, true);
  return join(new Uint8Array(head.buffer), header, blobs);
}

function readParts(input: Uint8Array): PackParts {
  const padded = join(input, new Uint8Array(6));
  const head = new DataView(padded.buffer);
  const end = 6 + Math.min(head.getUint16(4, true), Math.max(0, input.length - 6));
  const header = padded.slice(6, end);
  return { lengthError: head.getUint32(0, true), header, blobs: input.slice(end) };
}

function packSeeds(): Uint8Array[] {
  return resticSeeds(/^restic-pack/).map((pack) => {
    const sealedSize = new DataView(pack.buffer).getUint32(pack.length - 4, true);
    const start = pack.length - 4 - sealedSize;
    const header = sealer.open(pack.subarray(start, pack.length - 4));
    return writeParts({ lengthError: 0, header, blobs: pack.subarray(0, start) });
  });
}

/** Numbers for the four bytes of a length. */
const hostileLengths: readonly number[] = [
  0,
  1,
  31,
  32,
  33,
  36,
  0xffff,
  1 << 24,
  0x7fffffff,
  0xffffffff,
];

function mutateHeader(seed: Uint8Array, random: FuzzRandom): Uint8Array {
  const bytes = mutateBytes(seed, random);
  if (random.oneIn(2) && bytes.length > 12) {
    const at = random.below(bytes.length - 4);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, random.pick(hostileLengths), true);
  }
  return bytes;
}

export const packHeaderTarget: FuzzTarget = {
  name: 'pack-header',
  runsInCi: 4000,
  seeds: () =>
    packSeeds().map((seed) => {
      const { header, blobs } = readParts(seed);
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint32(0, blobs.length, true);
      return join(size, header);
    }),
  mutate: mutateHeader,
  run: (input) => {
    const padded = join(input, new Uint8Array(4));
    const sizeBytes = new DataView(padded.buffer).getUint32(0, true);
    const header = input.subarray(4);
    const decoded = answerOf(() => decodePackHeader(header, sizeBytes), 'PACK_DAMAGED');
    if (!decoded.isGiven) return;
    let end = 0;
    for (const blob of decoded.value.iterate()) {
      must(blob.offset === end, 'blobs lie one after the other');
      must(blob.length >= sealOverheadBytes, 'a blob has room for its seal');
      end += blob.length;
    }
    must(end === sizeBytes, 'the blobs fill the file');
    const again = new Uint8Array(header.length);
    must(encodePackHeader(decoded.value, again) === header.length, 'the header has its length');
    mustEqual(Buffer.from(again), Buffer.from(header), 'the header encodes again');
  },
};

export const packTarget: FuzzTarget = {
  name: 'pack',
  runsInCi: 800,
  seeds: packSeeds,
  mutate: (seed, random) => {
    if (!random.oneIn(3)) return mutateHeader(seed, random);
    const parts = readParts(seed);
    return writeParts({ ...parts, lengthError: random.pick(hostileLengths) });
  },
  run: async (input) => {
    const pack = sealPack(readParts(input));
    const whole = answerOf(() => readPackedBlobs(pack, sealer), 'PACK_DAMAGED');
    const reads: ByteRange[] = [];
    const get = async (range: ByteRange): Promise<Uint8Array> => {
      reads.push(range);
      const isInFile = range.start >= 0 && range.end <= pack.length && range.start <= range.end;
      must(isInFile, 'only what is there is read');
      must(range.end - range.start <= packHeaderSizeBytesMax, 'no more than a header is read');
      return pack.slice(range.start, range.end);
    };
    const read = await laterAnswerOf(
      () => readPackHeader(get, pack.length, sealer),
      'PACK_DAMAGED',
    );
    must(reads.length <= 2, 'a header takes at most two reads');
    must(whole.isGiven === read.isGiven, 'both ways to read a header agree');
    if (!whole.isGiven || !read.isGiven) return;
    mustEqual(read.value, [...whole.value.iterate()], 'both ways give the same blobs');
    const decompressor = new Decompressor();
    for (const blob of read.value.slice(0, 20)) {
      if (blob.uncompressedLength > 1 << 20) continue;
      const sealed = pack.subarray(blob.offset, blob.offset + blob.length);
      answerOf(() => openBlob(sealed, blob, { sealer, decompressor }), 'BLOB_DAMAGED');
    }
  },
  // Each of the blobs that are opened may have its declared length.
  allocatedBytesMax: (inputSizeBytes) => (24 << 20) + 64 * inputSizeBytes,
};

function sealPack({ lengthError, header, blobs }: PackParts): Uint8Array<ArrayBuffer> {
  const sealed = sealer.seal(header);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, sealed.length + lengthError, true);
  return join(blobs, sealed, length);
}

/** One sealed blob with the length that a header declares for its plain bytes. */
export const blobTarget: FuzzTarget = {
  name: 'blob',
  runsInCi: 800,
  seeds: () => {
    const seeds: Uint8Array[] = [];
    for (const seed of packSeeds()) {
      const { header, blobs } = readParts(seed);
      for (const blob of decodePackHeader(header, blobs.length).iterate()) {
        const plain = sealer.open(blobs.subarray(blob.offset, blob.offset + blob.length));
        const size = new Uint8Array(4);
        new DataView(size.buffer).setUint32(0, blob.uncompressedLength, true);
        seeds.push(join(size, blob.id, plain));
      }
    }
    return seeds;
  },
  mutate: mutateHeader,
  run: (input) => {
    const padded = join(input, new Uint8Array(36));
    const uncompressedLength = new DataView(padded.buffer).getUint32(0, true);
    const id = padded.slice(4, 36);
    const sealed = sealer.seal(input.subarray(36));
    const blob = { type: 'data', id, uncompressedLength } as const;
    const decompressor = new Decompressor();
    const opened = answerOf(() => openBlob(sealed, blob, { sealer, decompressor }), 'BLOB_DAMAGED');
    if (!opened.isGiven) return;
    const plainSize = uncompressedLength > 0 ? uncompressedLength : input.length - 36;
    if (opened.value.length !== plainSize) throw new HoldfastError('ASSERTION_FAILED');
  },
  allocatedBytesMax: (inputSizeBytes) => dataSizeBytesMax + (1 << 20) + 64 * inputSizeBytes,
};
