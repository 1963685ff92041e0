import { mkdirSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { openDirectory, openDirectoryAt } from '../../src/platform/directory.ts';
import { closeFile, makeDirectoryAt, openFile, writeAt } from '../../src/platform/files.ts';
import { backUp, checkAll, initRepository, restoreLatest } from '../tools/engine.ts';
import { findPeer, requirePeer } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('hazards');
const depth = 3000;

let repository: string;
beforeEach(async () => {
  repository = scratch.fresh('repository');
  await initRepository(repository);
});

/** Makes directories in each other, with a file in every hundredth: 33,000 bytes of path. */
function makeDeep(root: string): void {
  mkdirSync(root);
  let directory = openDirectory(Buffer.from(root));
  for (let level = 0; level < depth; level++) {
    const name = Buffer.from(`level ${level}`);
    makeDirectoryAt(directory, name, 0o755);
    const below = openDirectoryAt(directory, name);
    if (level % 100 === 0) writeText(directory, `text ${level}`);
    closeFile(directory);
    directory = below;
  }
  writeText(directory, 'at the bottom');
  closeFile(directory);
}

function writeText(directory: number, text: string): void {
  const fd = openFile({ directory, name: Buffer.from('file') }, { write: true, create: true });
  writeAt(fd, Buffer.from(text), 0);
  closeFile(fd);
}

/** Every entry: depth, type, mode, time, size and name; find changes into directories, so paths may be long. */
async function describeTree(root: string): Promise<string[]> {
  const lines = await mustRun('find', ['.', '-printf', '%d %y %m %T@ %s %f\\n'], { cwd: root });
  // The size of a directory is the file system's business.
  return lines.split('\n').map((line) => line.replace(/^(\d+ d \S+ \S+) \d+/, '$1'));
}

describe('C8: directories 3,000 deep', () => {
  requirePeer('restic');

  test('are stored and restored whole', async () => {
    const folder = scratch.fresh('deep');
    makeDeep(folder);
    const first = await backUp(repository, [folder]);
    expect(first.complaints).toEqual([]);
    expect(first.summary.totalFilesProcessed).toBe(31);
    expect((await checkAll(repository)).errors).toEqual([]);
    const target = scratch.fresh('restored');
    expect((await restoreLatest(repository, target)).complaints).toEqual([]);
    expect(await describeTree(target + folder)).toEqual(await describeTree(folder));
    const again = await backUp(repository, [folder]);
    expect(again.complaints).toEqual([]);
    expect(again.summary).toMatchObject({ dataBlobs: 0, filesUnmodified: 31 });
    if (findPeer('restic')) await mustRestic(repository, ['check', '--read-data']);
  });
});
