import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openDocument } from '../../src/repository/unpacked.ts';
import { Compressor } from '../../src/kernels/zstd.ts';
import {
  backUp,
  checkAll,
  initRepository,
  restoreLatest,
  withRepository,
} from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { holdfast, isLong } from './bed.ts';

/** Hazard D16: a file that looks like a part of a repository is a file. */

const scratch = scratchFolder('crafted-files');

/** All parts of a repository, sealed and opened, compressed and plain, as files. */
async function writeParts(location: string, folder: string): Promise<void> {
  mkdirSync(folder);
  cpSync(location, path.join(folder, 'whole'), { recursive: true });
  await withRepository(location, {}, async ({ sealer }) => {
    for (const kind of ['index', 'snapshots', 'keys', 'data'] as const) {
      for (const name of readdirSync(path.join(location, kind), {
        recursive: true,
        encoding: 'utf8',
      })) {
        const file = path.join(location, kind, name);
        if (!statSync(file).isFile()) continue;
        const bytes = readFileSync(file);
        const base = path.join(folder, `${kind}-${path.basename(name)}`);
        writeFileSync(`${base}.stored`, bytes);
        if (kind === 'data' || kind === 'keys') continue;
        writeFileSync(`${base}.opened`, sealer.open(bytes));
        const tools = { version: 2, sealer, compressor: () => new Compressor('auto') } as const;
        const type = kind === 'index' ? 'index' : 'snapshot';
        writeFileSync(`${base}.json`, openDocument(tools, type, bytes));
      }
    }
  });
}

test('packs, indexes, trees, keys and snapshots as files are backed up, checked and restored as they are', async () => {
  const location = scratch.fresh('repository');
  const first = scratch.fresh('first');
  mkdirSync(first);
  writeFileSync(path.join(first, 'a'), 'content');
  await initRepository(location);
  await backUp(location, [first]);
  const source = scratch.fresh('source');
  await writeParts(location, source);
  const tree = await holdfast(location, ['cat', 'tree', 'latest'], scratch);
  expect(tree.output).toContain('"nodes"');
  // The plain tree has the hash of the tree blob: data and trees are told apart by type, not by id.
  writeFileSync(path.join(source, 'tree.json'), tree.output);
  for (const compression of isLong ? (['auto', 'off'] as const) : (['auto'] as const)) {
    const { exitCode } = await backUp(location, [source], {
      compression,
      options: { force: true },
    });
    expect(exitCode).toBe(0);
    expect((await checkAll(location)).errors).toEqual([]);
    const target = scratch.fresh('target');
    expect((await restoreLatest(location, target)).complaints).toEqual([]);
    const back = path.join(target, source);
    for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(path.join(source, name)).isFile()) continue;
      const isSame = readFileSync(path.join(back, name)).equals(
        readFileSync(path.join(source, name)),
      );
      expect(isSame, name).toBe(true);
    }
  }
  const listed = await holdfast(location, ['list', 'snapshots'], scratch);
  expect(listed.output.trim().split('\n')).toHaveLength(isLong ? 3 : 2);
});
