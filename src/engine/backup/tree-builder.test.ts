import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { toHex } from '../../base/bytes.ts';
import { localZone } from '../../repository/time-format.ts';
import { TreeEncoder, type TreeNode } from '../../repository/tree.ts';
import type { Backend } from '../../storage/backend.ts';
import { MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { record } from '../../storage/record.ts';
import {
  backUpHeard,
  describeFolder,
  describeStored,
  type TestFolder,
  TestSource,
  treeReaderOf,
} from './backup-test-support.ts';
import { nodeOf } from './node.ts';

const folders: fc.Arbitrary<TestFolder> = fc.letrec<{
  folder: TestFolder;
  item: TestFolder[string];
}>((tie) => ({
  folder: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), tie('item'), { maxKeys: 5 }),
  item: fc.oneof(
    { depthIdentifier: 'folders', maxDepth: 5 },
    fc.constantFrom('', 'target', 'x'.repeat(4000)),
    tie('folder'),
    tie('folder'),
  ),
})).folder;

/** The tree id by plain recursion. */
function plainTreeId(
  source: TestSource,
  entry?: ReturnType<TestSource['root']>['entries'][number],
) {
  const { entries } = entry ? source.list(entry) : source.root();
  const encoder = new TreeEncoder(localZone);
  for (const each of entries) {
    const node = nodeOf(each, {});
    if (node.type === 'dir') node.subtree = Buffer.from(plainTreeId(source, each), 'hex');
    encoder.add(node);
  }
  return toHex(sha256(encoder.finish()));
}

describe('trees of a backup', () => {
  test('are those of plain recursion, stored whole', async () => {
    const property = fc.asyncProperty(folders, folders, async (first, second) => {
      const backend = new MemoryBackend();
      for (const made of [{ first }, { first, second }, { first: second, second: first }]) {
        const { treeId, complaints } = await backUpHeard(new TestSource(made), { backend });
        expect(complaints).toEqual([]);
        expect(treeId).toBe(plainTreeId(new TestSource(made)));
        expect(await describeStored({ backend }, treeId)).toEqual(describeFolder(made));
      }
    });
    await fc.assert(property, { numRuns: 8 });
  });

  test('may be 5,000 deep', async () => {
    let deep: TestFolder = { bottom: 'reached' };
    for (let level = 0; level < 5_000; level++) deep = { l: deep, x: '' };
    const backend = record(new MemoryBackend());
    const { treeId, summary } = await backUpHeard(new TestSource(deep), { backend });
    expect(summary).toMatchObject({ dirsNew: 5_000 });
    const lines = await countDepth(backend, treeId);
    expect(lines).toBe(5_000);
    backend.reset();
    const again = await backUpHeard(new TestSource(deep), { backend });
    expect(again.treeId).toBe(treeId);
    expect(again.summary).toMatchObject({ dirsUnmodified: 5_000, treeBlobs: 0 });
    expect(backend.count({ operation: 'put', type: 'pack' })).toBe(0);
  });

  test('leave out what cannot be listed, and keep the rest', async () => {
    const error = new HoldfastError('PERMISSION_DENIED');
    const folder = { a: { closed: error, open: { x: '' } }, closed: error };
    const backend = new MemoryBackend();
    const { treeId, complaints } = await backUpHeard(new TestSource(folder), { backend });
    expect(await describeStored({ backend }, treeId)).toEqual([
      'dir /a',
      'dir /a/open',
      'fifo /a/open/x',
    ]);
    expect(complaints).toEqual(['/a/closed: permission denied', '/closed: permission denied']);
  });
});

/** Levels of directories in each other, down to the link at the bottom. */
async function countDepth(backend: Backend, treeId: string): Promise<number> {
  const reader = await treeReaderOf({ backend });
  let depth = 0;
  let next: Uint8Array | undefined = Buffer.from(treeId, 'hex');
  while (next) {
    const nodes: readonly TreeNode[] = [...(await reader.load(next))];
    next = nodes.find((node) => node.subtree)?.subtree;
    if (next) depth++;
    else expect(Buffer.from(nodes[0]?.linkTarget ?? []).toString()).toBe('reached');
  }
  return depth;
}
