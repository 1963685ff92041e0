import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { backUp, initRepository } from '../../../test/tools/engine.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { pseudoRandom } from '../../../test/tools/seeds.ts';
import { fault } from '../../storage/fault.ts';
import { MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { record } from '../../storage/record.ts';

const scratch = scratchFolder('unlisted-packs');

test('what a backup stored that came to no end is used by the next', async () => {
  const source = scratch.fresh('source');
  mkdirSync(source);
  for (let i = 0; i < 5; i++) writeFileSync(`${source}/${i}`, pseudoRandom(30 << 20, i));
  const memory = new MemoryBackend();
  await initRepository(memory);
  // As after a kill, nothing is entered into the index at the end.
  const broken = fault(memory, [
    { operation: 'put', type: 'pack', call: 10, count: 1000, fault: lost },
  ]);
  await expect(backUp(broken, [source])).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  const backend = record(memory);
  const { summary } = await backUp(backend, [source]);
  expect(summary.dataAdded).toBeLessThan(60 << 20);
  expect(backend.count({ operation: 'put', type: 'index' })).toBe(1);
});

const lost = { kind: 'error', code: 'BACKEND_UNAVAILABLE' } as const;
