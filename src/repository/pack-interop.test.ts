/** Packs and indexes against the official restic. Needs `restic` on the PATH. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { toHex, utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { Decompressor } from '../kernels/zstd.ts';
import type { FileType } from '../storage/backend.ts';
import { LocalBackend } from '../storage/local/local-backend.ts';
import type { BlobType } from './blob.ts';
import type { BlobIndex } from './blob-index.ts';
import { DecodedIndex } from './index-decoded.ts';
import { decodeIndex, encodeIndex } from './index-file.ts';
import { loadIndex } from './index-load.ts';
import { contentOf, hashOf, saveSnapshot } from './index-test-support.ts';
import { IndexWriter } from './index-writer.ts';
import { IndexedRepository } from './indexed.ts';
import { openBlob, packSizeOf, PackBuilder, PackedBlobs, readPackHeader } from './pack.ts';
import { createRepository, openRepository, type Repository } from './repository.ts';
import { describeWith } from '../../test/tools/peers.ts';

const environment = systemEnvironment;
const emptyTree = utf8('{"nodes":[]}\n');

let folder: string;
let backend: LocalBackend;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-pack-'));
  backend = await LocalBackend.open(path.join(folder, 'repository'), { environment });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function restic(args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync('restic', args, {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      RESTIC_REPOSITORY: path.join(folder, 'repository'),
      RESTIC_PASSWORD: 'secret',
      RESTIC_CACHE_DIR: path.join(folder, 'cache'),
    },
    maxBuffer: 64 << 20,
  });
  expect(status, stderr.toString()).toBe(0);
  return stdout;
}

/** Makes a repository whose key costs little to derive: restic does it at each start. */
function create(version: 1 | 2): Promise<Repository> {
  const owner = { hostname: 'host', username: 'user' };
  const scrypt = { N: 1024, r: 8, p: 1 };
  const password = utf8('secret');
  return createRepository(backend, { ...owner, environment, password, version, scrypt });
}

async function namesOf(type: FileType): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of backend.list(type)) names.push(name);
  return names.sort();
}

/** A folder with files that are empty, small, compressible or not, and larger than a chunk. */
function makeSource(): string {
  const source = path.join(folder, 'source');
  for (let i = 0; i < 40; i++) {
    const parent = path.join(source, `folder ${i % 5}`);
    mkdirSync(parent, { recursive: true });
    const content = i % 2 === 0 ? contentOf(i, i * 777) : hashOf(Uint8Array.of(i));
    writeFileSync(path.join(parent, `file ${i}`), content);
  }
  writeFileSync(path.join(source, 'large'), contentOf(99, 3_000_000));
  return source;
}

/** Reads every pack by its header alone and compares with the index; returns the ids of all blobs. */
async function openAllPacks(repository: Repository, index: BlobIndex): Promise<string[]> {
  const tools = { sealer: repository.sealer, decompressor: new Decompressor() };
  const ids: string[] = [];
  for await (const { name, sizeBytes } of backend.list('pack')) {
    const handle = { type: 'pack', name } as const;
    const blobs = await readPackHeader(
      (range) => backend.get(handle, range),
      sizeBytes,
      tools.sealer,
    );
    expect(packSizeOf(blobs)).toBe(sizeBytes);
    const bytes = await backend.get(handle);
    for (const blob of blobs) {
      const plain = openBlob(bytes.subarray(blob.offset, blob.offset + blob.length), blob, tools);
      expect(hashOf(plain)).toEqual(blob.id);
      const entry = index
        .findAll(blob.type, blob.id)
        .find((each) => toHex(index.packId(index.packOf(each))) === name)!;
      expect(index.offsetOf(entry)).toBe(blob.offset);
      expect(index.lengthOf(entry)).toBe(blob.length);
      expect(index.uncompressedLengthOf(entry)).toBe(blob.uncompressedLength);
      ids.push(`${blob.type} ${toHex(blob.id)}`);
    }
  }
  return ids.sort();
}

/** The index file that lists just what `json` lists, in its order. */
function encodeAgain(json: Uint8Array): Uint8Array {
  const decoded = new DecodedIndex();
  decodeIndex(json, decoded);
  const packs = Array.from({ length: decoded.packCount }, (_, pack) => {
    const records = decoded.recordsOf(pack).slice();
    return { id: decoded.packId(pack), blobs: new PackedBlobs(new Uint8Array(records.buffer)) };
  });
  return encodeIndex(packs);
}

async function storeBlobs(
  repository: Repository,
  type: BlobType,
  contents: readonly Uint8Array[],
): Promise<void> {
  const { config, sealer, compression } = repository;
  const limits = { targetSizeBytes: 1 << 20, maxBlobSizeBytes: 1 << 20 };
  const builder = new PackBuilder({ version: config.version, sealer, compression, ...limits });
  const writer = new IndexWriter(repository);
  for (const [number, bytes] of contents.entries()) {
    builder.add(type, hashOf(bytes), bytes);
    if (!builder.isFull && number < contents.length - 1) continue;
    const pack = builder.finish();
    await backend.put({ type: 'pack', name: pack.id }, [pack.bytes]);
    await writer.add(pack.id, pack.blobs);
  }
  await writer.flush();
}

describeWith(['restic'], 'packs and indexes of restic', () => {
  test.each([
    [1, 'auto'],
    [2, 'off'],
    [2, 'max'],
  ] as const)('version %s, compression %s: are read, and written alike', async (version, mode) => {
    await create(version);
    const source = makeSource();
    restic(['backup', source, '--compression', mode, '--quiet']);
    writeFileSync(path.join(source, 'large'), contentOf(100, 2_000_000));
    restic(['backup', source, '--compression', mode, '--quiet']);
    const repository = await openRepository(backend, { environment, password: utf8('secret') });
    const index = await loadIndex(repository);
    expect(await namesOf('index')).toHaveLength(2);
    const listed = restic(['list', 'blobs']).toString().trim().split('\n').sort();
    expect(await openAllPacks(repository, index)).toEqual(listed);
    expect(index.blobCount).toBe(listed.length);
    for (const name of await namesOf('index')) {
      const json = await repository.loadUnpacked('index', name);
      expect(Buffer.compare(encodeAgain(json), json)).toBe(0);
    }
    const indexed = new IndexedRepository(repository, index);
    const small = contentOf(10, 7770);
    expect(await indexed.loadBlob('data', hashOf(small))).toEqual(small);
  });

  test.each([1, 2] as const)('version %i: takes packs and indexes of ours', async (version) => {
    const repository = await create(version);
    const contents = Array.from({ length: 50 }, (_, i) => contentOf(i, i * 3000));
    await storeBlobs(repository, 'data', contents);
    await storeBlobs(repository, 'tree', [emptyTree]);
    const time = { seconds: 1_700_000_000, nanoseconds: 0, offsetMinutes: 0 };
    await saveSnapshot(repository, { time, tree: toHex(hashOf(emptyTree)), paths: ['/empty'] });
    expect(restic(['check', '--read-data']).toString()).toContain('no errors were found');
    const listed = restic(['list', 'blobs']).toString().trim().split('\n');
    expect(listed).toHaveLength(51);
    for (const bytes of contents.slice(0, 3)) {
      const shown = restic(['cat', 'blob', toHex(hashOf(bytes))]);
      expect(Buffer.compare(shown, bytes)).toBe(0);
    }
    const json = await repository.loadUnpacked('index', (await namesOf('index')).at(0)!);
    const shown = restic(['cat', 'index', (await namesOf('index')).at(0)!]);
    expect(JSON.parse(shown.toString())).toEqual(JSON.parse(Buffer.from(json).toString()));
  });
});
