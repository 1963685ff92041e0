import { createHash } from 'node:crypto';

import type { Clock } from '../base/clock.ts';
import { systemEnvironment } from '../base/environment.ts';
import { systemRandom } from '../base/random.ts';
import type { SealKey } from '../kernels/seal.ts';
import type { CompressionMode } from '../kernels/zstd.ts';
import type { Backend } from '../storage/backend.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { type BlobType, PackedBlobs } from './blob.ts';
import { BlobIndex } from './blob-index.ts';
import { encodeIndex, type IndexedPack } from './index-file.ts';
import { loadIndexFiles, loadMarks } from './index-load.ts';
import { IndexedRepository } from './indexed.ts';
import { type FinishedPack, PackBuilder } from './pack.ts';
import { addMark, type PackMark } from './pack-marks.ts';
import { Repository } from './repository.ts';
import type { Id } from './id.ts';
import { encodeSnapshot, type Snapshot } from './snapshot-codec.ts';

/** An id made from a number: well spread, the same in every run. */
export function idOf(number: number | string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(`id ${number}`).digest());
}

/** SHA-256 by Node, not by the code under test. */
export function hashOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/** Flips one bit in place. */
export function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

/** Bytes that compress by about half, the same in every run. */
export function contentOf(seed: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = (seed + 1) * 0x9e3779b1;
  for (let i = 0; i < sizeBytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = (state >>> 24) & 15;
  }
  return bytes;
}

export interface TestRepositoryOptions {
  readonly backend?: Backend;
  readonly version?: 1 | 2;
  readonly compression?: CompressionMode;
  readonly clock?: Clock;
  readonly masterKey?: SealKey;
}

/** The master key of test repositories. */
export const testKey: SealKey = {
  encrypt: new Uint8Array(32).fill(1),
  macK: new Uint8Array(16).fill(2),
  macR: new Uint8Array(16).fill(3),
};

/** A repository without key derivation. */
export function testRepository(options: TestRepositoryOptions = {}): Repository {
  return new Repository({
    backend: options.backend ?? new MemoryBackend(),
    config: { version: options.version ?? 2, id: 'a'.repeat(64), polynomial: 0x3da3358b4dc173n },
    keyId: 'b'.repeat(64),
    masterKey: options.masterKey ?? testKey,
    options: {
      environment: { clock: options.clock ?? systemEnvironment.clock, random: systemRandom },
      password: new Uint8Array(),
      compression: options.compression ?? 'auto',
    },
  });
}

/** A pack of `contents`, stored. */
export async function storePack(
  repository: Repository,
  type: BlobType,
  contents: readonly Uint8Array[],
): Promise<FinishedPack> {
  const builder = new PackBuilder({
    version: repository.config.version,
    sealer: repository.sealer,
    compression: repository.compression,
    targetSizeBytes: 64 << 20,
    maxBlobSizeBytes: 1 << 16,
  });
  for (const bytes of contents) builder.add(type, hashOf(bytes), bytes);
  const pack = builder.finish();
  await repository.backend.put({ type: 'pack', name: pack.id }, [pack.bytes]);
  return pack;
}

/** Enters packs into a new index. */
export function indexOf(packs: readonly FinishedPack[]): BlobIndex {
  const index = BlobIndex.create();
  for (const pack of packs) {
    const number = index.addPack(new Uint8Array(Buffer.from(pack.id, 'hex')));
    for (const blob of pack.blobs.iterate()) {
      index.insert(blob.type, blob.id, { ...blob, pack: number });
    }
  }
  return index;
}

/** A repository with these packs in its index. */
export function indexedWith(
  repository: Repository,
  packs: readonly FinishedPack[],
): IndexedRepository {
  return new IndexedRepository(repository, indexOf(packs));
}

/** Made-up packs of an index file: `packCount` packs from number `start` on, of `blobCount` blobs each. */
export function madeUpPacks(
  start: number,
  packCount: number,
  blobCount: number,
): readonly IndexedPack[] {
  return Array.from({ length: packCount }, (_, pack) => {
    let offset = 0;
    const blobs = Array.from({ length: blobCount }, (_unused, blob) => {
      const id = idOf(`${start + pack} ${blob}`);
      const length = 32 + id.at(0)! * 100 + id.at(1)!;
      const result = {
        type: (id.at(2)! & 7) === 0 ? ('tree' as const) : ('data' as const),
        id,
        offset,
        length,
        uncompressedLength: (id.at(3)! & 3) === 0 ? 0 : length * 2,
      };
      offset += length;
      return result;
    });
    return { id: idOf(`pack ${start + pack}`), blobs: PackedBlobs.from(blobs) };
  });
}

/** Stores an index file that lists `packs`. */
export function saveIndex(repository: Repository, packs: readonly IndexedPack[]): Promise<string> {
  return repository.saveUnpacked('index', encodeIndex(packs));
}

/** All marks of a repository, one a pack. */
export async function loadAllMarks(repository: Repository): Promise<readonly PackMark[]> {
  const { markNames } = await loadIndexFiles(repository);
  const marks = new Map<Id, PackMark>();
  await loadMarks(repository, markNames, { onMark: (mark) => addMark(marks, mark) });
  return [...marks.values()];
}

/** Everything an index holds, sorted, for comparison. */
export function dumpIndex(index: BlobIndex): string[] {
  return Array.from({ length: index.blobCount }, (_, entry) =>
    [
      Buffer.from(index.packId(index.packOf(entry))).toString('hex'),
      index.typeOf(entry),
      Buffer.from(index.idOf(entry)).toString('hex'),
      index.offsetOf(entry),
      index.lengthOf(entry),
      index.uncompressedLengthOf(entry),
    ].join(' '),
  ).sort();
}

/** What an index of these packs holds, as `dumpIndex` has it. */
export function indexText(packs: readonly IndexedPack[]): string[] {
  const index = BlobIndex.create();
  for (const pack of packs) {
    const number = index.addPack(pack.id);
    for (const blob of pack.blobs.iterate()) {
      index.insert(blob.type, blob.id, { ...blob, pack: number });
    }
  }
  return dumpIndex(index);
}

/** Stores a snapshot without any proof of what it refers to. @returns its id */
export function saveSnapshot(repository: Repository, snapshot: Snapshot): Promise<Id> {
  return repository.saveUnpacked('snapshot', encodeSnapshot(snapshot));
}
