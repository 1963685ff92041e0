import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run } from '../crash/killed-run.ts';
import { treeDifferences } from '../tools/compare.ts';
import { backUp, initRepository, listSnapshots, password } from '../tools/engine.ts';
import { hazardTree, modestHazardTree } from '../tools/hazard-tree.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticTrees } from '../tools/restic.ts';
import type { ProgramRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { testScale } from '../tools/seeds.ts';
import { makeTree } from '../tools/tree-spec.ts';

const allVersions = [
  { from: 1, to: 2 },
  { from: 2, to: 2 },
  { from: 2, to: 1 },
  { from: 1, to: 1 },
] as const;
const versions = testScale > 1 ? allVersions : allVersions.slice(0, 1);

const scratch = scratchFolder('copy');
const passwordFile = join(scratch.path, 'password');
const fromPassword = ['--from-password-file', passwordFile];

beforeAll(() => {
  writeFileSync(passwordFile, password);
  // What is large is cut and packed no other way by a copy: modes.test.ts has it.
  makeTree(`${scratch.path}/tree`, testScale > 1 ? hazardTree() : modestHazardTree());
});

function filesOf(repository: string): Set<string> {
  return new Set(readdirSync(repository, { recursive: true, encoding: 'utf8' }));
}

const sources = new Map<1 | 2, Promise<string>>();

/** Two snapshots, one by each program; a copy of a repository that is made once. */
async function makeSource(version: 1 | 2): Promise<string> {
  const made = sources.get(version) ?? makeFirstSource(version);
  sources.set(version, made);
  const repository = scratch.fresh('source');
  cpSync(await made, repository, { recursive: true });
  return repository;
}

async function makeFirstSource(version: 1 | 2): Promise<string> {
  const repository = scratch.fresh('source');
  await initRepository(repository, { version });
  await backUp(repository, ['tree'], { source: { workingDirectory: scratch.path } });
  const more = ['--tag', 'a,b', '--exclude', 'nothing', '--host', 'other', 'tree'];
  await mustRestic(repository, ['backup', '-q', ...more], { cwd: scratch.path });
  return repository;
}

async function makeTarget(version: 1 | 2): Promise<string> {
  const repository = scratch.fresh('target');
  await initRepository(repository, { version });
  return repository;
}

function copy(
  source: string,
  repository: string,
  more: readonly string[] = [],
): Promise<ProgramRun> {
  return run({ repository, args: ['copy', '--from-repo', source, ...fromPassword, ...more] });
}

function resticCopy(source: string, target: string): Promise<string> {
  return mustRestic(target, ['copy', '-v', '--from-repo', source, ...fromPassword]);
}

/** Snapshots as restic lists them, without what differs from program to program. */
async function resticSnapshots(repository: string): Promise<unknown[]> {
  const output = await mustRestic(repository, ['snapshots', '--json', '--no-lock']);
  return (JSON.parse(output) as Record<string, unknown>[]).map((snapshot) => {
    const { id: _id, short_id: _short, ...rest } = snapshot;
    return rest;
  });
}

describeWith(['restic', 'rsync', 'bsdtar', 'root'], 'copying', () => {
  test.each(versions)('from version $from to $to is what restic does', async ({ from, to }) => {
    const source = await makeSource(from);
    const [ours, theirs] = [await makeTarget(to), await makeTarget(to)];
    expect(await copy(source, ours)).toMatchObject({ exitCode: 0, errors: '' });
    await mustRestic(ours, ['check', '--read-data']);
    expect(await resticTrees(ours)).toEqual(await resticTrees(source));
    await resticCopy(source, theirs);
    expect(await resticSnapshots(ours)).toEqual(await resticSnapshots(theirs));
    // Each passes over what the other copied.
    expect(await resticCopy(source, ours)).toMatch(/was already copied[^]*was already copied/);
    expect((await copy(source, theirs, ['-v'])).output).toMatch(
      /was already copied[^]*was already copied/,
    );
    for (const target of [ours, theirs]) expect(await listSnapshots(target)).toHaveLength(2);
    const restored = scratch.fresh('restored');
    await mustRestic(ours, ['restore', 'latest', '--target', restored]);
    expect(await treeDifferences(`${scratch.path}/tree`, `${restored}/tree`)).toEqual([]);
    for (const place of [source, ours, theirs, restored]) scratch.remove(place);
  });

  test('chooses snapshots, and goes on where restic left off', async () => {
    const source = await makeSource(2);
    const target = await makeTarget(2);
    const json = await copy(source, target, ['--host', 'other', '--json']);
    const messages = json.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(messages).toMatchObject([
      { message_type: 'copied' },
      { message_type: 'summary', snapshots_copied: 1, snapshots_failed: 0 },
    ]);
    expect(await resticCopy(source, target)).toMatch(/1 \/ 1 packs copied|saved, copied from/);
    const [first] = (await listSnapshots(source)).map(({ id }) => id);
    const third = await makeTarget(2);
    // From a copy: it still remembers the first of all.
    const none = await copy(target, third, ['00000000']);
    expect(none).toMatchObject({ exitCode: 0 });
    expect(none.errors).toMatch(/Ignoring "00000000"/);
    expect(await copy(target, third)).toMatchObject({ exitCode: 0 });
    expect((await listSnapshots(third)).map(({ original }) => original)).toContain(first);
    for (const place of [source, target, third]) scratch.remove(place);
  });

  test('a repository onto itself changes nothing', async () => {
    const source = await makeSource(2);
    const before = filesOf(source);
    expect(await copy(source, source)).toMatchObject({ exitCode: 0, output: '' });
    expect(filesOf(source)).toEqual(before);
    scratch.remove(source);
  });

  test('damage in the source: the snapshot is named and left out, exit code 1', async () => {
    const source = await makeSource(2);
    const target = await makeTarget(2);
    const packs = readdirSync(join(source, 'data'), { recursive: true, withFileTypes: true });
    for (const pack of packs.filter((file) => file.isFile())) {
      const file = join(pack.parentPath, pack.name);
      const bytes = readFileSync(file);
      // Every first blob, of data and of trees.
      bytes[3] = (bytes[3] ?? 0) ^ 1;
      spawnSync('chmod', ['u+w', file]);
      writeFileSync(file, bytes);
    }
    const ran = await copy(source, target);
    expect(ran.exitCode).toBe(1);
    expect(ran.errors).toMatch(/^error: [0-9a-f]{8}:\/.*is damaged/m);
    expect(ran.errors).toMatch(/^Fatal: 2 of 2 snapshots could not be copied$/m);
    expect(await listSnapshots(target)).toEqual([]);
    await mustRestic(target, ['check', '--read-data']);
    for (const place of [source, target]) scratch.remove(place);
  });

  test('wrong words are refused with the exit codes of restic', async () => {
    const source = await makeSource(2);
    const cases: readonly (readonly [number, readonly string[]])[] = [
      [1, ['copy']],
      [1, ['copy', '--from-repo', source, '--from-repository-file', 'x']],
      [10, ['copy', '--from-repo', join(scratch.path, 'nowhere'), ...fromPassword]],
      [12, ['copy', '--from-repo', source, '--from-password-command', 'echo wrong']],
    ];
    for (const [exitCode, args] of cases) {
      const ran = await run({ repository: source, args });
      expect(ran, args.join(' ')).toMatchObject({ exitCode });
      expect(ran.errors).toMatch(/^Fatal: [^\n]*\n(?:[^\n]*\n)?$/);
      const theirs = spawnSync('restic', ['--no-cache', '-r', source, ...args], {
        env: { PATH: process.env['PATH'], RESTIC_PASSWORD: password },
      });
      expect(theirs.status, args.join(' ')).toBe(exitCode);
    }
    scratch.remove(source);
  });
});
