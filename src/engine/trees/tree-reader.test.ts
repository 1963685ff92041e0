import { describe, expect, test } from 'vitest';

import { toHex } from '../../base/bytes.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { idOf, testRepository } from '../../repository/index-test-support.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { memoryKey } from '../../storage/memory/memory-backend.ts';
import { record } from '../../storage/record.ts';
import { madeSpecial, SnapshotMaker } from '../engine-test-support.ts';
import { TreeReader } from './tree-reader.ts';

/** Some trees in one pack. */
async function someTrees(): Promise<{
  maker: SnapshotMaker;
  trees: readonly Uint8Array[];
  indexed: IndexedRepository;
}> {
  const maker = new SnapshotMaker();
  const trees = ['a', 'b', 'c'].map((name) => maker.folder({ [name]: madeSpecial('fifo') }));
  await maker.store();
  return { maker, trees, indexed: await maker.indexed() };
}

function namesOf(nodes: Iterable<{ readonly name: Uint8Array }>): string[] {
  return Array.from(nodes, ({ name }) => Buffer.from(name).toString());
}

describe('a tree reader', () => {
  test('reads all trees of a pack at once', async () => {
    const { maker, trees, indexed } = await someTrees();
    const recorder = record(maker.backend);
    const repository = testRepository({ backend: recorder });
    const reader = new TreeReader(new IndexedRepository(repository, indexed.index), {});
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      expect(namesOf(await reader.load(trees[i] ?? idOf(0)))).toEqual([name]);
    }
    expect(recorder.calls.length).toBe(1);
  });

  test('finds another copy of a tree that is damaged, and says if there is none', async () => {
    const { maker, trees } = await someTrees();
    const [first = idOf(0), second = idOf(0)] = trees;
    const [pack] = maker.packs;
    if (!pack) throw new Error('no pack');
    const copy = await (await maker.indexed()).loadBlob('tree', first);
    const file = maker.backend.files.get(memoryKey({ type: 'pack', name: pack.id }));
    for (const blob of pack.blobs.iterate()) {
      const isHit = [first, second].some((id) => Buffer.compare(id, blob.id) === 0);
      if (isHit && file) file[blob.offset + 20] = (file[blob.offset + 20] ?? 0) ^ 1;
    }
    maker.blob('tree', copy);
    await maker.store();
    const reader = new TreeReader(await maker.indexed(), {});
    expect(namesOf(await reader.load(first))).toEqual(['a']);
    await expect(reader.load(second)).rejects.toMatchObject({ code: 'BLOB_DAMAGED' });
    await expect(reader.load(idOf('none'))).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  test('reads no more of a pack than the index says', async () => {
    const { maker, trees, indexed } = await someTrees();
    const [pack] = maker.packs;
    const key = memoryKey({ type: 'pack', name: pack?.id ?? '' });
    const file = maker.backend.files.get(key) ?? new Uint8Array();
    maker.backend.files.set(key, Buffer.concat([file, Buffer.alloc(1 << 20)]));
    let bytesRead = 0;
    const get = maker.backend.get.bind(maker.backend);
    maker.backend.get = async (handle, range, options) => {
      const bytes = await get(handle, range, options);
      bytesRead += bytes.byteLength;
      return bytes;
    };
    const reader = new TreeReader(indexed, {});
    expect(namesOf(await reader.load(trees[0] ?? idOf(0)))).toEqual(['a']);
    expect(bytesRead).toBeLessThan(file.byteLength);
  });

  test('does not read a pack whole that is too large for one', async () => {
    const { maker, trees, indexed } = await someTrees();
    const index = BlobIndex.create();
    const { index: truth } = indexed;
    const pack = index.addPack(truth.packId(0));
    for (let entry = 0; entry < truth.blobCount; entry++) {
      index.insert('tree', truth.idOf(entry), {
        pack,
        offset: truth.offsetOf(entry),
        length: truth.lengthOf(entry),
        uncompressedLength: truth.uncompressedLengthOf(entry),
      });
    }
    const far = { pack, offset: 0xf000_0000, length: 100, uncompressedLength: 0 };
    index.insert('tree', idOf('far'), far);
    const reader = new TreeReader(new IndexedRepository(maker.repository, index), {});
    for (const tree of trees) expect(await reader.load(tree), toHex(tree)).toHaveLength(1);
    await expect(reader.load(idOf('far'))).rejects.toMatchObject({ code: 'BLOB_DAMAGED' });
  });
});
