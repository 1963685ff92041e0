import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';

import { readExtendedAttributes, setExtendedAttribute } from '../../src/platform/attributes.ts';
import { closeFile, openFile } from '../../src/platform/files.ts';
import { backUp, initRepository, restoreLatest } from '../tools/engine.ts';
import { unmount } from '../tools/loop-mount.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { mustRun, type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

const scratch = scratchFolder('restore-target');
const nobody = 65_534;

/** Names of all extended attributes, and their values as text. */
function attributesOf(path: string): Record<string, string> {
  const found = readExtendedAttributes(Buffer.from(path));
  const texts = found.map(({ name, value }) => [
    Buffer.from(name).toString(),
    Buffer.from(value).toString('latin1'),
  ]);
  return Object.fromEntries(texts) as Record<string, string>;
}

function setAttribute(path: string, name: string, value: string): void {
  const file = openFile(Buffer.from(path));
  setExtendedAttribute(file, { name: Buffer.from(name), value: Buffer.from(value) });
  closeFile(file);
}

interface BackedUp {
  readonly repository: string;
  /** The folder that was backed up, which is also its path in the snapshot. */
  readonly subfolder: string;
}

async function backedUp(fill: (source: string) => void): Promise<BackedUp> {
  const repository = scratch.fresh('repository');
  const source = scratch.fresh('source');
  mkdirSync(source);
  fill(source);
  await initRepository(repository);
  await backUp(repository, [source]);
  return { repository, subfolder: source };
}

/** Restores the folder that was backed up with the command, as another user. */
function restoreAs(
  uid: number,
  from: BackedUp & { readonly flags?: readonly string[] },
  target: string,
): Promise<ProgramRun> {
  const { repository, subfolder, flags = ['-v'] } = from;
  const what = ['restore', ...flags, `latest:${subfolder}`, '-t', target];
  const args = ['--no-cache', '--no-lock', '-r', repository, ...what];
  return runProgram(process.execPath, [program, ...args], {
    uid,
    variables: { RESTIC_PASSWORD: 'x' },
  });
}

describeWith(['mount'], 'a target without room', () => {
  const mount = scratch.fresh('mount');
  afterAll(() => {
    execFileSync('umount', [mount]);
  });

  test('gets whole files only, and the list of the others', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      for (let i = 0; i < 30; i++) writeFileSync(join(source, `f${i}`), pseudoRandom(300_000, i));
      writeFileSync(join(source, 'large'), pseudoRandom(6_000_000, 99));
      writeFileSync(join(source, 'tiny'), 'x');
    });
    mkdirSync(mount);
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=5m', 'none', mount]);
    const result = await restoreLatest(repository, mount, { subfolder, verify: true });
    const names = readdirSync(mount);
    expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
    for (const name of names.filter((each) => /^f\d+$/.test(each))) {
      const content = readFileSync(join(mount, name));
      expect(content.equals(pseudoRandom(300_000, Number(name.slice(1))))).toBe(true);
    }
    expect(names).not.toContain('large');
    expect(result.problemCount).toBe(32 - names.length);
    expect(result.filesVerified).toBe(names.length);
    for (const complaint of result.complaints) expect(complaint).toMatch(/the storage is full/);
  });
});

describeWith(['root'], 'a restore by somebody who may not do everything', () => {
  test('lists what could not be set, and exits with 1', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      writeFileSync(join(source, 'mine'), 'm');
      chownSync(join(source, 'mine'), nobody, nobody);
      writeFileSync(join(source, 'others'), 'o', { mode: 0o640 });
      writeFileSync(join(source, 'setuid'), 's');
      chmodSync(join(source, 'setuid'), 0o4755);
      writeFileSync(join(source, 'my setuid'), 's');
      chownSync(join(source, 'my setuid'), nobody, nobody);
      chmodSync(join(source, 'my setuid'), 0o6755);
      mkdirSync(join(source, 'my setgid folder'));
      chownSync(join(source, 'my setgid folder'), nobody, nobody);
      chmodSync(join(source, 'my setgid folder'), 0o2755);
      setAttribute(join(source, 'mine'), 'user.a', 'kept');
      setAttribute(join(source, 'others'), 'trusted.b', 'refused');
      execFileSync('mknod', [join(source, 'device'), 'c', '1', '3']);
      chownSync(source, nobody, nobody);
    });
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, repository]);
    const target = scratch.fresh('target');
    mkdirSync(target);
    chownSync(target, nobody, nobody);
    const run = await restoreAs(nobody, { repository, subfolder }, target);
    expect(run.exitCode).toBe(1);
    const lines = run.errors.split('\n').filter((line) => line.startsWith('error: '));
    const about = (name: string): string[] => lines.filter((line) => line.includes(`: /${name}:`));
    expect(about('mine')).toEqual([]);
    expect(about('others').join('\n')).toMatch(/fchownat[^]*setxattr/);
    expect(about('device').join('\n')).toMatch(/mknodat/);
    expect(about('setuid').join('\n')).toMatch(/fchownat[^]*only an administrator restores/);
    expect(about('my setuid').join('\n')).toMatch(/only an administrator restores/);
    expect(lines).toHaveLength(6);
    expect(run.output).not.toContain('setuid or setgid');
    expect(statSync(join(target, 'my setuid')).mode & 0o7777).toBe(0o755);
    expect(statSync(join(target, 'my setgid folder')).mode & 0o7777).toBe(0o2755);
    expect(attributesOf(join(target, 'mine'))).toEqual({ 'user.a': 'kept' });
    expect(statSync(join(target, 'others')).mode & 0o7777).toBe(0o640);
    // As somebody else's it must not run with their rights.
    expect(statSync(join(target, 'setuid')).mode & 0o7777).toBe(0o755);
  });

  test('tells files of other owners in one line, and folders that only lead to them not at all', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      for (let i = 0; i < 5; i++) writeFileSync(join(source, `f${i}`), 'o');
      writeFileSync(join(source, 'mine'), 'm');
      chownSync(join(source, 'mine'), nobody, nobody);
      chownSync(source, nobody, nobody);
    });
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, repository]);
    const restore = async (...flags: string[]): Promise<ProgramRun> => {
      const target = scratch.fresh('target');
      mkdirSync(target);
      chownSync(target, nobody, nobody);
      return restoreAs(nobody, { repository, subfolder: '/', flags }, target);
    };
    const run = await restore();
    const place = join(subfolder, 'f');
    expect(run.errors.split('\n')).toEqual([
      `error: 5 files and folders belong to you now: only root can give files to another owner (${place}0, ${place}1, ${place}2 and 2 more; -v names all)`,
      'Fatal: there were 5 errors',
      '',
    ]);
    expect(run.exitCode).toBe(1);
    const json = await restore('--json');
    const items = json.errors
      .split('\n')
      .flatMap((line) => /"item":"([^"]*)"/.exec(line)?.[1] ?? []);
    expect(items.toSorted()).toEqual([0, 1, 2, 3, 4].map((i) => `${place}${i}`));
    const mine = await restore('--include', 'mine');
    expect(mine).toMatchObject({ exitCode: 0, errors: '' });
  });

  test('by root restores setuid and setgid, and tells how many', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      writeFileSync(join(source, 'plain'), 'p');
      writeFileSync(join(source, 'setuid'), 's');
      chmodSync(join(source, 'setuid'), 0o4755);
    });
    const target = scratch.fresh('target');
    const run = await restoreAs(0, { repository, subfolder }, target);
    expect(run.exitCode).toBe(0);
    expect(run.output).toContain('with setuid or setgid: /setuid\n');
    expect(run.output).toContain('1 files have setuid or setgid');
    expect(statSync(join(target, 'setuid')).mode & 0o7777).toBe(0o4755);
  });

  test('goes on in folders and over files that are read-only', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      mkdirSync(join(source, 'shut'));
      writeFileSync(join(source, 'shut/a'), 'a', { mode: 0o400 });
      setAttribute(join(source, 'shut/a'), 'user.a', 'kept');
      writeFileSync(join(source, 'shut/b'), 'b', { mode: 0 });
      chmodSync(join(source, 'shut/a'), 0o400);
      chmodSync(join(source, 'shut'), 0o500);
      execFileSync('chown', ['-R', `${nobody}:${nobody}`, source]);
    });
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, repository]);
    const target = scratch.fresh('target');
    mkdirSync(target);
    chownSync(target, nobody, nobody);
    const first = await restoreAs(nobody, { repository, subfolder }, target);
    expect(first).toMatchObject({ exitCode: 0, errors: '' });
    writeFileSync(join(target, 'shut/a'), 'changed');
    const second = await restoreAs(nobody, { repository, subfolder }, target);
    expect(second).toMatchObject({ exitCode: 0, errors: '' });
    expect(readFileSync(join(target, 'shut/a'), 'utf8')).toBe('a');
    expect(attributesOf(join(target, 'shut/a'))).toEqual({ 'user.a': 'kept' });
    expect(statSync(join(target, 'shut')).mode & 0o7777).toBe(0o500);
    expect(statSync(join(target, 'shut/b')).mode & 0o7777).toBe(0);
  });
});

describeWith(['root', 'setfacl'], 'attributes that were there before', () => {
  test('do not spread from the target into what is restored', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      mkdirSync(join(source, 'd/e'), { recursive: true });
      writeFileSync(join(source, 'd/e/f'), 'f');
      writeFileSync(join(source, 'g'), 'g');
    });
    const target = scratch.fresh('target');
    mkdirSync(target);
    await mustRun('setfacl', ['-d', '-m', 'u:1234:rwx', target]);
    const result = await restoreLatest(repository, target, { subfolder });
    expect(result.complaints).toEqual([]);
    for (const name of ['d', 'd/e', 'd/e/f', 'g']) {
      expect(attributesOf(join(target, name)), name).toEqual({});
      const isFolder = lstatSync(join(target, name)).isDirectory();
      expect(lstatSync(join(target, name)).mode & 0o7777).toBe(isFolder ? 0o755 : 0o644);
    }
    expect(Object.keys(attributesOf(target))).toEqual(['system.posix_acl_default']);
  });

  test('go if the snapshot does not have them, as far as they are chosen', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      mkdirSync(join(source, 'd'));
      writeFileSync(join(source, 'f'), 'f');
      for (const name of ['d', 'f']) {
        setAttribute(join(source, name), 'user.kept', 'new');
        setAttribute(join(source, name), 'trusted.kept', 'new');
      }
    });
    for (const [choice, left] of [
      [undefined, { 'trusted.kept': 'new', 'user.kept': 'new' }],
      [
        (name: string): boolean => name.startsWith('user.'),
        { 'trusted.extra': 'x', 'trusted.kept': 'old', 'user.kept': 'new' },
      ],
    ] as const) {
      const target = scratch.fresh('target');
      mkdirSync(join(target, 'd'), { recursive: true });
      for (const [name, content] of [
        ['same', 'f'],
        ['f', 'f'],
      ] as const) {
        writeFileSync(join(target, name), content);
      }
      for (const name of ['d', 'f']) {
        for (const kind of ['user', 'trusted']) {
          setAttribute(join(target, name), `${kind}.kept`, 'old');
          setAttribute(join(target, name), `${kind}.extra`, 'x');
        }
      }
      const more = choice ? { selectAttribute: choice } : {};
      const result = await restoreLatest(repository, target, { subfolder, ...more });
      expect(result.complaints).toEqual([]);
      expect(attributesOf(join(target, 'd'))).toEqual(left);
      expect(attributesOf(join(target, 'f'))).toEqual(left);
    }
  });
});

describeWith(['mount'], 'a target with something mounted in it', () => {
  const points: string[] = [];
  afterEach(() => {
    for (const point of points.splice(0)) unmount(point);
  });

  /** Mounts a folder with one file, of the same file system, at a new place. */
  async function bound(point: string): Promise<string> {
    const other = scratch.fresh('other');
    mkdirSync(other);
    writeFileSync(join(other, 'precious'), 'p');
    mkdirSync(point, { recursive: true });
    await mustRun('mount', ['--bind', other, point]);
    points.push(point);
    return other;
  }

  const complaint = 'a file system is mounted here: nothing in it is removed';

  test.each(['mnt', 'folder/mnt'])('keeps what is in it: %s', async (at) => {
    const from = await backedUp((source) => {
      mkdirSync(join(source, 'kept'));
    });
    const target = scratch.fresh('target');
    const other = await bound(join(target, at));
    const result = await restoreLatest(from.repository, target, { ...from, delete: true });
    expect(result.complaints).toEqual([`/${at}: ${complaint}`]);
    expect(readdirSync(other)).toEqual(['precious']);
    expect(readdirSync(target).toSorted()).toEqual([at.split('/')[0], 'kept'].toSorted());
  });

  test('keeps what is in a folder that the snapshot has, and below', async () => {
    const from = await backedUp((source) => {
      mkdirSync(join(source, 'mnt/below'), { recursive: true });
      mkdirSync(join(source, 'plain'));
    });
    const target = scratch.fresh('target');
    const other = await bound(join(target, 'mnt'));
    for (const folder of [join(other, 'below'), join(target, 'plain')]) {
      mkdirSync(folder);
      writeFileSync(join(folder, 'more'), 'm');
    }
    const options = { ...from, delete: true };
    const result = await restoreLatest(from.repository, target, options);
    expect(result.complaints).toEqual([`/mnt: ${complaint}`]);
    expect(readdirSync(other)).toEqual(['below', 'precious']);
    expect(readdirSync(join(other, 'below'))).toEqual(['more']);
    expect(readdirSync(join(target, 'plain'))).toEqual([]);
    // Nothing to remove is nothing to tell of.
    rmSync(join(other, 'precious'));
    rmSync(join(other, 'below/more'));
    expect((await restoreLatest(from.repository, target, options)).complaints).toEqual([]);
  });
});

describeWith(['mount'], 'a target to which two names are one', () => {
  const target = scratch.fresh('target');
  const [lower, upper] = [join(target, 'folder'), join(target, 'FOLDER')];
  let isMounted = false;
  afterAll(() => {
    if (isMounted) execFileSync('umount', [upper]);
  });

  test('does not get one folder restored over the other', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      for (const name of ['folder', 'FOLDER']) {
        mkdirSync(join(source, name));
        writeFileSync(join(source, name, 'f'), name);
      }
    });
    mkdirSync(lower, { recursive: true });
    mkdirSync(upper);
    // A bind mount looks the same as a file system that takes no notice of upper and lower case.
    await mustRun('mount', ['--bind', lower, upper]);
    isMounted = true;
    const result = await restoreLatest(repository, target, { subfolder });
    expect(readFileSync(join(lower, 'f'), 'utf8')).toBe('FOLDER');
    expect(result.complaints).toEqual([
      '/folder: another entry of this folder has the same name in the target',
    ]);
  });
});

describe('owners', () => {
  test.runIf(process.getuid?.() === 0)('are taken by name if that is asked for', async () => {
    const { repository, subfolder } = await backedUp((source) => {
      writeFileSync(join(source, 'f'), 'f');
      chownSync(join(source, 'f'), 0, 0);
    });
    const target = scratch.fresh('target');
    const result = await restoreLatest(repository, target, { subfolder, ownershipByName: true });
    expect(result.complaints).toEqual([]);
    expect(statSync(join(target, 'f'))).toMatchObject({ uid: 0, gid: 0 });
  });
});
