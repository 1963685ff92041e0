import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { systemRandom } from '../base/random.ts';
import { Sealer, sealOverheadBytes } from '../kernels/seal.ts';
import { type CompressionMode, compressBound, Decompressor } from '../kernels/zstd.ts';
import { BlobScratch } from './blob-scratch.ts';
import { contentOf, flipBit, hashOf, idOf, testKey } from './index-test-support.ts';
import {
  openBlob,
  type FinishedPack,
  packSizeOf,
  PackBuilder,
  type PackBuilderOptions,
  PackedBlobs,
  PackWorkspace,
  readPackedBlobs,
} from './pack.ts';

const sealer = new Sealer(testKey, systemRandom);

function builderWith(options: Partial<PackBuilderOptions> = {}): PackBuilder {
  return new PackBuilder({
    version: 2,
    sealer,
    compression: 'auto',
    targetSizeBytes: 100_000,
    maxBlobSizeBytes: 4096,
    ...options,
  });
}

/** Compares fast: the general comparison takes seconds a megabyte. */
function same(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): boolean {
  return (
    actual.length === expected.length &&
    actual.every((bytes, i) => Buffer.compare(bytes, expected.at(i)!) === 0)
  );
}

/** Opens every blob of a pack, from its header alone. */
function contentsOf(pack: FinishedPack): Uint8Array[] {
  const tools = { sealer, decompressor: new Decompressor() };
  return [...readPackedBlobs(pack.bytes, sealer).iterate()].map((blob) =>
    openBlob(pack.bytes.subarray(blob.offset, blob.offset + blob.length), blob, tools),
  );
}

describe('PackBuilder', () => {
  it('builds packs whose header, index entries and content agree', () => {
    const modes: CompressionMode[] = ['off', 'auto', 'fastest', 'better', 'max'];
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(300), fc.nat(20_000)), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(...modes),
        fc.constantFrom<(1 | 2)[]>(1, 2),
        fc.constantFrom<('data' | 'tree')[]>('data', 'tree'),
        (sizes, compression, version, type) => {
          const builder = builderWith({ compression, version, targetSizeBytes: 1 << 20 });
          const contents = sizes.map((size, i) => contentOf(i, size));
          let stored = 0;
          for (const bytes of contents) {
            stored += builder.add(type, hashOf(bytes), bytes).storedBytes;
          }
          expect(builder.blobCount).toBe(sizes.length);
          const pack = builder.finish();
          expect(builder.blobCount).toBe(0);
          expect(builder.sizeBytes).toBe(0);
          expect(pack.id).toBe(Buffer.from(hashOf(pack.bytes)).toString('hex'));
          expect(pack.type).toBe(type);
          expect(pack.bytes.byteLength).toBe(packSizeOf(pack.blobs.iterate()));
          expect(pack.bytes.byteLength).toBe(stored + 36);
          expect(same([readPackedBlobs(pack.bytes, sealer).bytes], [pack.blobs.bytes])).toBe(true);
          expect(same(contentsOf(pack), contents)).toBe(true);
          const mayCompress = version === 2 && (type === 'tree' || compression !== 'off');
          for (const blob of pack.blobs.iterate()) {
            const size = contents.find((c) => Buffer.compare(hashOf(c), blob.id) === 0)!.length;
            const isPlain = type === 'data' && blob.length - sealOverheadBytes === size;
            expect(blob.uncompressedLength).toBe(mayCompress && !isPlain ? size : 0);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is full at the target size and takes one blob of any size', () => {
    const builder = builderWith({
      compression: 'off',
      targetSizeBytes: 1000,
      maxBlobSizeBytes: 100,
    });
    const small = contentOf(1, 967);
    builder.add('data', hashOf(small), small);
    expect(builder.sizeBytes).toBe(999);
    expect(builder.isFull).toBe(false);
    const large = contentOf(2, 3_000_000);
    builder.add('data', hashOf(large), large);
    expect(builder.isFull).toBe(true);
    expect(() => builder.add('data', hashOf(small), small)).toThrow('finished first');
    expect(same(contentsOf(builder.finish()), [small, large])).toBe(true);
    builder.add('tree', hashOf(small), small);
    expect(contentsOf(builder.finish())).toEqual([small]);
  });

  it('holds one type of blob a pack', () => {
    const builder = builderWith();
    builder.add('data', hashOf(contentOf(1, 10)), contentOf(1, 10));
    expect(() => builder.add('tree', hashOf(contentOf(2, 10)), contentOf(2, 10))).toThrow(
      'one type',
    );
    expect(() => builderWith().finish()).toThrow('has blobs');
  });

  it('makes a header longer than its room', () => {
    const builder = builderWith({ targetSizeBytes: 64 << 20, maxBlobSizeBytes: 100 });
    const count = 40_000;
    for (let i = 0; i < count; i++) {
      const bytes = new Uint8Array(Uint32Array.of(i).buffer);
      builder.add('data', hashOf(bytes), bytes);
    }
    const pack = builder.finish();
    const blobs = readPackedBlobs(pack.bytes, sealer);
    expect(blobs.count).toBe(count);
    expect(same([blobs.bytes], [pack.blobs.bytes])).toBe(true);
  });

  it('stores large noise as it is, and large text compressed', () => {
    const builder = builderWith({ targetSizeBytes: 4 << 20, maxBlobSizeBytes: 1 << 20 });
    const text = contentOf(1, 600_000);
    const noise = new Uint8Array(600_000);
    for (let at = 0; at < noise.length; at += 32) noise.set(idOf(at).subarray(0, 32), at);
    for (const content of [text, noise]) builder.add('data', hashOf(content), content);
    const pack = builder.finish();
    const blobs = [...readPackedBlobs(pack.bytes, sealer).iterate()];
    expect(blobs.map((blob) => blob.uncompressedLength)).toEqual([600_000, 0]);
    expect(same(contentsOf(pack), [text, noise])).toBe(true);
  });

  it('counts nothing that does not read back', () => {
    const builder = builderWith();
    const good = contentOf(1, 500);
    builder.add('data', hashOf(good), good);
    const bad = contentOf(2, 500);
    expect(() => builder.add('data', hashOf(good), bad)).toThrow(
      expect.objectContaining({ code: 'VERIFY_FAILED' }),
    );
    expect(builder.blobCount).toBe(1);
    builder.add('data', hashOf(bad), bad);
    expect(contentsOf(builder.finish())).toEqual([good, bad]);
  });

  it.each(['compress', 'seal', 'decompress'] as const)('notices a broken %s', (step) => {
    class BrokenSealer extends Sealer {
      override sealInto(plain: Uint8Array, target: Uint8Array, offset: number): number {
        const size = super.sealInto(plain, target, offset);
        if (step === 'seal') flipBit(target, (offset + 20) * 8);
        return size;
      }
    }
    const workspace = new PackWorkspace({ compression: 'auto', maxBlobSizeBytes: 4096 });
    const { compressor, decompressor } = workspace;
    const compress = compressor.compress.bind(compressor);
    const decompress = decompressor.decompress.bind(decompressor);
    if (step === 'compress') {
      compressor.compress = (source, target) => compress(source.subarray(1), target);
    } else if (step === 'decompress') {
      decompressor.decompress = (source, target) => {
        const size = decompress(source, target);
        flipBit(target, 0);
        return size;
      };
    }
    const broken = new BrokenSealer(testKey, systemRandom);
    const builder = builderWith({ workspace, sealer: broken });
    const bytes = contentOf(1, 500);
    const failed = expect.objectContaining({ code: 'VERIFY_FAILED' });
    expect(() => builder.add('data', hashOf(bytes), bytes)).toThrow(failed);
    expect(() => builder.addUnhashed('data', bytes, () => true)).toThrow(failed);
    expect(builder.blobCount).toBe(0);
  });

  it('packs blobs that it hashes itself, and leaves out those that are not wanted', () => {
    const noise = new Uint8Array(600_000);
    for (let at = 0; at < noise.length; at += 32) noise.set(idOf(at).subarray(0, 32), at);
    const contents = [contentOf(1, 900), noise, contentOf(2, 0), contentOf(3, 70_000)];
    for (const version of [1, 2] as const) {
      const builder = builderWith({ version, targetSizeBytes: 4 << 20 });
      const asked: string[] = [];
      for (const content of contents) {
        for (const isNew of [false, true]) {
          const before = builder.sizeBytes;
          const added = builder.addUnhashed('data', content, (id) => {
            asked.push(Buffer.from(id).toString('hex'));
            return isNew;
          });
          expect(added !== undefined).toBe(isNew);
          expect(builder.sizeBytes > before).toBe(isNew);
        }
      }
      const ids = contents.map((content) => Buffer.from(hashOf(content)).toString('hex'));
      expect(asked).toEqual(ids.flatMap((id) => [id, id]));
      const pack = builder.finish();
      expect([...pack.blobs.iterate()].map(({ id }) => Buffer.from(id).toString('hex'))).toEqual(
        ids,
      );
      expect(same(contentsOf(pack), contents)).toBe(true);
    }
  });

  it('builds in the memory that it is given, and gives back what is too small', () => {
    const given = [new SharedArrayBuffer(1 << 20), new SharedArrayBuffer(100)];
    const returned: unknown[] = [];
    const builder = builderWith({
      takeBuffer: () => new Uint8Array(given.shift() ?? new SharedArrayBuffer(0)),
      returnBuffer: (buffer) => returned.push(buffer.buffer),
    });
    const [large, small] = given;
    const bytes = contentOf(1, 5000);
    builder.add('data', hashOf(bytes), bytes);
    const first = builder.finish();
    expect(first.bytes.buffer).toBe(large);
    expect(contentsOf(first)).toEqual([bytes]);
    builder.add('data', hashOf(bytes), bytes);
    const second = builder.finish();
    expect(second.bytes.buffer).not.toBe(small);
    expect(returned).toEqual([small]);
    expect(contentsOf(second)).toEqual([bytes]);
  });

  it('shares a workspace between builders of a thread', () => {
    const workspace = new PackWorkspace({ compression: 'auto', maxBlobSizeBytes: 4096 });
    const data = builderWith({ workspace });
    const tree = builderWith({ workspace });
    for (let i = 0; i < 5; i++) {
      data.add('data', hashOf(contentOf(i, 3000)), contentOf(i, 3000));
      tree.add('tree', hashOf(contentOf(i, 900)), contentOf(i, 900));
    }
    expect(
      same(
        contentsOf(data.finish()),
        [0, 1, 2, 3, 4].map((i) => contentOf(i, 3000)),
      ),
    ).toBe(true);
    expect(
      same(
        contentsOf(tree.finish()),
        [0, 1, 2, 3, 4].map((i) => contentOf(i, 900)),
      ),
    ).toBe(true);
  });
});

describe('openBlob', () => {
  const bytes = contentOf(3, 2000);
  const builder = builderWith();
  builder.add('data', hashOf(bytes), bytes);
  const pack = builder.finish();
  const blob = pack.blobs.at(0);
  const sealed = pack.bytes.slice(0, blob.length);
  const tools = { sealer, decompressor: new Decompressor() };
  const damaged = expect.objectContaining({ code: 'BLOB_DAMAGED' });

  it('opens into a target that is large enough', () => {
    const target = new BlobScratch(3000);
    const opened = openBlob(sealed, blob, { ...tools, target });
    expect(opened.buffer).toBe(target.take(3000).buffer);
    expect(opened).toEqual(bytes);
    const small = new BlobScratch(1999);
    expect(openBlob(sealed, blob, { ...tools, target: small })).toEqual(bytes);
    expect(small.take(1999)).toEqual(new Uint8Array(1999));
  });

  it('notices every flipped bit, every cut and every wrong claim', () => {
    for (let i = 0; i < sealed.length * 8; i += 13) {
      const flipped = sealed.slice();
      flipBit(flipped, i);
      expect(() => openBlob(flipped, blob, tools)).toThrow(damaged);
    }
    for (const size of [0, 1, 31, 32, 33, sealed.length - 1]) {
      expect(() => openBlob(sealed.subarray(0, size), blob, tools)).toThrow(damaged);
    }
    for (const uncompressedLength of [0, 1, 1999, 2001, 2 ** 32 - 1]) {
      expect(() => openBlob(sealed, { ...blob, uncompressedLength }, tools)).toThrow(damaged);
    }
    expect(() => openBlob(sealed, { ...blob, id: hashOf(sealed) }, tools)).toThrow(damaged);
  });

  it('holds a decompression bomb to the declared size and that to the limits', () => {
    const zeros = new Uint8Array(8 << 20);
    const large = builderWith({ maxBlobSizeBytes: zeros.length });
    large.add('data', hashOf(zeros), zeros);
    const bomb = large.finish();
    const real = bomb.blobs.at(0);
    const part = bomb.bytes.subarray(0, real.length);
    expect(real.length).toBeLessThan(2000);
    expect(() => openBlob(part, { ...real, uncompressedLength: 1000 }, tools)).toThrow(damaged);
    const huge = { ...real, uncompressedLength: (64 << 20) + 1 };
    expect(() => openBlob(part, huge, tools)).toThrow(/larger than allowed/);
    const tree = { ...real, type: 'tree' } as const;
    expect(() => openBlob(part, tree, { ...tools, treeSizeBytesMax: 1 << 20 })).toThrow(
      /larger than allowed/,
    );
    expect(same([openBlob(part, tree, tools)], [zeros])).toBe(true);
  });
});

describe('PackedBlobs', () => {
  it('survives a transfer as its bytes', () => {
    const blobs = [
      { type: 'data', id: hashOf(contentOf(1, 1)), offset: 0, length: 33, uncompressedLength: 0 },
      { type: 'data', id: hashOf(contentOf(2, 1)), offset: 33, length: 44, uncompressedLength: 9 },
    ] as const;
    const packed = PackedBlobs.from(blobs);
    const moved = structuredClone(packed.bytes, { transfer: [packed.bytes.buffer] });
    expect([...new PackedBlobs(moved).iterate()]).toEqual(blobs);
    expect(packSizeOf(blobs)).toBe(33 + 37 + 44 + 41 + 36);
    expect(compressBound(1) + sealOverheadBytes).toBeGreaterThan(33);
  });
});
