import { assert } from '../base/assert.ts';
import { equalBytes, toHex, utf8 } from '../base/bytes.ts';
import type { IndexPart } from './blob-index.ts';
import { type Id, idBytes, idSizeBytes } from './id.ts';

/** A file of the cache that holds some of the index. */
export interface IndexCacheSegment {
  /** Random, 16 bytes; names the file and stands in it. */
  readonly id: Uint8Array;
  readonly part: IndexPart;
  /** Units of that part. */
  readonly count: number;
}

/** What a cache of the index consists of, and what it was made from. */
export interface IndexCacheManifest {
  readonly repositoryId: Id;
  /** Secret and number of slots of the index. */
  readonly shape: { readonly seed: Uint8Array; readonly slotBits: number };
  readonly blobCount: number;
  readonly packCount: number;
  /** Names of the index files. */
  readonly names: readonly Id[];
  /** Those of them that mark packs as to be deleted. */
  readonly markNames: readonly Id[];
  /** Part after part, each in the order of its units. */
  readonly segments: readonly IndexCacheSegment[];
}

/** Changes with every change of the layout, here or of the records. */
const magic = utf8('holdfast index 2');
const parts: readonly IndexPart[] = ['packs', 'blobs', 'slots'];
const segmentIdSizeBytes = 16;
const segmentSizeBytes: number = segmentIdSizeBytes + 8;
const countsStart: number = magic.length + 2 * idSizeBytes;
const headSizeBytes: number = countsStart + 24;

/**
 * The manifest as bytes, not sealed yet; integers are little-endian of 32 bits. The layout is ours, and may change
 * with `magic`: head (magic, repository id, seed, six numbers), ids of 32 bytes, and segments of 24 bytes.
 */
export function encodeManifest(manifest: IndexCacheManifest): Uint8Array<ArrayBuffer> {
  const { segments } = manifest;
  const names = [...manifest.names, ...manifest.markNames];
  const namesSizeBytes = names.length * idSizeBytes;
  const bytes = new Uint8Array(headSizeBytes + namesSizeBytes + segments.length * segmentSizeBytes);
  const view = new DataView(bytes.buffer);
  const { seed, slotBits } = manifest.shape;
  assert(seed.length === idSizeBytes, 'the seed of an index has 32 bytes');
  bytes.set(magic);
  bytes.set(idBytes(manifest.repositoryId), magic.length);
  bytes.set(seed, magic.length + idSizeBytes);
  view.setUint32(countsStart, manifest.blobCount, true);
  view.setUint32(countsStart + 4, manifest.packCount, true);
  view.setUint32(countsStart + 8, manifest.names.length, true);
  view.setUint32(countsStart + 12, segments.length, true);
  view.setUint32(countsStart + 16, slotBits, true);
  view.setUint32(countsStart + 20, manifest.markNames.length, true);
  let at = headSizeBytes;
  for (const name of names) {
    bytes.set(idBytes(name), at);
    at += idSizeBytes;
  }
  for (const segment of segments) {
    bytes.set(segment.id, at);
    view.setUint32(at + segmentIdSizeBytes, parts.indexOf(segment.part), true);
    view.setUint32(at + segmentIdSizeBytes + 4, segment.count, true);
    at += segmentSizeBytes;
  }
  return bytes;
}

/** The manifest, or undefined if the bytes are none, or one of another version of the layout. */
export function decodeManifest(bytes: Uint8Array): IndexCacheManifest | undefined {
  if (bytes.length < headSizeBytes) return undefined;
  if (!equalBytes(bytes.subarray(0, magic.length), magic)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nameCount = view.getUint32(countsStart + 8, true);
  const markNameCount = view.getUint32(countsStart + 20, true);
  const namesEnd = headSizeBytes + (nameCount + markNameCount) * idSizeBytes;
  const segmentCount = view.getUint32(countsStart + 12, true);
  if (bytes.length !== namesEnd + segmentCount * segmentSizeBytes) return undefined;
  const names = Array.from({ length: nameCount + markNameCount }, (_, number) => {
    const at = headSizeBytes + number * idSizeBytes;
    return toHex(bytes.subarray(at, at + idSizeBytes));
  });
  const segments = Array.from({ length: segmentCount }, (_, number): IndexCacheSegment => {
    const at = namesEnd + number * segmentSizeBytes;
    return {
      id: bytes.slice(at, at + segmentIdSizeBytes),
      part: parts[view.getUint32(at + segmentIdSizeBytes, true)] ?? 'slots',
      count: view.getUint32(at + segmentIdSizeBytes + 4, true),
    };
  });
  return {
    repositoryId: toHex(bytes.subarray(magic.length, magic.length + idSizeBytes)),
    shape: {
      seed: bytes.slice(magic.length + idSizeBytes, countsStart),
      slotBits: view.getUint32(countsStart + 16, true),
    },
    blobCount: view.getUint32(countsStart, true),
    packCount: view.getUint32(countsStart + 4, true),
    names: names.slice(0, nameCount),
    markNames: names.slice(nameCount),
    segments,
  };
}
