import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { initRepository } from '../tools/engine.ts';
import { measure } from '../tools/measure.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticBackup, resticTrees } from '../tools/restic.ts';
import { runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { testScale } from '../tools/seeds.ts';

const scratch = scratchFolder('hazards');
const isLong = testScale > 1;
/** One million with HOLDFAST_TEST_SCALE=10, two with 20. In CI as few as make a tree be kept in pieces, with long names. */
const entryCount = isLong ? 100_000 * testScale : 32_000;
const nameEnd = isLong ? '' : ` ${'long '.repeat(40)}`;
/**
 * What JavaScript objects may take: an object kept for each entry would end the process at any of these sizes, while
 * sorting the names takes some 40 bytes each. A resident set alone would not tell, because the collector takes what it
 * may. Measured at 105,000 entries: all of it passes with 48.
 */
const heapMiB = Math.ceil(60 + (40 * entryCount) / 2 ** 20);

describeWith(['restic'], `C7: ${entryCount} files in one directory`, () => {
  test('are backed up, checked and restored in bounded memory', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(folder);
    for (let i = 0; i < entryCount; i++)
      writeFileSync(`${folder}/file number ${i}${nameEnd}`, `content ${i}`);
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const target = scratch.fresh('restored');
    const variables = { NODE_OPTIONS: `--max-old-space-size=${heapMiB}` };
    for (const [action, ...args] of [
      ['backup', repository, folder],
      ['backup', repository, folder],
      ...(isLong ? [['force', repository, folder] as const] : []),
      ['check', repository],
      ['restore', repository, target],
    ] as const) {
      const { complaints, peakMiB, seconds } = await measure(action, args, { variables });
      console.log(`${action}: ${seconds.toFixed(1)} s, ${peakMiB} MiB`);
      expect(complaints).toEqual([]);
      expect(peakMiB, action).toBeLessThan(1024);
    }
    const restored = `${target}/${folder.slice(folder.lastIndexOf('/') + 1)}`;
    const compared = await runProgram('diff', ['-r', folder, restored]);
    expect(compared).toMatchObject({ exitCode: 0, output: '' });
    await mustRestic(repository, ['check']);
    const summary = await resticBackup(repository, [folder.slice(folder.lastIndexOf('/') + 1)], {
      cwd: folder.slice(0, folder.lastIndexOf('/')),
    });
    expect(summary).toMatchObject({ files_unmodified: entryCount, tree_blobs: 0 });
    expect(new Set(await resticTrees(repository)).size).toBe(1);
  }, 3_600_000);
});
