import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DiffStatistics, diffTrees } from './diff.ts';
import { TreeFixture, type TreeSpec } from './tree-test-support.ts';

interface Compared {
  readonly changes: string[];
  readonly statistics: DiffStatistics;
}

async function compare(
  fixture: TreeFixture,
  [before, after]: readonly [Uint8Array, Uint8Array],
  metadata = false,
): Promise<Compared> {
  const changes: string[] = [];
  const onChange = ({ path, modifier }: { path: Uint8Array; modifier: string }): void => {
    changes.push(`${modifier} ${Buffer.from(path).toString()}`);
  };
  const request = { before, after, metadata, onChange };
  const statistics = await diffTrees(fixture.indexed, request, fixture.context);
  return { changes, statistics };
}

async function diffOf(before: TreeSpec, after: TreeSpec, metadata = false): Promise<Compared> {
  const fixture = await TreeFixture.create();
  return compare(fixture, [await fixture.put(before), await fixture.put(after)], metadata);
}

function file(content: Uint8Array) {
  return { type: 'file', sizeBytes: 2, content } as const;
}

const mirrored: Readonly<Record<string, string>> = { '+': '-', '-': '+' };

/** Lines with their signs turned round. Where a type changed, the slash at the end tells the new type: left out. */
function mirror(lines: readonly string[]): string[] {
  return lines
    .filter((line) => !line.startsWith('T'))
    .map((line) => (mirrored[line[0] ?? ''] ?? line[0]) + line.slice(1));
}

describe('changes', () => {
  test('are told in the order of names', async () => {
    const { changes, statistics } = await diffOf(
      {
        a: 'old',
        gone: { x: '1', y: { z: '2' } },
        link: { type: 'symlink', linkTarget: Buffer.from('a') },
        same: { s: 's' },
      },
      { a: 'new', fresh: { n: '1' }, link: 'now a file', same: { s: 's' } },
    );
    expect(changes).toEqual([
      'M? /a',
      '+ /fresh/',
      '+ /fresh/n',
      '- /gone/',
      '- /gone/x',
      '- /gone/y/',
      '- /gone/y/z',
      'T /link',
    ]);
    expect(statistics).toMatchObject({
      changedFiles: 1,
      added: { files: 1, dirs: 1, others: 0 },
      removed: { files: 2, dirs: 2, others: 0 },
    });
  });

  test('of metadata are told when asked for', async () => {
    const before = {
      f: { type: 'file', uid: 1 },
      g: { type: 'file', ctime: { seconds: 1, nanoseconds: 0 } },
    } as const;
    const after = {
      f: { type: 'file', uid: 2 },
      g: { type: 'file', ctime: { seconds: 1, nanoseconds: 0, offsetMinutes: 60 } },
    } as const;
    expect((await diffOf(before, after)).changes).toEqual([]);
    expect((await diffOf(before, after, true)).changes).toEqual(['U /f']);
  });

  test('of content alone are damage', async () => {
    const fixture = await TreeFixture.create();
    const [one, two] = await Promise.all([
      fixture.blob('data', Buffer.from('12')),
      fixture.blob('data', Buffer.from('13')),
    ]);
    const trees = [
      await fixture.put({ f: file(one) }),
      await fixture.put({ f: file(two) }),
    ] as const;
    expect((await compare(fixture, trees)).changes).toEqual(['M? /f']);
  });

  test('stop at a tree that cannot be read: a comparison with holes would mislead', async () => {
    const fixture = await TreeFixture.create();
    const lost = await fixture.put({ x: '1' });
    const trees = [
      await fixture.put({ a: { x: '1' } }),
      await fixture.put({ a: { x: '2' } }),
    ] as const;
    fixture.lose('tree', lost);
    await expect(compare(fixture, trees)).rejects.toMatchObject({ code: 'BLOB_DAMAGED' });
  });
});

describe('blobs', () => {
  test('that only moved are neither added nor removed', async () => {
    const { statistics } = await diffOf({ a: { x: 'moved' }, b: {} }, { a: {}, b: { x: 'moved' } });
    expect(statistics.added).toMatchObject({ files: 1, dataBlobs: 0, treeBlobs: 1 });
    expect(statistics.removed).toMatchObject({ files: 1, dataBlobs: 0, treeBlobs: 1 });
  });

  test('of a folder that is the same on both sides are not counted', async () => {
    const { statistics } = await diffOf(
      { keep: { x: 'shared' }, y: 'shared' },
      { keep: { x: 'shared' } },
    );
    expect(statistics.removed).toMatchObject({ files: 1, dataBlobs: 0 });
  });
});

test('a diff and its reverse mirror each other', async () => {
  const tree = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(
      fc.constantFrom('', '1', '2'),
      fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2')),
    ),
  ) as fc.Arbitrary<TreeSpec>;
  const fixture = await TreeFixture.create();
  await fc.assert(
    fc.asyncProperty(tree, tree, async (one, two) => {
      const [before, after] = [await fixture.put(one), await fixture.put(two)];
      const there = await compare(fixture, [before, after]);
      const back = await compare(fixture, [after, before]);
      expect(back.statistics).toEqual({
        changedFiles: there.statistics.changedFiles,
        added: there.statistics.removed,
        removed: there.statistics.added,
      });
      expect(new Set(mirror(there.changes))).toEqual(new Set(mirror(mirror(back.changes))));
      if (Buffer.compare(before, after) === 0) expect(there.changes).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
