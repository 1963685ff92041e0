import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { backUp, initRepository, listSnapshots, withRepository } from '../tools/engine.ts';
import type { Manifest } from '../tools/manifest.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed } from './crash-bed.ts';
import { killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed } from './killed-run.ts';
import { expectUnlocked, judgeWhole } from './next-run.ts';

const scratch = scratchFolder('crash-rewrite');
const bed = new CrashBed(scratch);

/** Without its snapshots. */
let lost = '';
/** Of version 1, with one snapshot. */
let old = '';
/** What is left of the folder without a file. */
let rewritten: readonly Manifest[] = [];

beforeAll(async () => {
  await bed.prepare();
  rewritten = bed.wholes.map((all) => new Map([...all].filter(([path]) => path !== '/text')));
  lost = bed.copyOf(bed.full);
  const ids = (await listSnapshots(lost)).map(({ id }) => id);
  await mustSucceed({ repository: lost, args: ['forget', '--unsafe-allow-remove-all', ...ids] });
  old = bed.fresh('old');
  await initRepository(old, { version: 1 });
  await backUp(old, [bed.source]);
});

describeWith(['strace'], 'a program that is killed, or meets an error', () => {
  requirePeer('restic');
  const once = { samples: 1, errors: 1 };

  test(
    'during rewrite --forget leaves the old snapshots or the new ones, and the next run finishes',
    async () => {
      const args = ['rewrite', '--exclude', join(bed.source, 'text'), '--forget'];
      const command = (): Command => ({ repository: bed.copyOf(bed.full), args });
      const after = { snapshots: [2, 3], holds: [...bed.wholes, ...rewritten] };
      const atEnd = { snapshots: [2], holds: rewritten };
      const plan = { ...once, command, log: scratch.fresh('log') };
      await killAt('rewrite', plan, async (disturbed) => {
        await judgeWhole(bed, disturbed, { after, atEnd });
        bed.remove(disturbed.command.repository);
      });
    },
    killTimeoutMs,
  );

  test(
    'during recover leaves no half snapshot, and the next run finishes',
    async () => {
      const plan = { ...once, command: recoverCommand, log: scratch.fresh('log') };
      await killAt('recover', plan, async (disturbed) => {
        const partial = { allowsPartial: true };
        const after = { snapshots: [0, 1], ...partial };
        const atEnd = { snapshots: [1], ...partial };
        await judgeWhole(bed, disturbed, { after, atEnd });
        bed.remove(disturbed.command.repository);
      });
    },
    killTimeoutMs,
  );

  test(
    'during migrate leaves a repository of one version or the other, and the next run finishes',
    async () => {
      const command = (): Command => {
        const cwd = scratch.fresh('cwd');
        mkdirSync(cwd);
        return { repository: bed.copyOf(old), args: ['migrate', 'upgrade_repo_v2'], cwd };
      };
      const plan = { ...once, command, log: scratch.fresh('log') };
      await killAt('migrate', plan, async ({ command: killed, isDone, withRestic }) => {
        const { repository, cwd = '' } = killed;
        expect(existsSync(join(repository, 'config'))).toBe(true);
        await bed.examine(repository, { snapshots: [1], withRestic });
        if (isDone) expect(await versionOf(repository)).toBe(2);
        await mustSucceed(killed);
        expect(await versionOf(repository)).toBe(2);
        await bed.examine(repository, { snapshots: [1], withRestic });
        expectUnlocked(repository);
        for (const place of [repository, cwd]) bed.remove(place);
      });
    },
    killTimeoutMs,
  );
});

function recoverCommand(): Command {
  return { repository: bed.copyOf(lost), args: ['recover'] };
}

function versionOf(repository: string): Promise<1 | 2> {
  return withRepository(repository, {}, async ({ config }) => config.version);
}
