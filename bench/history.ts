// A repository with a history of snapshots, for rows that work on one.
import { rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { changeTree, makeTree } from './data.ts';
import { measure } from './measure.ts';
import { localPlace, toolAt } from './tools.ts';

const fileCount = 30_000;
const snapshotCount = 10;

/** Has the official program store ten snapshots of a tree that changes a little from one to the next. */
export async function makeHistory(repository: string): Promise<void> {
  const tree = `${repository}-tree`;
  const restic = toolAt(localPlace(dirname(repository)), 'restic', basename(repository));
  makeTree(tree, { fileCount, totalBytes: 1e9, seed: 2 });
  await measure(restic.init());
  for (let round = 0; round < snapshotCount; round++) {
    if (round > 0) changeTree(tree, { fileCount, round });
    await measure(restic.command('backup', '-q', tree));
  }
  rmSync(tree, { recursive: true, force: true });
}
