import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeWith } from '../../../test/tools/peers.ts';
import { readStatus } from '../../platform/status.ts';
import { latin, problemsOf, walkTargets } from './fixtures/walk.ts';
import { type MountCalls, MountWatch } from './mount-watch.ts';

let folder: string;
const mounted: string[] = [];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-mounts-')));
});
afterEach(() => {
  for (const point of mounted.splice(0).toReversed()) spawnSync('umount', ['-l', point]);
  rmSync(folder, { recursive: true, force: true });
});

function at(...names: string[]): string {
  return path.join(folder, ...names);
}

function make(...names: string[]): void {
  for (const name of names) {
    mkdirSync(path.dirname(at(name)), { recursive: true });
    writeFileSync(at(name), '');
  }
}

/** A system with mount points that a test names; those in `dead` never answer. */
class FakeMounts implements MountCalls {
  readonly asked: string[] = [];
  readonly #points: Record<string, string>;
  readonly #dead: readonly string[];

  constructor(points: Record<string, string>, dead: readonly string[]) {
    this.#points = points;
    this.#dead = dead;
  }

  list() {
    return Object.entries(this.#points).map(([point, type]) => ({
      path: Uint8Array.from(Buffer.from(at(point))),
      device: 1,
      type,
    }));
  }

  probe(point: Uint8Array): Promise<boolean> {
    const name = path.relative(folder, latin(point));
    this.asked.push(name);
    return Promise.resolve(!this.#dead.includes(name));
  }
}

describe('MountWatch', () => {
  it('keeps the walk away from what does not answer, and goes on with the rest', async () => {
    make('t/a/f', 't/dead/lost', 't/alive/g', 't/local/h', 't/z');
    const mounts = new FakeMounts(
      { 't/dead': 'nfs4', 't/alive': 'fuse.sshfs', 't/local': 'ext4' },
      ['t/dead'],
    );
    const { paths, problems } = await walkTargets(['t'], { workingDirectory: folder, mounts });
    expect(paths).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/f',
      '/t/alive/',
      '/t/alive/g',
      '/t/local/',
      '/t/local/h',
      '/t/z',
    ]);
    expect(problemsOf({ problems })).toEqual([`SOURCE_FAILED(silent-mount) ${at('t/dead')}`]);
    expect(mounts.asked.toSorted()).toEqual(['t/alive', 't/dead']);
  });

  it('says nothing of a dead one that is excluded', async () => {
    make('t/a/f', 't/dead/lost');
    const mounts = new FakeMounts({ 't/dead': 'nfs4' }, ['t/dead']);
    const options = { workingDirectory: folder, mounts, exclude: { patterns: ['dead'] } };
    const { paths, problems } = await walkTargets(['t'], options);
    expect(paths).toEqual(['/t/', '/t/a/', '/t/a/f']);
    expect(problems).toEqual([]);
  });

  it('does not touch targets behind a dead one, also through links', async () => {
    make('m/dead/x/f', 't/f');
    symlinkSync('m/dead', at('link'));
    symlinkSync('loop', at('loop'));
    const mounts = new FakeMounts({ 'm/dead': 'nfs' }, ['m/dead']);
    const options = { workingDirectory: folder, mounts };
    const { paths, problems } = await walkTargets(['m/dead/x', 'link/x/f', 't', 'loop/x'], options);
    expect(paths).toEqual(['/t/', '/t/f']);
    expect(problemsOf({ problems })).toEqual([
      `SOURCE_FAILED(silent-mount) ${at('m/dead/x')}`,
      `SOURCE_FAILED(silent-mount) ${at('link/x/f')}`,
      `SYSTEM_CALL_FAILED ${at('loop/x')}`,
    ]);
    expect(mounts.asked).toEqual(['m/dead']);
  });

  it('finds mount points below a target that was named through a link', async () => {
    make('real/t/dead/f', 'real/t/g');
    symlinkSync('real', at('link'));
    const mounts = new FakeMounts({ 'real/t/dead': 'nfs' }, ['real/t/dead']);
    const { paths, problems } = await walkTargets(['link/t'], { workingDirectory: folder, mounts });
    expect(paths).toEqual(['/link/', '/link/t/', '/link/t/g']);
    expect(problemsOf({ problems })).toEqual([`SOURCE_FAILED(silent-mount) ${at('link/t/dead')}`]);
  });

  it('asks before . is replaced by its entries', async () => {
    make('t/dead/f', 't/g');
    const mounts = new FakeMounts({ 't/dead': 'nfs' }, ['t/dead']);
    const { paths, problems } = await walkTargets(['.'], { workingDirectory: at('t'), mounts });
    expect(paths).toEqual(['/g']);
    expect(problemsOf({ problems })).toEqual([`SOURCE_FAILED(silent-mount) ${at('t/dead')}`]);
  });

  it('asks at an automount point, and at nothing that is only another device', () => {
    make('auto/x', 'volume/x');
    const mounts = new FakeMounts({ auto: 'autofs' }, []);
    const watch = new MountWatch(mounts);
    expect(watch.isAutomount(1)).toBe(true);
    expect(watch.askAt(Buffer.from(at('auto/x')), 1)).toBeInstanceOf(Promise);
    expect(watch.askAt(Buffer.from(at('volume')), 2)).toBeUndefined();
  });
});

/** Mounts a tmpfs; false where this process may not. */
function mountTemporary(point: string): boolean {
  mkdirSync(point, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', 'none', point]).status !== 0) return false;
  mounted.push(point);
  return true;
}

describeWith(['mount'], 'mounted file systems', () => {
  it('are entered, or with one-file-system kept empty (hazard C14)', async () => {
    make('t/a/f', 't/z');
    mountTemporary(at('t/m'));
    make('t/m/in/f', 't/m/g');
    mountTemporary(at('t/m/in/deeper'));
    const both = ['/t/m/', '/t/m/g', '/t/m/in/', '/t/m/in/deeper/', '/t/m/in/f'];
    const whole = await walkTargets(['t'], { workingDirectory: folder });
    expect(whole.paths).toEqual(['/t/', '/t/a/', '/t/a/f', ...both, '/t/z']);
    const exclude = { oneFileSystem: true };
    const one = await walkTargets(['t'], { workingDirectory: folder, exclude });
    expect(one.paths).toEqual(['/t/', '/t/a/', '/t/a/f', '/t/m/', '/t/z']);
    expect(one.entries.get('/t/m')?.status.device).toBe(readStatus(Buffer.from(at('t/m'))).device);
    // The nearest target above counts.
    const named = await walkTargets(['t', 't/m'], { workingDirectory: folder, exclude });
    expect(named.paths).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/f',
      ...both.filter((each) => each !== ''),
      '/t/z',
    ]);
    const dot = await walkTargets(['.'], { workingDirectory: at('t'), exclude });
    expect(dot.paths).toEqual(['/a/', '/a/f', '/m/', '/z']);
  });

  it.each(['t/m', 't/m/in/repository'])(
    'may hold the repository at %s, where one-file-system leaves it out',
    async (place) => {
      make('t/a/f', 't/z');
      mountTemporary(at('t/m'));
      make(`${place}/config`);
      const repositoryFolders = [at(place)];
      const options = { workingDirectory: folder, repositoryFolders };
      const one = await walkTargets(['t'], { ...options, exclude: { oneFileSystem: true } });
      expect(one.paths).toEqual(['/t/', '/t/a/', '/t/a/f', '/t/m/', '/t/z']);
      expect(one.problems).toEqual([]);
      const code = 'SOURCE_HOLDS_REPOSITORY';
      await expect(walkTargets(['t'], options)).rejects.toMatchObject({ code });
      const named = walkTargets(['t/m'], { ...options, exclude: { oneFileSystem: true } });
      await expect(named).rejects.toMatchObject({ code });
    },
  );

  it('may loop back by bind: the loop ends where the kernel ends it', async () => {
    make('t/a/f');
    mkdirSync(at('t/loop'));
    expect(spawnSync('mount', ['--bind', at('t'), at('t/loop')]).status).toBe(0);
    mounted.push(at('t/loop'));
    const { paths } = await walkTargets(['t'], { workingDirectory: folder });
    expect(paths).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/f',
      '/t/loop/',
      '/t/loop/a/',
      '/t/loop/a/f',
      '/t/loop/loop/',
    ]);
  });

  it('do not hide the repository: it is found where it is mounted', async () => {
    make('t/a/f', 'repository/config');
    mkdirSync(at('t/bind'));
    expect(spawnSync('mount', ['--bind', at('repository'), at('t/bind')]).status).toBe(0);
    mounted.push(at('t/bind'));
    const options = { workingDirectory: folder, repositoryFolders: [at('repository')] };
    const { paths, problems } = await walkTargets(['t'], options);
    expect(paths).toEqual(['/t/', '/t/a/', '/t/a/f']);
    expect(problemsOf({ problems })).toEqual([`SOURCE_HOLDS_REPOSITORY ${at('t/bind')}`]);
  });
});
