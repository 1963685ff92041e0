import { existsSync, mkdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { initRepository } from '../tools/engine.ts';
import { measure } from '../tools/measure.ts';
import { describeWith } from '../tools/peers.ts';
import { resticBackup, resticTrees } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { type ItemSpec, makeTree } from '../tools/tree-spec.ts';

const scratch = scratchFolder('interop');

/** Zones with summer time, half hours, seconds until 1972, and a day that was left out. */
const zones = [
  'America/St_Johns',
  'Europe/Dublin',
  'Asia/Kathmandu',
  'Africa/Monrovia',
  'Pacific/Apia',
  'UTC',
];
const isKnown = existsSync('/usr/share/zoneinfo/Africa/Monrovia');

/** A file for every other month since 1845, and some on the edge of summer time. */
function timesTree(): ItemSpec[] {
  const months = Array.from({ length: 1500 }, (_, i) => -3_944_000_000 + i * 5_259_487);
  const edges = [1_585_443_599, 1_585_443_600, 1_603_591_199, 1_603_591_200, 1_325_239_200];
  return [...months, ...edges].map((seconds, i) => ({
    type: 'file',
    name: Buffer.from(`${i}`),
    content: { kind: 'text', sizeBytes: 0, seed: 0 },
    metadata: { mtime: { seconds, nanoseconds: i * 1000 } },
  }));
}

describeWith(['restic'], 'a tree stored in another time zone', () => {
  test.runIf(isKnown)('is the same tree by both programs', async () => {
    const folder = scratch.fresh('zones');
    mkdirSync(folder);
    makeTree(`${folder}/tree`, timesTree());
    for (const zone of zones) {
      const repository = scratch.fresh('repository');
      await initRepository(repository);
      const place = [repository, `${folder}/tree`];
      const ours = await measure('backup', place, { variables: { TZ: zone } });
      expect(ours.complaints).toEqual([]);
      await resticBackup(repository, ['tree'], { cwd: folder, zone });
      expect(new Set(await resticTrees(repository)).size, zone).toBe(1);
    }
  });
});
