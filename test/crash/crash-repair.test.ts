import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { listSnapshots } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed } from './crash-bed.ts';
import { type Disturbed, killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed } from './killed-run.ts';
import { expectUnlocked, judgeWhole } from './next-run.ts';

const scratch = scratchFolder('crash-repair');
const bed = new CrashBed(scratch);

/** Without its index. */
let unlisted = '';
/** With a bit of a pack changed, in a file that the folder still has. */
let rotten = '';
let rottenPack = '';
/** Without a pack, and with an index that does not list it any more. */
let incomplete = '';

beforeAll(async () => {
  await bed.prepare();
  unlisted = bed.copyOf(bed.full);
  for (const file of filesIn(unlisted, 'index')) rmSync(file);
  rotten = bed.copyOf(bed.full);
  const [largest = ''] = filesIn(rotten, 'data');
  rottenPack = basename(largest);
  const bytes = readFileSync(largest);
  bytes[50_000] = (bytes[50_000] ?? 0) ^ 1;
  chmodSync(largest, 0o600);
  writeFileSync(largest, bytes);
  incomplete = bed.copyOf(bed.full);
  rmSync(filesIn(incomplete, 'data')[0] ?? '');
  await mustSucceed({ repository: incomplete, args: ['repair', 'index'] });
});

/** Files of a repository in one of its folders, the largest first. */
function filesIn(repository: string, folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted((a, b) => readFileSync(b).byteLength - readFileSync(a).byteLength);
}

/** Whatever could be restored before can be restored still, and no byte that was never backed up. */
async function expectNoWorse(repository: string, before: ReadonlySet<string>): Promise<void> {
  const now = await bed.salvaged(repository);
  for (const file of before) expect(now, `${file} can still be restored`).toContain(file);
}

const whole = { snapshots: [2] };

async function disturb(
  title: string,
  command: () => Command,
  look: (disturbed: Disturbed) => Promise<void>,
): Promise<void> {
  const plan = { command, samples: 1, errors: 1, log: scratch.fresh('log') };
  await killAt(title, plan, async (disturbed) => {
    await look(disturbed);
    expectUnlocked(disturbed.command.repository);
    bed.remove(disturbed.command.repository);
  });
}

describeWith(['strace'], 'a program that is killed, or meets an error', () => {
  requirePeer('restic');

  test(
    'during repair index of what has none leaves the packs, and the next run lists them',
    async () => {
      const packs = filesIn(unlisted, 'data').map((file) => basename(file));
      const command = (): Command => ({
        repository: bed.copyOf(unlisted),
        args: ['repair', 'index'],
      });
      await disturb('repair index', command, async ({ command: killed, isDone, withRestic }) => {
        const { repository } = killed;
        const left = filesIn(repository, 'data').map((file) => basename(file));
        expect(left).toEqual(expect.arrayContaining(packs));
        expect(await listSnapshots(repository)).toHaveLength(2);
        if (isDone) await bed.examine(repository, whole);
        await mustSucceed(killed);
        await bed.examine(repository, { ...whole, withRestic });
      });
    },
    killTimeoutMs,
  );

  test(
    'during repair index of what is whole leaves it whole',
    async () => {
      const args = ['repair', 'index', '--read-all-packs'];
      const command = (): Command => ({ repository: bed.copyOf(bed.full), args });
      await disturb('repair index --read-all-packs', command, (disturbed) =>
        judgeWhole(bed, disturbed, { after: whole, atEnd: whole }),
      );
    },
    killTimeoutMs,
  );

  test(
    'during repair packs costs nothing more, and the next run heals',
    async () => {
      const before = await bed.salvaged(rotten);
      expect(before.size).toBeLessThan((await bed.salvaged(bed.full)).size);
      const original = readFileSync(filesIn(rotten, 'data')[0] ?? '');
      const args = ['repair', 'packs', '--from-folder', bed.source, rottenPack];
      const command = (): Command => {
        const cwd = scratch.fresh('cwd');
        mkdirSync(cwd);
        return { repository: bed.copyOf(rotten), args, cwd };
      };
      await disturb('repair packs', command, async ({ command: killed, isDone, withRestic }) => {
        const { repository, cwd = '' } = killed;
        await expectNoWorse(repository, before);
        // The damaged bytes are somewhere until a person removes them.
        const kept = [...filesIn(repository, 'data'), ...filesIn(cwd, '.')];
        expect(kept.some((file) => readFileSync(file).equals(original))).toBe(true);
        const isGone = !filesIn(repository, 'data').some((file) => basename(file) === rottenPack);
        if (isDone || isGone) await bed.examine(repository, whole);
        // There may be no such pack any more: what it left but for that, the next command sees to.
        await mustSucceed(isGone ? { ...killed, args: ['repair', 'index'] } : killed);
        await bed.examine(repository, { ...whole, withRestic });
        bed.remove(cwd);
      });
    },
    killTimeoutMs,
  );

  test(
    'during repair snapshots costs nothing more, and the next run ends with snapshots that restore',
    async () => {
      const before = await bed.salvaged(incomplete);
      const args = ['repair', 'snapshots', '--forget'];
      const command = (): Command => ({ repository: bed.copyOf(incomplete), args });
      await disturb('repair snapshots', command, async ({ command: killed, withRestic }) => {
        const { repository } = killed;
        await expectNoWorse(repository, before);
        const { length } = await listSnapshots(repository);
        expect([2, 3]).toContain(length);
        await mustSucceed(killed);
        await bed.examine(repository, { ...whole, allowsPartial: true, withRestic });
        expect(await bed.salvaged(repository)).toEqual(before);
      });
    },
    killTimeoutMs,
  );
});
