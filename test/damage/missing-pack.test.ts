import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backUp, checkAll, initRepository, restoreLatest } from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('missing-pack');

function packFiles(repository: string): string[] {
  return readdirSync(join(repository, 'data'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test.each<{ readonly fate: string; readonly spoil: (file: string) => void }>([
  { fate: 'gone', spoil: (file) => rmSync(file) },
  { fate: 'empty', spoil: (file) => truncateSync(file, 0) },
  { fate: 'cut short', spoil: (file) => truncateSync(file, statSync(file).size - 1) },
  { fate: 'too long', spoil: (file) => truncateSync(file, statSync(file).size + 1) },
])('a backup leans on no pack that is $fate: it stores the unchanged files again', async (how) => {
  const source = scratch.fresh('source');
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, 'file'), 'content');
  const repository = scratch.fresh('repository');
  await initRepository(repository);
  const settings = { source: { workingDirectory: source } };
  await backUp(repository, ['.'], settings);
  for (const file of packFiles(repository)) how.spoil(file);
  const { problems, complaints } = await backUp(repository, ['.'], settings);
  expect(problems).toEqual([]);
  expect(complaints.join()).toContain('packs that the index lists are missing or cut short');
  const restored = scratch.fresh('restored');
  expect((await restoreLatest(repository, restored)).complaints).toEqual([]);
  expect(readFileSync(join(restored, 'file'), 'utf8')).toBe('content');
  expect((await checkAll(repository)).affectedFiles).toEqual([]);
});
