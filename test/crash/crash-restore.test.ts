import { cpSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { markName } from '../../src/engine/restore/restore-mark.ts';
import { backUp, initRepository } from '../tools/engine.ts';
import { contentOf, equalManifests, type Manifest, manifestOf } from '../tools/manifest.ts';
import { describeWith } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import { CrashBed } from './crash-bed.ts';
import { type Disturbed, killAt, killTimeoutMs, triesAll } from './kill-points.ts';
import { type Command, mustSucceed, run } from './killed-run.ts';

const scratch = scratchFolder('crash-restore');
const bed = new CrashBed(scratch);
/** A folder with one file that is larger than what a restore writes anew beside the old one. */
const huge = scratch.fresh('huge');
const repository = scratch.fresh('repository');
const hugeMtime = 1_500_000_000;

beforeAll(async () => {
  await bed.prepare();
  // One mebibyte again and again: large to restore, small to store.
  mkdirSync(huge);
  const part = pseudoRandom(1 << 20, 5);
  writeFileSync(join(huge, 'file'), Buffer.concat(Array.from({ length: 66 }, () => part)));
  utimesSync(join(huge, 'file'), hugeMtime, hugeMtime);
  await initRepository(repository);
  await backUp(repository, [bed.source]);
  await backUp(repository, [huge]);
});

/** A target in which the file is there already, as long and as old, with other bytes here and there. */
function staleTarget(): string {
  const target = scratch.fresh('stale');
  cpSync(huge, target, { recursive: true });
  const file = join(target, 'file');
  const bytes = readFileSync(file);
  for (let at = 5_000_000; at < bytes.length; at += 9_000_000)
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
  utimesSync(file, hugeMtime, hugeMtime);
  return target;
}

function restoreCommand(folder: string, target: string, ...more: string[]): Command {
  const args = ['--no-lock', 'restore', `latest:${folder}`, '--path', folder, ...more];
  return { repository, args: [...args, '-t', target] };
}

function targetOf({ command }: Disturbed): string {
  return command.args.at(-1) ?? '';
}

/** What has its final name is whole, or as it was before. */
function expectNoHalves(target: string, ...wholes: ReadonlyMap<string, Buffer>[]): void {
  for (const [name, bytes] of existsSync(target) ? contentOf(target) : []) {
    const isTemporary = /[/][.]holdfast-\w+[.](part|half)$/.test(name);
    const isWhole = wholes.some((whole) => whole.get(name)?.equals(bytes));
    expect(isTemporary || isWhole, `${name} is whole`).toBe(true);
  }
}

/** What may not be on the disk yet has a mark, so that no later run takes it for right by its times. */
function expectMarked(target: string, whole: Manifest): void {
  const names = existsSync(target) ? [...contentOf(target).keys()] : [];
  const isBegun = names.some((name) => !/[.](part|half)$/.test(name));
  const isMarked = isBegun && existsSync(join(target, Buffer.from(markName).toString()));
  if (isBegun && !isMarked) expectRestored(target, whole);
}

function expectRestored(target: string, expected: Manifest): void {
  expect(equalManifests(manifestOf(target), expected)).toBe(true);
}

describeWith(['strace'], 'a restore that is killed', () => {
  test(
    'leaves no half file under its name, and the next run finishes',
    async () => {
      const [content, expected] = [contentOf(bed.source), manifestOf(bed.source)];
      const command = (): Command => restoreCommand(bed.source, scratch.fresh('restored'));
      const plan = { command, samples: 2, log: scratch.fresh('log') };
      await killAt('restore', plan, async (killed) => {
        const target = targetOf(killed);
        expectNoHalves(target, content);
        expectMarked(target, expected);
        await mustSucceed(killed.command);
        expectRestored(target, expected);
        // What is right is not written again.
        const again = await run({ ...killed.command, args: ['--json', ...killed.command.args] });
        expect(summaryOf(again.output)).not.toHaveProperty('bytes_restored');
        scratch.remove(target);
      });
    },
    killTimeoutMs,
  );

  // Of these it trusts times most, and a file that is half updated is newer.
  test.each(triesAll ? ['always', 'if-changed', 'if-newer', 'never'] : ['if-newer'])(
    'while it updates a large file never leaves a half one for a run with --overwrite %s',
    async (overwrite) => {
      const [content, expected] = [contentOf(huge), manifestOf(huge)];
      const stale = contentOf(staleTarget());
      const command = (): Command => restoreCommand(huge, staleTarget());
      const plan = { command, samples: 1, log: scratch.fresh('log') };
      await killAt(`restore in place, then ${overwrite}`, plan, async (killed) => {
        const target = targetOf(killed);
        expectNoHalves(target, content, stale);
        // It can be told from a finished one if the power fails before it is on the disk.
        const hasNew = contentOf(target)
          .get('/file')
          ?.equals(content.get('/file') ?? Buffer.of());
        if (hasNew) expectMarked(target, expected);
        // Before anything was changed, the old file is what these leave alone.
        const wasTouched = !contentOf(target)
          .get('/file')
          ?.equals(stale.get('/file') ?? Buffer.of());
        await mustSucceed(restoreCommand(huge, target, '--overwrite', overwrite));
        if (wasTouched || overwrite === 'always') expectRestored(target, expected);
        scratch.remove(target);
      });
    },
    killTimeoutMs,
  );
});

function summaryOf(output: string): unknown {
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  return lines
    .map((line): unknown => JSON.parse(line))
    .findLast(
      (message) =>
        typeof message === 'object' &&
        message !== null &&
        'message_type' in message &&
        message.message_type === 'summary',
    );
}
