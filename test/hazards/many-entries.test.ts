import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { initRepository } from '../tools/engine.ts';
import { measure } from '../tools/measure.ts';
import { runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { testScale } from '../tools/seeds.ts';

const scratch = scratchFolder('hazards');
/** One million with HOLDFAST_TEST_SCALE=10, two with 20. */
const entryCount = 100_000 * testScale;

describe(`C7: ${entryCount} files in one directory`, () => {
  test('are backed up, checked and restored in less than 1 GiB', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(folder);
    for (let i = 0; i < entryCount; i++)
      writeFileSync(`${folder}/file number ${i}`, `content ${i}`);
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const target = scratch.fresh('restored');
    for (const [action, ...args] of [
      ['backup', repository, folder],
      ['backup', repository, folder],
      ['check', repository],
      ['restore', repository, target],
    ] as const) {
      const { complaints, peakMiB, seconds } = await measure(action, args);
      console.log(`${action}: ${seconds.toFixed(1)} s, ${peakMiB} MiB`);
      expect(complaints).toEqual([]);
      expect(peakMiB, action).toBeLessThan(1024);
    }
    const restored = `${target}/${folder.slice(folder.lastIndexOf('/') + 1)}`;
    const compared = await runProgram('diff', ['-r', folder, restored]);
    expect(compared).toMatchObject({ exitCode: 0, output: '' });
  }, 3_600_000);
});
