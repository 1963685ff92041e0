import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { password } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { contentOf, CrashBed, newPassword } from './crash-bed.ts';
import { type Command, type KillPoint, listCalls, run, runKilled, triesAll } from './killed-run.ts';

const scratch = scratchFolder('crash');
const bed = new CrashBed(scratch);
const passwordFile = scratch.fresh('password');
/** States of which restic is asked, too: one in so many. */
const resticShare = 4;

/** A command that is killed, and what must be true after it. */
interface Operation {
  readonly args: readonly string[];
  /** Kills per seed, besides the last call. */
  readonly samples: number;
  /** How many snapshots there may be after a kill. */
  readonly snapshots: readonly number[];
  /** How many there may be when the command was given again. */
  readonly snapshotsAtEnd: readonly number[];
}

const operations: Readonly<Record<string, Operation>> = {
  // Either the killed one made its snapshot, and the next one another, or it did not.
  backup: { args: ['backup', bed.source], samples: 2, snapshots: [1, 2], snapshotsAtEnd: [2, 3] },
  // Between storing the new one and removing the old one there are both, and both are tagged then.
  'tag --add': {
    args: ['tag', '--add', 'new'],
    samples: 1,
    snapshots: [1, 2],
    snapshotsAtEnd: [1, 2],
  },
};

const keyOperations: Readonly<Record<string, readonly string[]>> = {
  add: ['key', 'add', '--new-password-file', passwordFile],
  passwd: ['key', 'passwd', '--new-password-file', passwordFile],
};

beforeAll(async () => {
  writeFileSync(passwordFile, newPassword);
  await bed.prepare();
});

/** Creates a repository where there is none. */
function initCommand(): Command {
  return { repository: bed.repository(true), args: ['init'] };
}

/** The calls to kill at: some by chance, and the last. */
function chosenPoints(title: string, points: readonly KillPoint[], samples: number): KillPoint[] {
  if (triesAll) return [...points];
  const chosen = new Set(points.slice(-1));
  for (const seed of seedsOf(title)) {
    const numbers = new Uint32Array(pseudoRandom(4 * samples, seed).buffer);
    for (const number of numbers) {
      const point = points[number % points.length];
      if (point) chosen.add(point);
    }
  }
  return [...chosen];
}

/** Kills a command at each of the chosen calls, and looks at what is left. */
async function killAt(
  title: string,
  { command, samples }: { readonly command: () => Command; readonly samples: number },
  look: (killed: Command, nth: number) => Promise<void>,
): Promise<void> {
  const listed = command();
  const points = await listCalls(listed, scratch.fresh('log'));
  let killedCount = 0;
  for (const [nth, point] of chosenPoints(title, points, samples).entries()) {
    const killed = command();
    if (await runKilled(killed, point)) killedCount++;
    try {
      await look(killed, nth);
    } catch (error) {
      throw new Error(`${title}, killed at ${point.call} ${point.nth}`, { cause: error });
    }
  }
  // The last one may be of a run that went a little differently.
  expect(killedCount).toBeGreaterThan(0);
}

async function mustSucceed(command: Command): Promise<void> {
  const result = await run(command);
  expect(result, command.args.join(' ')).toMatchObject({ exitCode: 0 });
}

/** A file of the repository, not one that was being written. */
function isName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

const timeout = triesAll ? 24 * 3_600_000 : 240_000;

describeWith(['strace'], 'a program that is killed', () => {
  requirePeer('restic');

  test.each(Object.entries(operations))(
    'during %s leaves old and new snapshots whole, and the next run finishes',
    async (title, { args, samples, snapshots, snapshotsAtEnd }) => {
      const command = (): Command => ({ repository: bed.repository(false), args });
      await killAt(title, { command, samples }, async (killed, nth) => {
        const { repository } = killed;
        const withRestic = nth % resticShare === 0;
        await bed.examine(repository, snapshots, { withRestic });
        await mustSucceed({ repository, args: ['unlock'] });
        await mustSucceed(killed);
        await bed.examine(repository, snapshotsAtEnd, { withRestic });
        expect(readdirSync(join(repository, 'locks')).filter(isName)).toEqual([]);
        bed.remove(repository);
      });
    },
    timeout,
  );

  test(
    'during init leaves no repository or a whole one',
    async () => {
      await killAt('init', { command: initCommand, samples: 1 }, async (killed, nth) => {
        const { repository } = killed;
        const isThere = existsSync(join(repository, 'config'));
        const again = await run(killed);
        if (isThere) {
          expect(again).toMatchObject({ exitCode: 1 });
          expect(again.errors).toMatch(/a repository exists at this location already/);
        } else if (again.exitCode !== 0) {
          expect(again.errors).toMatch(
            /earlier "init" was interrupted[^]*Remove the file of this key/,
          );
          return;
        }
        await bed.examine(repository, [0]);
        await mustSucceed({ repository, args: ['backup', bed.source] });
        await bed.examine(repository, [1], { withRestic: nth % resticShare === 0 });
        bed.remove(repository);
      });
    },
    timeout,
  );

  test.each(Object.entries(keyOperations))(
    'during key %s leaves a password that opens',
    async (title, args) => {
      const command = (): Command => ({ repository: bed.repository(false), args });
      await killAt(`key ${title}`, { command, samples: 1 }, async (killed, nth) => {
        const { repository } = killed;
        const opening = await bed.passwordsOf(repository);
        // The old one goes only when the new one has been proven.
        if (!opening.includes(password)) expect(opening).toEqual([newPassword]);
        if (title === 'add') expect(opening).toContain(password);
        const [current = password] = opening;
        await mustSucceed({ repository, args: ['unlock'], password: current });
        if (current === password) await mustSucceed(killed);
        expect(await bed.passwordsOf(repository)).toContain(newPassword);
        if (title === 'add') await bed.examine(repository, [1], { withRestic: nth === 0 });
        bed.remove(repository);
      });
    },
    timeout,
  );

  test(
    'during key remove leaves the other key',
    async () => {
      const [before = ''] = bed.keysOf(bed.pristine);
      const withTwo = bed.repository(false);
      await mustSucceed({ repository: withTwo, args: keyOperations['add'] ?? [] });
      const added = bed.keysOf(withTwo).find((id) => id !== before) ?? '';
      const command = (): Command => {
        const repository = bed.copyOf(withTwo);
        return { repository, args: ['key', 'remove', added] };
      };
      await killAt('key remove', { command, samples: 1 }, async (killed) => {
        const { repository } = killed;
        expect(await bed.passwordsOf(repository)).toContain(password);
        await mustSucceed({ repository, args: ['unlock'] });
        if (bed.keysOf(repository).includes(added)) await mustSucceed(killed);
        expect(await bed.passwordsOf(repository)).toEqual([password]);
        await bed.examine(repository, [1]);
        bed.remove(repository);
      });
    },
    timeout,
  );

  test(
    'during restore leaves no half file, and the next run finishes',
    async () => {
      const repository = bed.repository(false);
      await mustSucceed({ repository, args: ['backup', bed.source] });
      const expected = contentOf(bed.source);
      const what = ['--no-lock', 'restore', `latest:${bed.source}`, '-t'];
      const command = (): Command => ({ repository, args: [...what, scratch.fresh('restored')] });
      await killAt('restore', { command, samples: 2 }, async (killed) => {
        const target = killed.args.at(-1) ?? '';
        for (const [name, bytes] of existsSync(target) ? contentOf(target) : []) {
          const isTemporary = /[/][.]holdfast-\w+[.]part$/.test(name);
          expect(isTemporary || expected.get(name)?.equals(bytes), name).toBe(true);
        }
        await mustSucceed(killed);
        const restored = contentOf(target);
        expect([...restored.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
        for (const [name, bytes] of restored) expect(expected.get(name)?.equals(bytes)).toBe(true);
      });
    },
    timeout,
  );
});
