import { beforeAll, expect, test } from 'vitest';
import { type Environment, systemEnvironment } from '../../src/base/environment.ts';
import type { CompressionMode } from '../../src/kernels/zstd.ts';
import { treeDifferences } from '../tools/compare.ts';
import {
  backUp,
  checkAll,
  initRepository,
  listSnapshots,
  restoreLatest,
  singleThreaded,
} from '../tools/engine.ts';
import { hazardTree, modestHazardTree } from '../tools/hazard-tree.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticBackup, resticTrees } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { testScale } from '../tools/seeds.ts';
import { makeTree } from '../tools/tree-spec.ts';

interface Mode {
  readonly version: 1 | 2;
  readonly compression: CompressionMode;
  readonly packSizeMiB: number;
}

/** Both versions, all modes of compression, packs from the smallest to large ones; the usual one first. */
const allModes: readonly Mode[] = [
  { version: 2, compression: 'auto', packSizeMiB: 16 },
  { version: 1, compression: 'auto', packSizeMiB: 16 },
  { version: 2, compression: 'off', packSizeMiB: 4 },
  { version: 2, compression: 'max', packSizeMiB: 64 },
  { version: 2, compression: 'fastest', packSizeMiB: 128 },
  { version: 2, compression: 'better', packSizeMiB: 5 },
  { version: 1, compression: 'off', packSizeMiB: 4 },
];
/** In the long form all have the whole tree. In CI the usual one has, and the others, but for the last, a modest one. */
const modes: readonly (Mode & { readonly tree: string })[] =
  testScale > 1
    ? allModes.map((mode) => ({ ...mode, tree: 'whole' }))
    : allModes.slice(0, -1).map((mode, i) => ({ ...mode, tree: i === 0 ? 'whole' : 'modest' }));

const scratch = scratchFolder('interop');
const here = { source: { workingDirectory: scratch.path } };

/** Threads for the whole tree; for the modest one to start them would take longer than all else. */
function environmentOf(tree: string): Environment {
  return tree === 'whole' ? systemEnvironment : singleThreaded;
}

describeWith(['restic', 'rsync', 'bsdtar', 'root'], 'the hazard tree', () => {
  beforeAll(() => {
    makeTree(`${scratch.path}/whole`, hazardTree());
    makeTree(`${scratch.path}/modest`, modestHazardTree());
  });

  test.each(modes)('stored by restic: %o', async ({ version, compression, packSizeMiB, tree }) => {
    const repository = scratch.fresh('theirs');
    // Not ours in anything, the first time: restic makes the keys and the config, too. Its keys take it half a second each time.
    if (tree === 'whole') {
      await mustRestic(repository, ['init', '--repository-version', String(version)]);
    } else await initRepository(repository, { version });
    const settings = ['--compression', compression, '--pack-size', String(packSizeMiB)];
    await resticBackup(repository, [...settings, tree], { cwd: scratch.path });
    const environment = environmentOf(tree);
    const checked = await checkAll(repository, undefined, environment);
    expect(checked.errors).toEqual([]);
    expect(checked.hints).toEqual([]);
    const target = scratch.fresh('restored');
    expect((await restoreLatest(repository, target, { environment })).complaints).toEqual([]);
    expect(await treeDifferences(`${scratch.path}/${tree}`, `${target}/${tree}`)).toEqual([]);
    const again = await backUp(repository, [tree], {
      ...here,
      environment,
      options: { force: true },
    });
    expect(again.complaints).toEqual([]);
    expect(again.summary).toMatchObject({ dataBlobs: 0, treeBlobs: 0, dataAdded: 0 });
    const trees = (await listSnapshots(repository)).map((snapshot) => snapshot.tree);
    expect(new Set(trees).size).toBe(1);
    await mustRestic(repository, ['check']);
    for (const place of [repository, target]) scratch.remove(place);
  });

  test.each(modes)(
    'stored by Holdfast: %o',
    async ({ version, compression, packSizeMiB, tree }) => {
      const repository = scratch.fresh('ours');
      await initRepository(repository, { version });
      const environment = environmentOf(tree);
      const engine = { environment, compression, packSizeBytes: packSizeMiB << 20 };
      const first = await backUp(repository, [tree], { ...here, ...engine });
      expect(first.complaints).toEqual([]);
      await mustRestic(repository, ['check', '--read-data']);
      const target = scratch.fresh('restored');
      await mustRestic(repository, ['restore', 'latest', '--target', target]);
      expect(await treeDifferences(`${scratch.path}/${tree}`, `${target}/${tree}`)).toEqual([]);
      const again = await resticBackup(repository, ['--force', tree], { cwd: scratch.path });
      expect(again).toMatchObject({ data_blobs: 0, tree_blobs: 0, data_added: 0 });
      expect(new Set(await resticTrees(repository)).size).toBe(1);
      expect((await checkAll(repository, undefined, environment)).errors).toEqual([]);
      for (const place of [repository, target]) scratch.remove(place);
    },
  );
});
