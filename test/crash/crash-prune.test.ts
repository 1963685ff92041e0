import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { toHex } from '../../src/base/bytes.ts';
import { listSnapshots, withIndex } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed } from './crash-bed.ts';
import { killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed } from './killed-run.ts';
import { judgeWhole } from './next-run.ts';

const scratch = scratchFolder('crash-prune');
const bed = new CrashBed(scratch);

const unused = ['--max-unused', '0'];
const delayed = ['prune', '--keep-delete', '0s', ...unused];
const atOnce = ['prune', '--instant', ...unused];

/** A repository of which a snapshot was forgotten: packs of no use, and packs that are used in part. */
let forgotten = '';
/** The same after a prune has marked packs. */
let marked = '';
/** Blobs that the snapshot that is left needs. */
let needed: readonly string[] = [];

beforeAll(async () => {
  await bed.prepare();
  forgotten = bed.copyOf(bed.full);
  const [oldest] = await listSnapshots(forgotten);
  await mustSucceed({ repository: forgotten, args: ['forget', oldest?.id ?? ''] });
  marked = bed.copyOf(forgotten);
  await mustSucceed({ repository: marked, args: ['prune', ...unused] });
  const pruned = bed.copyOf(forgotten);
  await mustSucceed({ repository: pruned, args: atOnce });
  needed = await blobsOf(pruned);
  expect(needed.length).toBeLessThan((await blobsOf(forgotten)).length);
});

/** Ids of all that the index lists, each time that it does. */
function blobsOf(repository: string): Promise<string[]> {
  return withIndex(repository, {}, async ({ index }) => {
    const ids = Array.from({ length: index.blobCount }, (_, entry) => toHex(index.idOf(entry)));
    return ids.toSorted();
  });
}

function packsOf(repository: string): string[] {
  const names = readdirSync(join(repository, 'data'), { recursive: true, encoding: 'utf8' });
  return names.map((name) => name.slice(3)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

/** What is stored is what is needed, once, and nothing else. */
async function expectPruned(repository: string): Promise<void> {
  expect(await blobsOf(repository)).toEqual(needed);
  const listed = await withIndex(repository, {}, async ({ index }) =>
    Array.from({ length: index.packCount }, (_, pack) => toHex(index.packId(pack))),
  );
  expect(packsOf(repository).toSorted()).toEqual(listed.toSorted());
}

interface Operation {
  readonly from: () => string;
  readonly args: readonly string[];
  readonly samples: number;
  readonly errors: number;
  /** Commands after which nothing is left to be pruned, once it was given again. */
  readonly further: readonly (readonly string[])[];
}

const operations: Readonly<Record<string, Operation>> = {
  'prune, first phase': {
    from: () => forgotten,
    args: ['prune', ...unused],
    samples: 1,
    errors: 1,
    further: [atOnce],
  },
  'prune, second phase': {
    from: () => marked,
    args: delayed,
    samples: 1,
    errors: 1,
    // Packs that it no longer listed and did not remove yet look like those of a running backup: they are marked first.
    further: [delayed],
  },
  'prune --instant': {
    from: () => forgotten,
    args: atOnce,
    samples: 1,
    errors: 1,
    further: [],
  },
  'forget --prune': {
    from: () => bed.full,
    args: ['forget', '--keep-last', '1', '--prune', '--instant', ...unused],
    samples: 1,
    errors: 0,
    further: [atOnce],
  },
};

describeWith(['strace'], 'a program that is killed, or meets an error', () => {
  requirePeer('restic');

  test.each(Object.entries(operations))(
    'during %s leaves what snapshots need, and the next run frees the rest',
    async (title, { from, args, samples, errors, further }) => {
      const command = (): Command => ({ repository: bed.copyOf(from()), args });
      const plan = { command, samples, errors, log: scratch.fresh('log') };
      const newest = bed.wholes.slice(-1);
      await killAt(title, plan, async (disturbed) => {
        const { repository } = disturbed.command;
        const before =
          args[0] === 'forget' ? { snapshots: [1, 2] } : { snapshots: [1], holds: newest };
        const atEnd = { snapshots: [1], holds: newest };
        await judgeWhole(bed, disturbed, { after: before, atEnd });
        for (const next of further) await mustSucceed({ repository, args: next });
        await expectPruned(repository);
        await bed.examine(repository, atEnd);
        bed.remove(repository);
      });
    },
    killTimeoutMs,
  );
});
