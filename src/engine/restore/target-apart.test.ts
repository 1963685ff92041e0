import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { backUp, initRepository, restoreLatest } from '../../../test/tools/engine.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import type { EntrySelect } from '../trees/entry-select.ts';
import { assertTargetApart } from './target-apart.ts';

const scratch = scratchFolder('target-apart');

/** A folder with a repository in it. */
function placeWithRepository(): { folder: string; repository: string } {
  const folder = scratch.fresh('place');
  const repository = join(folder, 'backups', 'repository');
  mkdirSync(repository, { recursive: true });
  return { folder, repository };
}

function judge(
  ...[repository, target, deletes, select]: [string, string, boolean, EntrySelect?]
): string {
  try {
    assertTargetApart(repository, Buffer.from(target), { deletes, select });
    return 'may go on';
  } catch (error) {
    return String(error);
  }
}

test('nothing is deleted around the repository, by whatever path', () => {
  const { folder, repository } = placeWithRepository();
  const link = scratch.fresh('link');
  symlinkSync(folder, link);
  for (const target of [folder, `${folder}/`, `${folder}/backups/..`, link, '/']) {
    expect(judge(repository, target, true)).toContain('the repository lies in the target');
    expect(judge(repository, target, false)).toBe('may go on');
  }
});

test.each<[string, RegExp, boolean]>([
  ['another folder', /^\/etc(\/|$)/, true],
  ['what lies beside it', /^\/backups\/repository-2(\/|$)/, true],
  ['a folder above', /^\/backups(\/|$)/, false],
  ['the repository', /^\/backups\/repository(\/|$)/, false],
  ['something in it', /^\/backups\/repository\/locks(\/|$)/, false],
])('deleting is free of the repository only where it is not selected: %s', (_, wanted, isFree) => {
  const { folder, repository } = placeWithRepository();
  const select = (path: Uint8Array): { selected: boolean; mayHoldSelected: boolean } => {
    const text = Buffer.from(path).toString();
    const selected = wanted.test(text);
    const inside = wanted.source.replaceAll('\\', '').replace('(/|$)', '');
    return { selected, mayHoldSelected: selected || inside.startsWith(`^${text}/`) };
  };
  const link = scratch.fresh('link');
  symlinkSync(folder, link);
  for (const target of [folder, `${folder}/`, link]) {
    const said = judge(repository, target, true, select);
    expect(said).toContain(isFree ? 'may go on' : 'the repository lies in the target');
  }
});

test('nothing is restored into the repository, also into folders that are not there yet', () => {
  const { repository } = placeWithRepository();
  for (const target of [repository, join(repository, 'new'), join(repository, 'new', 'newer')]) {
    for (const deletes of [true, false]) {
      expect(judge(repository, target, deletes)).toContain('the target lies in the repository');
    }
  }
});

test('other folders are free, those beside the repository too', () => {
  const { folder, repository } = placeWithRepository();
  for (const target of [
    join(folder, 'other'),
    join(folder, 'backups', 'repository-2'),
    'relative',
  ]) {
    expect(judge(repository, target, true)).toBe('may go on');
  }
});

test('a restore that would remove its repository changes nothing', async () => {
  const { folder, repository } = placeWithRepository();
  const source = scratch.fresh('source');
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, 'file'), 'content');
  await initRepository(repository);
  await backUp(repository, ['.'], { source: { workingDirectory: source } });
  writeFileSync(join(folder, 'mine'), 'x');
  await expect(restoreLatest(repository, folder, { delete: true })).rejects.toThrow(
    'the repository lies in the target',
  );
  expect(readdirSync(folder).toSorted()).toEqual(['backups', 'mine']);
  expect(existsSync(join(repository, 'config'))).toBe(true);
});
