import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../test/tools/program.ts';
import { password, TestPlace } from './holdfast-test-support.ts';

const place = TestPlace.create();
const folder = place.at('bytes');

beforeAll(async () => {
  await place.createRepository();
  mkdirSync(folder);
  writeFileSync(place.at('bytes', 'file'), 'content');
});
afterAll(() => place.remove());

/** Runs a line of the shell in which `$B` is a name that is not UTF-8 and `hf` the program. */
function shell(line: string): { exitCode: number | null; output: string; errors: string } {
  const script = `B=$(printf 'x-\\377'); N=$0; P=$1; hf() { "$N" "$P" --no-cache "$@"; }; ${line}`;
  const run = spawnSync('sh', ['-c', script, process.execPath, program], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: place.folder,
      RESTIC_REPOSITORY: place.repository,
      RESTIC_PASSWORD: password,
    },
  });
  const [output, errors] = [run.stdout.toString('latin1'), run.stderr.toString('latin1')];
  return { exitCode: run.status, output, errors };
}

/** Names in the folder, one character a byte. */
function namesHere(): string[] {
  return readdirSync(folder, { encoding: 'buffer' })
    .map((name) => name.toString('latin1'))
    .toSorted();
}

describe('paths that are not UTF-8', () => {
  test('are where a dump and a restore write', () => {
    expect(shell('hf backup file')).toMatchObject({ exitCode: 0 });
    for (const how of ['-t "$B"', '--target "$B"', '"--target=$B"', '"-t$B"', '"-qt$B"']) {
      expect(shell(`hf dump latest file ${how}`)).toMatchObject({ exitCode: 0, errors: '' });
      expect(shell('cat "$B"; rm "$B"').output).toBe('content');
      expect(shell(`hf restore latest ${how}`)).toMatchObject({ exitCode: 0, errors: '' });
      expect(shell('cat "$B/file"; rm -r "$B"').output).toBe('content');
    }
    expect(namesHere()).toEqual(['file']);
  });

  test('are excluded also where flag and value are one argument', () => {
    shell('mkdir dir; echo 1 > "dir/$B"; echo 2 > dir/y');
    expect(shell('hf backup --host excludes "--exclude=$B" dir')).toMatchObject({ exitCode: 0 });
    expect(shell('hf ls -q --host excludes latest').output).toBe('/dir\n/dir/y\n');
    shell('rm -r dir');
  });

  test.each([
    ['-r', 'hf -r "$B/r" init'],
    ['-r', 'RESTIC_REPOSITORY="$B" hf init'],
    ['a password file', 'printf x > "$B"; hf -p "$B" snapshots'],
    ['a cache', 'hf --cache-dir="$B" snapshots'],
    ['a list', 'hf backup --files-from "$B"'],
    [
      'a repository file',
      'printf %s "$B" > list; RESTIC_REPOSITORY= hf --repository-file list init',
    ],
    ['a relative location', 'mkdir "$B"; cd "$B"; hf -r relative init'],
  ])('are refused as %s: %s', (_, line) => {
    const run = shell(line);
    expect(run.exitCode).toBe(1);
    expect(run.errors).toMatch(/^Fatal: .*not UTF-8/);
    expect(run.errors).not.toMatch(/^\s+at /m);
    shell('rm -rf "$B" list');
    expect(namesHere()).toEqual(['file']);
  });

  test('may lead to the current folder', () => {
    const run = shell('mkdir "$B"; cd "$B"; echo 1 > file; hf backup --host current file .; cd ..');
    expect(run).toMatchObject({ exitCode: 0, errors: '' });
    expect(shell('hf snapshots --json --host current').output).toContain('bytes/x-');
    expect(shell('cd "$B"; hf dump --host current latest file').output).toBe('1\n');
    shell('rm -r "$B"');
  });

  test('as the home are no place for the cache, and the work goes on', () => {
    const run = shell('mkdir "$B"; HOME="$PWD/$B" "$N" "$P" snapshots; rm -r "$B"');
    expect(run).toMatchObject({ exitCode: 0, errors: expect.stringMatching(/not UTF-8/) });
    expect(namesHere()).toEqual(['file']);
  });

  test('are told from the character that stands for what cannot be decoded', () => {
    const name = 'x-\ufffd';
    const init = shell(`hf -r '${name}' init`);
    expect(init).toMatchObject({ exitCode: 0, errors: '' });
    expect(shell(`rm -r '${name}'`).exitCode).toBe(0);
  });
});
