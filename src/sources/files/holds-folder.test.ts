import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { walkTargets } from './fixtures/walk.ts';
import type { FileSourceOptions } from './open-file-source.ts';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-holds-')));
  mkdirSync(path.join(folder, 't/deep/repository'), { recursive: true });
  mkdirSync(path.join(folder, 't/.cache/holdfast'), { recursive: true });
  mkdirSync(path.join(folder, 'other'));
  writeFileSync(path.join(folder, 't/f'), '');
  writeFileSync(path.join(folder, 't/.cache/holdfast/x'), '');
  symlinkSync('t/deep', path.join(folder, 'link'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function walk(targets: string[], options: Partial<FileSourceOptions>): Promise<string[]> {
  return (await walkTargets(targets, { workingDirectory: folder, ...options })).paths;
}

it.each([['t'], ['t/deep'], ['t/deep/repository'], ['link/repository'], ['.'], ['t/../t']])(
  'refuses %s, which holds the repository (hazard C21)',
  async (target) => {
    const repositoryFolders = [path.join(folder, 'link/repository')];
    await expect(walk([target], { repositoryFolders })).rejects.toMatchObject({
      code: 'SOURCE_HOLDS_REPOSITORY',
      details: { folder: path.join(folder, 'link/repository') },
    });
  },
);

it('takes a source that holds the repository only behind a link or an exclude', async () => {
  const repositoryFolders = [path.join(folder, 't/deep/repository'), path.join(folder, 'none')];
  expect(await walk(['link', 'other'], { repositoryFolders })).toEqual(['/link', '/other/']);
  expect(await walk(['t/f'], { repositoryFolders })).toEqual(['/t/', '/t/f']);
  const exclude = { patterns: [path.join(folder, 't/deep')] };
  expect(await walk(['t'], { repositoryFolders, exclude })).not.toContain('/t/deep/');
  const kept = { patterns: ['repository', '!repository'] };
  await expect(walk(['t'], { repositoryFolders, exclude: kept })).rejects.toMatchObject({
    code: 'SOURCE_HOLDS_REPOSITORY',
  });
  const itself = { patterns: ['repository'] };
  await expect(
    walk(['t/deep/repository'], { repositoryFolders, exclude: itself }),
  ).rejects.toMatchObject({ code: 'SOURCE_HOLDS_REPOSITORY' });
});

it('leaves its own cache out, and refuses it as a target', async () => {
  const cacheFolders = [path.join(folder, 't/.cache/holdfast')];
  expect(await walk(['t'], { cacheFolders })).toEqual([
    '/t/',
    '/t/.cache/',
    '/t/deep/',
    '/t/deep/repository/',
    '/t/f',
  ]);
  await expect(walk(['t/.cache/holdfast'], { cacheFolders })).rejects.toMatchObject({
    code: 'SOURCE_HOLDS_REPOSITORY',
  });
});
