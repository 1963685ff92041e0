import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { treeDifferences } from '../tools/compare.ts';
import {
  backUp,
  checkAll,
  initRepository,
  listSnapshots,
  restoreLatest,
  singleThreaded,
} from '../tools/engine.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticBackup, resticTrees } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { holdsFor, seedsOf, testScale } from '../tools/seeds.ts';
import { treeArbitrary } from '../tools/tree-arbitrary.ts';
import { makeTree } from '../tools/tree-spec.ts';

const scratch = scratchFolder('interop');
const seeds = seedsOf('trees that restic and Holdfast share');

/** A folder with a generated tree `tree` in it, and room beside. */
async function forEachTree(seed: number, action: (work: string) => Promise<void>): Promise<void> {
  const property = fc.asyncProperty(treeArbitrary(), async (items) => {
    const work = scratch.fresh('case');
    makeTree(work, []);
    makeTree(`${work}/tree`, items);
    try {
      await action(work);
    } finally {
      scratch.remove(work);
    }
  });
  await holdsFor(property, { seed, numRuns: 3 });
}

vi.setConfig({ testTimeout: 300_000 * testScale });

describeWith(['restic', 'rsync', 'bsdtar', 'root'], 'a generated tree', () => {
  test.each(seeds)('that Holdfast stores is restored equal by restic (seed %i)', async (seed) => {
    await forEachTree(seed, async (work) => {
      const repository = `${work}/repository`;
      await initRepository(repository);
      const first = await backUp(repository, ['tree'], {
        environment: singleThreaded,
        source: { workingDirectory: work },
      });
      expect(first.complaints).toEqual([]);
      await mustRestic(repository, ['check', '--read-data']);
      await mustRestic(repository, ['restore', 'latest', '--target', `${work}/theirs`]);
      expect(await treeDifferences(`${work}/tree`, `${work}/theirs/tree`)).toEqual([]);
      const restored = await restoreLatest(repository, `${work}/ours`);
      expect(restored.complaints).toEqual([]);
      expect(await treeDifferences(`${work}/tree`, `${work}/ours/tree`)).toEqual([]);
      const again = await resticBackup(repository, ['tree'], { cwd: work });
      expect(new Set(await resticTrees(repository)).size).toBe(1);
      expect(again).toMatchObject({ files_new: 0, files_changed: 0, data_blobs: 0, tree_blobs: 0 });
    });
  });

  test.each(seeds)('that restic stores is restored equal by Holdfast (seed %i)', async (seed) => {
    await forEachTree(seed, async (work) => {
      const repository = `${work}/repository`;
      await initRepository(repository);
      await resticBackup(repository, ['tree'], { cwd: work });
      expect((await checkAll(repository)).errors).toEqual([]);
      const restored = await restoreLatest(repository, `${work}/ours`);
      expect(restored.complaints).toEqual([]);
      expect(await treeDifferences(`${work}/tree`, `${work}/ours/tree`)).toEqual([]);
      const again = await backUp(repository, ['tree'], {
        environment: singleThreaded,
        source: { workingDirectory: work },
      });
      expect(again.complaints).toEqual([]);
      const trees = (await listSnapshots(repository)).map((snapshot) => snapshot.tree);
      expect(new Set(trees).size).toBe(1);
      expect(again.summary).toMatchObject({ filesNew: 0, filesChanged: 0, dataBlobs: 0 });
      expect(again.summary.treeBlobs).toBe(0);
    });
  });
});
