/** Runs `npm run first-backup` as a person would, with a home folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeEach, describe, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import { compiledOnce, mustRun, type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { slowMachine } from '../tools/slow-machine.ts';

const script = fileURLToPath(new URL('../../scripts/first-backup.ts', import.meta.url));
const scratch = scratchFolder('first-backup');
let home: string;
let source: string;

beforeEach(() => {
  home = scratch.fresh('home');
  source = scratch.fresh('source');
  mkdirSync(home);
  mkdirSync(path.join(source, 'sub'), { recursive: true });
  writeFileSync(path.join(source, 'sub/file'), 'content');
  symlinkSync('file', path.join(source, 'sub/link'));
});

function variablesOf(): Record<string, string> {
  return { ...compiledOnce, HOME: home, XDG_CACHE_HOME: path.join(home, 'cache') };
}

/** A run with a key as it is by default. */
interface Made {
  readonly run: ProgramRun;
  readonly home: string;
  readonly source: string;
}
let made: Made | undefined;

/** The one that several tests look at. */
async function makeOnce(): Promise<Made> {
  const settings = { cwd: scratch.path, variables: variablesOf() };
  made ??= { home, source, run: await runProgram(process.execPath, [script, source], settings) };
  ({ home, source } = made);
  return made;
}

/** As on a machine where keys cost little. */
function firstBackup(...args: string[]): Promise<ProgramRun> {
  const variables = { ...variablesOf(), ...slowMachine };
  return runProgram(process.execPath, [script, ...args], { cwd: scratch.path, variables });
}

const folder = (): string => path.join(home, 'holdfast-first-backup');

/** The one line of an error. */
function errorLine({ exitCode, errors }: ProgramRun): string {
  expect(exitCode).toBe(1);
  expect(errors.trimEnd().split('\n')).toHaveLength(1);
  return errors.trimEnd().replaceAll(scratch.path, '…').replaceAll(/-\d+/g, '');
}

describe('a first backup', () => {
  test('is made, checked, restored and compared, and says what to do next', async () => {
    const { run } = await makeOnce();
    expect(run.errors).toBe('');
    expect(run.exitCode).toBe(0);
    const lines = run.output.trimEnd().split('\n');
    expect(lines.filter((line) => /^\[\d\/5\]/.test(line))).toHaveLength(5);
    expect(lines.slice(-4).map((line) => line.slice(0, 3))).toEqual([
      source.slice(0, 3),
      '1. ',
      '2. ',
      '3. ',
    ]);
    expect(lines.at(-4)).toContain('is backed up, checked, restored and found equal');
    expect(readdirSync(folder()).toSorted()).toEqual([
      'password',
      'recovery-kit.txt',
      'repository',
    ]);
    for (const name of ['password', 'recovery-kit.txt']) {
      expect(statSync(path.join(folder(), name)).mode & 0o777).toBe(0o600);
    }
  });

  test('of one file, to a place of choice, by a relative path', async () => {
    const to = scratch.fresh('to');
    const run = await firstBackup(`${path.basename(source)}/sub/file`, '--to', path.basename(to));
    expect(run.exitCode).toBe(0);
    expect(existsSync(path.join(to, 'repository/config'))).toBe(true);
    expect(existsSync(folder())).toBe(false);
  });
});

describe('an interrupt', () => {
  test.each(['[1/5]', '[2/5]'])(
    'at %s ends it in order, and leaves nothing half done',
    async (at) => {
      const child = spawn(process.execPath, [script, source], {
        cwd: scratch.path,
        env: { ...process.env, HOME: home, XDG_CACHE_HOME: path.join(home, 'cache') },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own: an interrupt of a terminal reaches all of it.
        detached: true,
      });
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const isThere = output.includes(at);
        output += text;
        if (!isThere && output.includes(at)) process.kill(-(child.pid ?? 0), 'SIGINT');
      });
      const [exitCode]: unknown[] = await once(child, 'close');
      expect(exitCode).toBe(130);
      expect(errors.trimEnd().split('\n').at(-1)).toBe('first-backup: cancelled');
      // A repository is kept once it is made, with its password; a copy that was restored never is.
      const isMade = at !== '[1/5]' || existsSync(folder());
      if (!isMade) return;
      expect(readdirSync(folder()).toSorted()).toEqual([
        'password',
        'recovery-kit.txt',
        'repository',
      ]);
      expect(readdirSync(path.join(folder(), 'repository/locks'))).toEqual([]);
    },
  );
});

describeWith(['root'], 'a first backup by an ordinary user', () => {
  const nobody = 65_534;

  test('is found equal, also with files of others', async ({ skip }) => {
    const canRun = await runProgram(process.execPath, ['--version'], { uid: nobody }).then(
      async ({ exitCode }) =>
        exitCode === 0 &&
        (await runProgram('test', ['-r', script], { uid: nobody })).exitCode === 0,
      () => false,
    );
    skip(!canRun, 'another user cannot read this checkout');
    writeFileSync(path.join(source, 'setuid'), 'x');
    chmodSync(path.join(source, 'setuid'), 0o4755);
    writeFileSync(path.join(source, 'mine'), 'x');
    for (const mine of [home, path.join(source, 'mine')]) chownSync(mine, nobody, nobody);
    chmodSync(path.join(source, 'mine'), 0o6755);
    const variables = { ...variablesOf(), ...slowMachine };
    const settings = { cwd: scratch.path, variables, uid: nobody };
    const run = await runProgram(process.execPath, [script, source], settings);
    expect(run.output).toContain('is backed up, checked, restored and found equal');
    expect(run.exitCode).toBe(0);
    expect(statSync(folder()).uid).toBe(nobody);
  });

  test('says what could not be read, and exits with 3', async ({ skip }) => {
    const canRun = await runProgram('test', ['-r', script], { uid: nobody });
    skip(canRun.exitCode !== 0, 'another user cannot read this checkout');
    writeFileSync(path.join(source, 'secret'), 'x', { mode: 0o600 });
    chownSync(home, nobody, nobody);
    const variables = { ...variablesOf(), ...slowMachine };
    const settings = { cwd: scratch.path, variables, uid: nobody };
    const run = await runProgram(process.execPath, [script, source], settings);
    expect(run.errors).toContain('secret: permission denied');
    expect(run.output).toContain('the rest is named above');
    expect(run.exitCode).toBe(3);
  });
});

describe('one clear line, and nothing made, for', () => {
  test('no path', async () => {
    expect(errorLine(await firstBackup())).toMatchInlineSnapshot(
      `"first-backup: name the file or folder to back up. Usage: npm run first-backup -- PATH [--to FOLDER]"`,
    );
  });

  test('a path that is not there', async () => {
    expect(errorLine(await firstBackup('nowhere'))).toMatchInlineSnapshot(
      `"first-backup: …/nowhere does not exist"`,
    );
    expect(existsSync(folder())).toBe(false);
  });

  test('a place that is taken', async () => {
    mkdirSync(folder());
    expect(errorLine(await firstBackup(source))).toMatchInlineSnapshot(
      `"first-backup: …/home/holdfast-first-backup exists already, and a first backup starts fresh. Name another place with --to FOLDER, or move that folder away."`,
    );
    expect(readdirSync(folder())).toEqual([]);
  });

  test('a place within the source', async () => {
    expect(errorLine(await firstBackup(source, '--to', `${source}/sub/to`))).toMatchInlineSnapshot(
      `"first-backup: …/source/sub/to lies in …/source, and a backup does not go into what it backs up. Name another place, best on another disk: --to FOLDER."`,
    );
  });

  test('a place where nothing can be made', async () => {
    const line = errorLine(await firstBackup(source, '--to', '/dev/null/x'));
    expect(line).toMatch(/^first-backup: \/dev\/null\/x cannot be made[^]*--to FOLDER\.$/);
  });

  test('an unknown flag', async () => {
    expect(errorLine(await firstBackup(source, '--from', 'x'))).toMatchInlineSnapshot(
      `"first-backup: Unknown option '--from'. Usage: npm run first-backup -- PATH [--to FOLDER]"`,
    );
  });
});

describeWith(['restic'], 'the recovery kit', () => {
  test('has what restic needs to restore', async () => {
    expect((await makeOnce()).run.exitCode).toBe(0);
    const kit = readFileSync(path.join(folder(), 'recovery-kit.txt'), 'utf8');
    const password = /^Password +(\S+)$/m.exec(kit)?.[1] ?? '';
    const repository = /^Repository {2,}(\S+)$/m.exec(kit)?.[1] ?? '';
    const id = /^Repository id (\S+)$/m.exec(kit)?.[1];
    const target = scratch.fresh('target');
    const variables = { RESTIC_PASSWORD: password };
    const restic = (...args: string[]): Promise<string> =>
      mustRun('restic', ['--no-cache', '-r', repository, ...args], { variables });
    expect(JSON.parse(await restic('cat', 'config'))).toMatchObject({ id });
    await restic('restore', 'latest', '--target', target);
    expect(readFileSync(path.join(target, source, 'sub/file'), 'utf8')).toBe('content');
  });
});
