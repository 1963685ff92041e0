import { createHash } from 'node:crypto';

import { BlobIndex } from '../../../src/repository/blob-index.ts';
import { DecodedIndex } from '../../../src/repository/index-decoded.ts';
import { decodeIndex, decodeIndexInto, encodeIndex } from '../../../src/repository/index-file.ts';
import {
  decodeManifest,
  encodeManifest,
  type IndexCacheManifest,
} from '../../../src/repository/index-manifest.ts';
import {
  damagedParityCount,
  decodeParityFile,
  encodeParityFile,
  healPack,
} from '../../../src/repository/parity-file.ts';
import type { PackMark } from '../../../src/repository/pack-marks.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { join, mutateBytes } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';
import type { FuzzRandom } from '../random.ts';
import { resticSeeds, textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** Index files that mark packs, as rustic and we write them: restic has none. */
export const indexMarksTarget: FuzzTarget = {
  name: 'index-marks',
  runsInCi: 400,
  seeds: () => [
    ...resticSeeds(/^restic-index.*json$/).map((bytes) => {
      const { packs } = JSON.parse(Buffer.from(bytes).toString()) as { packs: unknown };
      return Uint8Array.from(Buffer.from(JSON.stringify({ packs: [], packs_to_delete: packs })));
    }),
    ...textSeeds(
      `{"packs":[],"packs_to_delete":[{"id":"${'ab'.repeat(32)}","blobs":[],"time":"2026-01-02T03:04:05.6Z","size":777}]}`,
      '{"packs":[],"packs_to_delete":null}',
    ),
  ],
  mutate: mutateJson,
  run: (input) => {
    const marked = answerOf(() => marksOf(input), 'INDEX_DAMAGED');
    const added = answerOf(() => decodeIndexInto(input, BlobIndex.create()), 'INDEX_DAMAGED');
    // Who does not ask for marks passes over them, right or wrong, as restic does.
    if (marked.isGiven) must(added.isGiven, 'what has marks that can be read can be added');
    if (!marked.isGiven || marked.value.length === 0) return;
    must(added.isGiven && added.value.hasMarks, 'marks are seen without being read');
    mustEqual(marksOf(encodeIndex([], marked.value)), marked.value, 'encoded again');
  },
};

function marksOf(input: Uint8Array): PackMark[] {
  const marks: PackMark[] = [];
  decodeIndex(input, new DecodedIndex(), { onMark: (mark) => marks.push(mark) });
  return marks;
}

/** A small pack of which two blocks are lost, and its parity; the input is the parity file. */
const pack: Uint8Array = Uint8Array.from({ length: 2000 }, (_, i) => (i * 7919) >>> 3);
const packId: string = createHash('sha256').update(pack).digest('hex');
const parityHeadSizeBytes = 96;

function mutateParity(seed: Uint8Array, random: FuzzRandom): Uint8Array {
  const bytes = mutateBytes(seed, random);
  if (random.oneIn(3) || bytes.length < parityHeadSizeBytes) return bytes;
  // Below the digest of the head: anybody can make one that fits.
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const field = 48 + 4 * random.below(4);
  const number = random.oneIn(2) ? random.next() : random.small(70_000);
  view.setUint32(field, number, true);
  const digest = createHash('sha256').update(bytes.subarray(0, 64)).digest();
  bytes.set(digest, 64);
  return bytes;
}

export const parityFileTarget: FuzzTarget = {
  name: 'parity-file',
  runsInCi: 300,
  seeds: () => [10, 50, 100].map((percent) => encodeParityFile(packId, pack, percent)),
  mutate: mutateParity,
  run: (input) => {
    const decoded = answerOf(() => decodeParityFile(packId, input), 'PARITY_DAMAGED');
    if (!decoded.isGiven) return;
    const file = decoded.value;
    const { dataCount, parityCount } = file.shape;
    must(damagedParityCount(file) <= parityCount, 'no more is lost than there is');
    const damaged = pack.slice();
    damaged.fill(0, 512, 640);
    const { healed, lostBlockCount } = healPack(file, damaged);
    must(lostBlockCount <= dataCount + parityCount, 'no more blocks are lost than there are');
    // Nothing but the pack itself counts as healed.
    if (healed) mustEqual(Buffer.from(healed), Buffer.from(pack), 'what is healed');
  },
  // A head may announce 32 MiB whatever the file has; twice, and as much of the pack.
  allocatedBytesMax: (inputSizeBytes) => (128 << 20) + 128 * inputSizeBytes,
};

const manifest: IndexCacheManifest = {
  repositoryId: 'cd'.repeat(32),
  shape: { seed: new Uint8Array(32).fill(5), slotBits: 14 },
  blobCount: 3,
  packCount: 2,
  names: ['01'.repeat(32), '02'.repeat(32)],
  markNames: ['02'.repeat(32)],
  segments: [
    { id: new Uint8Array(16).fill(1), part: 'packs', count: 2 },
    { id: new Uint8Array(16).fill(2), part: 'blobs', count: 3 },
    { id: new Uint8Array(16).fill(3), part: 'slots', count: 4 },
  ],
};

/** What is below the seal of the list of a cached index. */
export const indexManifestTarget: FuzzTarget = {
  name: 'index-manifest',
  runsInCi: 1000,
  seeds: () => [
    encodeManifest(manifest),
    encodeManifest({ ...manifest, names: [], markNames: [], segments: [] }),
  ],
  mutate: (seed, random) => {
    const bytes = mutateBytes(seed, random);
    return random.oneIn(8) ? join(bytes, bytes) : bytes;
  },
  run: (input) => {
    const decoded = decodeManifest(input);
    if (decoded) mustEqual(decodeManifest(encodeManifest(decoded)), decoded, 'encoded again');
  },
};
