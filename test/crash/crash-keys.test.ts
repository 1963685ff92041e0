import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { addKey } from '../../src/repository/keys.ts';
import { password, withRepository } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed, newPassword } from './crash-bed.ts';
import { killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed, runAgain } from './killed-run.ts';
import { printOf } from './repository-print.ts';

const scratch = scratchFolder('crash-keys');
const bed = new CrashBed(scratch);
const passwordFile = scratch.fresh('password');

/** Costs little to derive, as the other one does. */
const cheapKey = {
  password: Buffer.from(newPassword),
  hostname: 'host',
  username: 'user',
  scrypt: { N: 1024, r: 8, p: 1 },
};

const keyOperations: Readonly<Record<string, readonly string[]>> = {
  'key add': ['key', 'add', '--new-password-file', passwordFile],
  'key passwd': ['key', 'passwd', '--new-password-file', passwordFile],
};

beforeAll(async () => {
  writeFileSync(passwordFile, newPassword);
  await bed.prepare();
});

function initCommand(): Command {
  return { repository: bed.fresh('repository'), args: ['init'] };
}

describeWith(['strace'], 'a program that is killed, or meets an error', () => {
  requirePeer('restic');

  test(
    'during init leaves no repository or a whole one',
    async () => {
      const plan = { command: initCommand, samples: 1, errors: 1, log: scratch.fresh('log') };
      const judged = new Set<string>();
      await killAt('init', plan, async ({ command: killed, run: cut, withRestic }) => {
        const { repository } = killed;
        // Folders without files: the same after a kill and after an error of the same call.
        const print = existsSync(repository) ? printOf(repository) : '';
        // I2: the config makes it a repository, and comes last.
        const isThere = existsSync(join(repository, 'config'));
        // I1: what it said is true, though it was killed afterwards.
        if (/^created restic repository/m.test(cut.output)) expect(isThere).toBe(true);
        if (judged.has(print)) return bed.remove(repository);
        const again = await runAgain(killed);
        if (isThere) {
          expect(again).toMatchObject({ exitCode: 1 });
          expect(again.errors).toMatch(/a repository exists at this location already/);
        } else if (again.exitCode !== 0) {
          expect(again.errors).toMatch(
            /earlier "init" was interrupted[^]*Remove the file of this key/,
          );
          return bed.remove(repository);
        }
        // I4a, I6, I8.
        await bed.examine(repository, { snapshots: [0], withRestic });
        await mustSucceed({ repository, args: ['backup', bed.source] });
        await bed.examine(repository, { snapshots: [1], withRestic });
        judged.add(print);
        bed.remove(repository);
      });
    },
    killTimeoutMs,
  );

  test.each(Object.entries(keyOperations))(
    'during %s leaves a password that opens',
    async (title, args) => {
      const command = (): Command => ({ repository: bed.copyOf(bed.pristine), args });
      const plan = { command, samples: 1, errors: 0, log: scratch.fresh('log') };
      await killAt(title, plan, async ({ command: killed, run: cut, withRestic }) => {
        const { repository } = killed;
        const opening = await bed.passwordsOf(repository);
        // I6: the old one goes only when the new one has been proven.
        if (!opening.includes(password)) expect(opening).toEqual([newPassword]);
        if (title === 'key add') expect(opening).toContain(password);
        if (/^saved new key/m.test(cut.output)) expect(opening).toContain(newPassword);
        const [current = password] = opening;
        // I1, I4a, I8.
        await bed.examine(repository, { snapshots: [1], withRestic, password: current });
        if (current === password) await mustSucceed(killed);
        const atEnd = await bed.passwordsOf(repository);
        expect(atEnd).toContain(newPassword);
        expect(atEnd.includes(password)).toBe(title === 'key add');
        await bed.examine(repository, { snapshots: [1], password: newPassword });
        bed.remove(repository);
      });
    },
    killTimeoutMs,
  );

  test(
    'during key remove leaves the other key',
    async () => {
      const [before = ''] = bed.keysOf(bed.pristine);
      const withTwo = bed.copyOf(bed.pristine);
      await withRepository(withTwo, {}, (opened) => addKey(opened, cheapKey));
      const added = bed.keysOf(withTwo).find((id) => id !== before) ?? '';
      const command = (): Command => {
        const repository = bed.copyOf(withTwo);
        return { repository, args: ['key', 'remove', added] };
      };
      const plan = { command, samples: 1, errors: 1, log: scratch.fresh('log') };
      await killAt('key remove', plan, async ({ command: killed, withRestic }) => {
        const { repository } = killed;
        // I6.
        expect(await bed.passwordsOf(repository)).toContain(password);
        // I1, I4a, I8.
        await bed.examine(repository, { snapshots: [1], withRestic });
        if (bed.keysOf(repository).includes(added)) await mustSucceed(killed);
        expect(await bed.passwordsOf(repository)).toEqual([password]);
        bed.remove(repository);
      });
    },
    killTimeoutMs,
  );

  test(
    'during key kit leaves the old password, and no page that does not open',
    async () => {
      const command = (): Command => {
        const page = join(scratch.fresh('kit'), 'page.txt');
        const args = ['key', 'kit', '--unproven', page];
        return { repository: bed.copyOf(bed.pristine), args };
      };
      const plan = { command, samples: 1, errors: 0, log: scratch.fresh('log') };
      await killAt('key kit', plan, async ({ command: killed, run: cut, isDone, withRestic }) => {
        const { repository, args } = killed;
        const page = args.at(-1) ?? '';
        // I1, I4a, I6, I8.
        await bed.examine(repository, { snapshots: [1], withRestic });
        const isThere = existsSync(page);
        if (isDone || /^saved new key/m.test(cut.output)) expect(isThere).toBe(true);
        if (isThere) await bed.examine(repository, { snapshots: [1], password: passwordOn(page) });
        // A page is never written over.
        const again = [...args.slice(0, -1), `${page}.second.txt`];
        await mustSucceed({ repository, args: again });
        const kit = passwordOn(`${page}.second.txt`);
        await bed.examine(repository, { snapshots: [1], password: kit });
        for (const place of [repository, dirname(page)]) bed.remove(place);
      });
    },
    killTimeoutMs,
  );
});

const passwordPattern = /[a-z2-9]{5}(?:-[a-z2-9]{5}){5}/;

/** The password that stands on the page of a kit. */
function passwordOn(page: string): string {
  const text = readFileSync(page, 'utf8');
  const [found] = passwordPattern.exec(text) ?? [];
  if (found === undefined) throw new Error(`no password on the page:\n${text}`);
  return found;
}
