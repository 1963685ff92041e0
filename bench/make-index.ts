// Makes a repository whose index lists a given number of blobs in made-up packs. Run: make-index.ts FOLDER BLOBS
import { createHash } from 'node:crypto';
import { systemEnvironment } from '../src/base/environment.ts';
import { encodeIndex } from '../src/repository/index-file.ts';
import { PackedBlobs } from '../src/repository/pack.ts';
import { createRepository } from '../src/repository/repository.ts';
import { openBackend } from '../src/storage/open.ts';

const blobsPerPack = 500;
const packsPerFile = 100;

const [folder = '', count = '0'] = process.argv.slice(2);
const environment = systemEnvironment;
const backend = await openBackend(folder, { environment });
const repository = await createRepository(backend, {
  environment,
  password: Buffer.from('benchmark'),
  hostname: 'bench',
  username: 'bench',
});
let next = 0;
for (let left = Number(count); left > 0; ) {
  const packs = Array.from({ length: packsPerFile }, () => makePack());
  await repository.saveUnpacked('index', encodeIndex(packs));
  left -= packsPerFile * blobsPerPack;
}
await repository.close();
await backend.close();

function makePack(): { id: Uint8Array; blobs: PackedBlobs } {
  const blobs = Array.from({ length: blobsPerPack }, (_, i) => ({
    type: i % 10 === 0 ? ('tree' as const) : ('data' as const),
    id: madeUpId(),
    offset: i * 30_000,
    length: 20_000 + (i % 10_000),
    uncompressedLength: 40_000 + i,
  }));
  return { id: madeUpId(), blobs: PackedBlobs.from(blobs) };
}

function madeUpId(): Uint8Array {
  return createHash('sha256').update(String(next++)).digest();
}
