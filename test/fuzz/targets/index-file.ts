import { BlobIndex } from '../../../src/repository/blob-index.ts';
import { PackedBlobs } from '../../../src/repository/blob.ts';
import { DecodedIndex } from '../../../src/repository/index-decoded.ts';
import { decodeIndex, decodeIndexInto, encodeIndex } from '../../../src/repository/index-file.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { mutateJson, spaced } from '../mutate-json.ts';
import { resticSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** Index files: the decoder for what is usual against the general one, which spaces call for; encoded again. */
export const indexFileTarget: FuzzTarget = {
  name: 'index-file',
  runsInCi: 400,
  seeds: () => resticSeeds(/^restic-index.*json$/),
  mutate: mutateJson,
  run: (input) => {
    const decoded = answerOf(() => decode(input), 'INDEX_DAMAGED');
    const apart = answerOf(() => decode(spaced(input)), 'INDEX_DAMAGED');
    const added = answerOf(() => decodeIndexInto(input, BlobIndex.create()), 'INDEX_DAMAGED');
    must(added.isGiven === decoded.isGiven, 'decoding and adding accept the same');
    if (!decoded.isGiven) return;
    must(apart.isGiven, 'an index file with spaces is accepted, too');
    mustEqual(apart.isGiven && listed(apart.value), listed(decoded.value), 'both decoders agree');
    const packs = packsOf(decoded.value);
    mustEqual(listed(decode(encodeIndex(packs))), listed(decoded.value), 'encoded again');
    const again = BlobIndex.create();
    for (let times = 0; times < 2; times++) {
      for (const { id, blobs } of packs) {
        again.addListedPack(id, new Uint32Array(blobs.bytes.slice().buffer));
      }
    }
    must(again.blobCount <= decoded.value.blobCount, 'listing a pack again adds nothing');
  },
};

function decode(input: Uint8Array): DecodedIndex {
  const decoded = new DecodedIndex();
  decodeIndex(input, decoded);
  return decoded;
}

function packsOf(decoded: DecodedIndex): { id: Uint8Array; blobs: PackedBlobs }[] {
  return Array.from({ length: decoded.packCount }, (_, pack) => {
    const records = decoded.recordsOf(pack).slice();
    return {
      id: decoded.packId(pack).slice(),
      blobs: new PackedBlobs(new Uint8Array(records.buffer)),
    };
  });
}

function listed(decoded: DecodedIndex): string[] {
  return packsOf(decoded).map(
    ({ id, blobs }) =>
      `${Buffer.from(id).toString('hex')} ${Buffer.from(blobs.bytes).toString('hex')}`,
  );
}
