import { expect, test } from 'vitest';
import { Decompressor } from '../kernels/zstd.ts';
import { openBlob, openTree } from './blob-open.ts';
import { flipBit, hashOf, testRepository } from './index-test-support.ts';
import { type FinishedPack, PackBuilder, PackWorkspace } from './pack.ts';
import { BlobPieces } from './pack-pieces.ts';
import { utcZone } from './time-format.ts';
import { nodesOf, TreeEncoder } from './tree.ts';
import { fileNode } from './tree-test-support.ts';

const pieceBytes = 8 << 20;
const count = 60_000;

function largeTree(): Uint8Array {
  const encoder = new TreeEncoder(utcZone);
  for (let i = 0; i < count; i++) encoder.add(fileNode(`file-${String(i).padStart(6, '0')}`));
  return encoder.finish();
}

function packed(version: 1 | 2, tree: Uint8Array, id: Uint8Array): FinishedPack {
  const { sealer, compression } = testRepository({ version });
  const options = { compression, maxBlobSizeBytes: 8 << 20 };
  const workspace = new PackWorkspace(options);
  const pieces = new BlobPieces(workspace, version === 2);
  for (let at = 0; at < tree.byteLength; at += pieceBytes) {
    pieces.add(tree.subarray(at, at + pieceBytes));
  }
  const builder = new PackBuilder({ ...options, version, sealer, workspace, targetSizeBytes: 1 });
  builder.addPieces(id, pieces);
  return builder.finish();
}

test('a tree that came in pieces is read in pieces, and as one blob by others', () => {
  const tree = largeTree();
  const id = hashOf(tree);
  const { sealer } = testRepository({});
  const tools = { sealer, decompressor: new Decompressor() };
  for (const version of [1, 2] as const) {
    const { blobs, bytes } = packed(version, tree, id);
    const blob = blobs.at(0);
    expect(blob.uncompressedLength).toBe(version === 1 ? 0 : tree.byteLength);
    const sealed = bytes.slice(blob.offset, blob.offset + blob.length);
    expect(Buffer.compare(openBlob(sealed, blob, tools), tree)).toBe(0);
    const opened = openTree(sealed, blob, tools);
    expect(opened.whole === undefined).toBe(version === 2);
    expect(opened.sizeBytes).toBe(tree.byteLength);
    expect(nodesOf(opened)).toHaveLength(count);
    flipBit(sealed, 1000);
    const damaged = expect.objectContaining({ code: 'BLOB_DAMAGED' });
    expect(() => openTree(sealed, blob, tools)).toThrow(damaged);
    flipBit(sealed, 1000);
    expect(() => openTree(sealed, { ...blob, id: hashOf(id) }, tools)).toThrow(damaged);
  }
  const verifyFailed = expect.objectContaining({ code: 'VERIFY_FAILED' });
  expect(() => packed(2, tree, hashOf(id))).toThrow(verifyFailed);
});
