import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
  existsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Environment, systemEnvironment } from '../../../src/base/environment.ts';
import { removeTree } from '../../../src/platform/files.ts';
import { initRepository, password, singleThreaded } from '../../tools/engine.ts';
import { printFolder } from '../../tools/folder-print.ts';
import { type CommandRun, runCommand } from '../../tools/in-process.ts';
import { must, mustEqual } from '../expect.ts';
import type { FuzzRandom } from '../random.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';
import { documentNames, HostilePlan } from './repository-plan.ts';

/** The folder that everything happens in: the repository, a source, a target, and what nobody may touch. */
let place = '';
/** What lies outside of target and repository, before anything was run. */
let outside = '';

async function makePlace(): Promise<void> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  place = mkdtempSync(path.join(parent, 'holdfast-fuzz-'));
  mkdirSync(path.join(place, 'source/sub'), { recursive: true });
  writeFileSync(path.join(place, 'source/a'), 'the first file\n'.repeat(20));
  writeFileSync(path.join(place, 'source/sub/b'), 'the second file');
  symlinkSync('../a', path.join(place, 'source/sub/link'));
  mkdirSync(path.join(place, 'outside'));
  writeFileSync(path.join(place, 'outside/secret'), 'not to be touched');
  await makeEmpty(path.join(place, 'empty'));
  outside = printOutside();
}

/** What every run starts from. Its key costs nothing to derive, and folders for packs come with the packs. */
async function makeEmpty(location: string): Promise<void> {
  await initRepository(location, { scrypt: { N: 2, r: 1, p: 1 } });
  const data = path.join(location, 'data');
  for (const folder of readdirSync(data)) rmdirSync(path.join(data, folder));
}

function printOutside(): string {
  return printFolder(place, new Set(['repository', 'target', 'again']));
}

/**
 * A target over a repository that was damaged below its seals (A2). An input is a list of edits, a line each: the
 * document to change and the seed of the change.
 */
function overRepository(
  name: string,
  runsInCi: number,
  use: (plan: HostilePlan, text: string) => Promise<void>,
): FuzzTarget {
  return {
    name,
    runsInCi,
    seeds: async () => {
      if (place === '') await makePlace();
      return textSeeds('');
    },
    mutate: (_, random) => {
      const lines = Array.from({ length: 1 + random.small(4) }, () => editLine(random));
      return Uint8Array.from(Buffer.from(lines.join('\n')));
    },
    run: async (input) => {
      for (const folder of ['repository', 'target', 'again']) {
        removeTree(Buffer.from(path.join(place, folder)));
      }
      const text = Buffer.from(input).toString('latin1');
      const plan = new HostilePlan(text);
      cpSync(path.join(place, 'empty'), path.join(place, 'repository'), { recursive: true });
      await plan.build(path.join(place, 'repository'));
      await (plan.edits('lock') ? lookAtLocks() : use(plan, text));
    },
    // Pack buffers and decompressed documents; a hostile length shows as far more.
    allocatedBytesMax: () => 1 << 30,
    close: () => {
      if (place !== '') removeTree(Buffer.from(place));
      place = '';
    },
  };
}

/** Some of the commands that read, without threads: a thousand runs a minute. */
export const repositoryReadTarget: FuzzTarget = overRepository('repository-read', 2, readAll);

/** The commands that have workers or write: check --read-data, restore, tag, backup. */
export const repositoryUseTarget: FuzzTarget = overRepository('repository-use', 1, useAll);

function editLine(random: FuzzRandom): string {
  return `${random.pick(documentNames)} ${random.next()}`;
}

/** Locks that cannot be read are looked at again after a pause: here without the pause. */
async function lookAtLocks(): Promise<void> {
  const { clock } = systemEnvironment;
  const environment = {
    ...systemEnvironment,
    clock: { ...clock, sleep: async () => clock.nextTurn() },
  };
  for (const args of [
    ['snapshots'],
    ['list', 'locks'],
    ['ls', 'latest'],
    ['unlock'],
    ['tag', '--add', 'x'],
  ]) {
    await command(args, environment);
  }
}

/** Which ones follows from the input. */
const commandsPerInput = 4;

const readingCommands: readonly (readonly string[])[] = [
  ['check'],
  ['snapshots'],
  ['ls', '-l', 'latest'],
  ['ls', '--json', 'latest'],
  ['find', '*'],
  ['find', '--json', '--blob', '0'.repeat(64)],
  ['dump', 'latest', '/source/a'],
  ['dump', 'latest', '/'],
  ['dump', '--archive', 'zip', 'latest', '/'],
  ['stats', '--mode', 'restore-size'],
  ['stats', '--mode', 'raw-data'],
  ['stats', '--mode', 'files-by-contents'],
  ['stats', '--mode', 'blobs-per-file'],
  ['key', 'list'],
  ['list', 'blobs'],
  ['cat', 'snapshot', 'latest'],
  ['cat', 'tree', 'latest'],
];

async function readAll(plan: HostilePlan, text: string): Promise<void> {
  const repository = path.join(place, 'repository');
  const stored = printFolder(repository);
  const [older = 'latest', newer = 'latest'] = plan.snapshotIds;
  const commands = [...readingCommands, ['diff', '--metadata', older, newer]];
  // The same input gets the same commands: it is a case by itself.
  const start = text.split('').reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  for (let nth = 0; nth < commandsPerInput; nth++) {
    await command(commands[(start + 5 * nth) % commands.length] ?? []);
  }
  mustEqual(printFolder(repository), stored, 'reading changes nothing in the repository');
  mustEqual(printOutside(), outside, 'reading changes nothing outside the repository');
}

async function useAll(plan: HostilePlan): Promise<void> {
  const repository = path.join(place, 'repository');
  const stored = printFolder(repository);
  await command(['check', '--read-data']);
  await command(['restore', 'latest', '--target', 'target', '--verify']);
  mustEqual(printOutside(), outside, 'nothing outside the target is touched');
  const older = plan.snapshotIds[0] ?? 'latest';
  await command(['restore', older, '--target', 'target', '--delete']);
  mustEqual(printOutside(), outside, 'nothing outside the target is touched');
  mustEqual(printFolder(repository), stored, 'restoring changes nothing in the repository');
  const tagged = await command(['tag', '--add', 'fuzzed']);
  if (tagged.exitCode === 0) await command(['snapshots', '--json']);
  await backUpUpon();
}

/** A backup with a hostile parent: what it calls complete must come back, or check must see why not. */
async function backUpUpon(): Promise<void> {
  const backup = await command(['backup', '--json', '--host', 'host', 'source']);
  if (backup.exitCode !== 0) return;
  const id = /"snapshot_id":"([0-9a-f]{64})"/.exec(backup.output)?.[1] ?? '';
  const restored = await command(['restore', id, '--target', 'again', '--verify']);
  if (restored.exitCode !== 0) {
    const checked = await command(['check', '--read-data']);
    must(
      checked.exitCode !== 0,
      `check sees why a snapshot does not come back: ${restored.errors}`,
    );
    return;
  }
  for (const name of ['a', 'sub/b']) {
    const back = path.join(place, 'again', place, 'source', name);
    mustEqual(
      readFileSync(back),
      readFileSync(path.join(place, 'source', name)),
      `content of ${name}`,
    );
  }
}

const exitCodes = [0, 1, 3, 10, 11, 12];

async function command(
  args: readonly string[],
  environment: Environment = singleThreaded,
): Promise<CommandRun> {
  const variables = {
    RESTIC_REPOSITORY: path.join(place, 'repository'),
    RESTIC_PASSWORD: password,
    HOME: place,
    TZ: 'UTC',
    PATH: process.env['PATH'] ?? '',
  };
  const inPlace = args.map((arg) =>
    ['source', 'target', 'again'].includes(arg) ? path.join(place, arg) : arg,
  );
  const run = await runCommand(['--no-cache', ...inPlace], { variables, environment });
  const told = `${args.join(' ')}: exit code ${run.exitCode}\n${run.errors.slice(0, 3000)}`;
  must(exitCodes.includes(run.exitCode), `an exit code that is none: ${told}`);
  must(!/internal check failed|was not handled/.test(run.errors), `an internal error: ${told}`);
  must(!/^\s+at .*:\d+:\d+\)?$/m.test(run.errors), `a stack trace: ${told}`);
  must(run.exitCode === 0 || run.errors !== '' || run.output !== '', `nothing is said: ${told}`);
  return run;
}
