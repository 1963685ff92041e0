import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { check } from '../../src/engine/check.ts';
import { diffTrees } from '../../src/engine/diff.ts';
import { walkTree } from '../../src/engine/trees/walk-paths.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { decodeTree } from '../../src/repository/tree.ts';
import { checkAll, restoreLatest } from '../tools/engine.ts';
import { folderJson, HostileRepository, nodeJson } from '../tools/hostile-repository.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { codeOf, CountingBackend, hearingContext, holdfast, isLong } from './bed.ts';

/** Hazard D4: trees that no backup makes. */

const scratch = scratchFolder('hostile-trees');

/** Trees that each name the next one twice: 2^`levels` paths in `levels` + 1 trees. */
function bomb(hostile: HostileRepository, levels: number, leaf: string): string {
  let tree = hostile.tree(leaf);
  for (let i = 0; i < levels; i++)
    tree = hostile.tree(folderJson('a', tree), folderJson('b', tree));
  return tree;
}

/** Folders in folders, `depth` deep. */
function chain(hostile: HostileRepository, depth: number, leaf: string): string {
  let tree = hostile.tree(leaf);
  for (let i = 0; i < depth; i++) tree = hostile.tree(folderJson('d', tree));
  return tree;
}

async function indexedOf(hostile: HostileRepository): Promise<IndexedRepository> {
  return new IndexedRepository(hostile.repository, await loadIndex(hostile.repository));
}

describe('a node is left out and the rest restored when its name is', () => {
  test.each([
    ['empty', ''],
    ['.', '.'],
    ['..', '..'],
    ['a/b', 'a/b'],
    ['/etc', '/etc'],
    ['..\\\\/x', '..\\\\/x'],
    ['with a null byte', 'a\0b'],
    ['with a quoted null byte', 'a\\x00b'],
    ['a quoted slash', 'a\\x2fb'],
    ['quoted wrongly', 'a\\qb'],
  ])('%s', async (_, name) => {
    const location = scratch.fresh('repository');
    const hostile = await HostileRepository.create(location);
    const tree = hostile.tree(nodeJson(name), nodeJson('good'));
    await hostile.store();
    await hostile.snapshot(tree);
    const target = scratch.fresh('target');
    const { complaints } = await restoreLatest(location, target);
    expect(complaints).toHaveLength(1);
    expect(readdirSync(target)).toEqual(['good']);
    const { errors, affectedSnapshots } = await checkAll(location);
    expect(errors.join('\n')).toContain(`tree ${tree}`);
    expect(affectedSnapshots).toHaveLength(1);
  });
});

describe('a name that other systems take for more is a plain name here:', () => {
  test.each(['C:\\\\', '..\\\\x', 'con', 'a:b', '..x'])('%s', async (name) => {
    const location = scratch.fresh('repository');
    const hostile = await HostileRepository.create(location);
    const tree = hostile.tree(nodeJson(name), nodeJson('zzz'));
    await hostile.store();
    await hostile.snapshot(tree);
    const target = scratch.fresh('target');
    expect((await restoreLatest(location, target)).complaints).toEqual([]);
    expect(readdirSync(target)).toHaveLength(2);
  });
});

test('names that come twice, in order or not, are restored once', async () => {
  const location = scratch.fresh('repository');
  const hostile = await HostileRepository.create(location);
  const sub = hostile.tree(nodeJson('inner'));
  const tree = hostile.tree(
    nodeJson('same'),
    nodeJson('same', { type: 'symlink', linktarget: '/etc', content: null }),
    nodeJson('z'),
    nodeJson('a'),
    folderJson('same', sub),
  );
  await hostile.store();
  await hostile.snapshot(tree);
  const target = scratch.fresh('target');
  const { complaints } = await restoreLatest(location, target);
  expect(complaints).toHaveLength(2);
  expect(readdirSync(target).toSorted()).toEqual(['a', 'same', 'z']);
  expect(readdirSync(target, { withFileTypes: true }).every((entry) => entry.isFile())).toBe(true);
});

test('a tree that names itself cannot be made; one that names a missing tree is told once', async () => {
  const location = scratch.fresh('repository');
  const hostile = await HostileRepository.create(location);
  const tree = hostile.tree(folderJson('gone', '0'.repeat(64)), nodeJson('good'));
  await hostile.store();
  await hostile.snapshot(tree);
  const target = scratch.fresh('target');
  expect((await restoreLatest(location, target)).complaints).toHaveLength(1);
  expect(existsSync(`${target}/good`)).toBe(true);
});

describe('a chain of folders', () => {
  const depth = isLong ? 1_000_000 : 20_500;

  test(`${depth} deep is listed to the limit and checked to its end`, async () => {
    const backend = new CountingBackend();
    const hostile = await HostileRepository.create(backend);
    const deep = chain(hostile, depth, nodeJson('leaf'));
    await hostile.store();
    await hostile.snapshot(deep);
    const indexed = await indexedOf(hostile);
    const context = hearingContext();
    let deepest = 0;
    let open = 0;
    await walkTree(
      indexed,
      Buffer.from(deep, 'hex'),
      {
        node: () => {},
        enter: () => {
          deepest = Math.max(deepest, ++open);
          return true;
        },
        leave: () => {
          open--;
        },
      },
      context,
    );
    expect(deepest).toBeLessThanOrEqual(20_001);
    expect(open).toBe(0);
    expect(context.problems).toHaveLength(1);
    expect(context.problems[0]).toContain('folders are nested more than 20000 deep');
    const { errorCount } = await checkAll(backend, undefined);
    expect(errorCount).toBe(0);
  });

  test.runIf(isLong)(`${depth} deep is compared to the limit`, async () => {
    const hostile = await HostileRepository.create(new CountingBackend());
    const before = Buffer.from(chain(hostile, depth, nodeJson('leaf')), 'hex');
    await hostile.store();
    const indexed = await indexedOf(hostile);
    // The chain and the chain without its first folder differ at every level.
    const [first] = await indexed.loadTree(before);
    const request = { before, after: first?.subtree ?? before, metadata: false };
    const compared = diffTrees(indexed, { ...request, onChange: () => {} }, hearingContext());
    await expect(compared).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
  });

  test('with damage at its end is named without paths of terabytes', async () => {
    const backend = new CountingBackend();
    const hostile = await HostileRepository.create(backend);
    const name = 'x'.repeat(250);
    let tree = hostile.tree(nodeJson('lost', { content: ['0'.repeat(64)] }));
    for (let i = 0; i < 4500; i++) tree = hostile.tree(folderJson(name, tree));
    await hostile.store();
    const snapshot = await hostile.snapshot(tree);
    const { affectedFiles, affectedSnapshots } = await checkAll(backend, undefined);
    expect(affectedSnapshots).toEqual([snapshot]);
    expect(affectedFiles).toHaveLength(1);
    expect(affectedFiles[0]?.path.length).toBeLessThan(2 ** 20 + 300);
  });
});

describe('fifty trees with 2^50 paths', () => {
  const limits = { directories: 2000, entries: 100_000 };

  test.each([
    ['plain', nodeJson('leaf')],
    ['with hard links', nodeJson('leaf', { links: 2, inode: 5 })],
    ['that end in what is missing', folderJson('gone', '0'.repeat(64))],
  ])('%s: a walk ends, and says so', async (_, leaf) => {
    const backend = new CountingBackend();
    const hostile = await HostileRepository.create(backend);
    const tree = bomb(hostile, 50, leaf);
    await hostile.store();
    const indexed = await indexedOf(hostile);
    const context = hearingContext();
    let nodeCount = 0;
    let open = 0;
    backend.readCount = 0;
    await walkTree(
      indexed,
      Buffer.from(tree, 'hex'),
      {
        limits,
        node: () => void nodeCount++,
        enter: () => ++open > 0,
        leave: () => void open--,
      },
      context,
    );
    expect(nodeCount).toBeLessThan(20_000);
    expect(open).toBe(0);
    expect(backend.readCount).toBeLessThan(20_000);
    const endless = context.problems.filter((text) => text.includes('without end'));
    expect(endless).toHaveLength(1);
    expect(endless[0]).toMatch(/folders: \d+, differentFolders: 51/);
  });

  test('are compared with others not at all', async () => {
    const backend = new CountingBackend();
    const hostile = await HostileRepository.create(backend);
    const before = bomb(hostile, 50, nodeJson('leaf'));
    const after = bomb(hostile, 50, nodeJson('other'));
    const small = hostile.tree(nodeJson('leaf'));
    await hostile.store();
    const indexed = await indexedOf(hostile);
    let told = 0;
    const compare = (a: string, b: string): Promise<string> =>
      codeOf(() =>
        diffTrees(
          indexed,
          {
            before: Buffer.from(a, 'hex'),
            after: Buffer.from(b, 'hex'),
            metadata: true,
            limits,
            onChange: () => void told++,
          },
          hearingContext(),
        ),
      );
    expect(await compare(before, after)).toBe('TREE_DAMAGED');
    expect(await compare(small, after)).toBe('TREE_DAMAGED');
    expect(await compare(before, before)).toBe('none');
    expect(told).toBeLessThan(40_000);
  });

  test('are checked tree by tree', async () => {
    const backend = new CountingBackend();
    const hostile = await HostileRepository.create(backend);
    const tree = bomb(hostile, 50, nodeJson('lost', { content: ['0'.repeat(64)] }));
    await hostile.store();
    await hostile.snapshot(tree);
    const options = { affectedFilesMax: 1000 };
    const result = await check(hostile.repository, options, hearingContext());
    expect(result.errorCount).toBe(1);
    expect(result.affectedFiles).toHaveLength(1000);
    expect(result.hasMoreAffectedFiles).toBe(true);
  });

  // Some 250,000 folders each, as the program's own limits have it: half a minute.
  test.runIf(isLong)('end every command, with a message', { timeout: 600_000 }, async () => {
    const location = scratch.fresh('repository');
    const hostile = await HostileRepository.create(location);
    const tree = bomb(hostile, 50, nodeJson('leaf', { links: 2, inode: 5 }));
    const other = bomb(hostile, 50, nodeJson('other'));
    await hostile.store();
    const before = await hostile.snapshot(other);
    const after = await hostile.snapshot(tree, '', '2026-01-02T00:00:00Z');
    const target = scratch.fresh('target');
    for (const args of [
      ['ls', 'latest'],
      ['find', '*'],
      ['stats', '--mode', 'restore-size', 'latest'],
      ['stats', '--mode', 'blobs-per-file', 'latest'],
      ['diff', before, after],
      ['dump', 'latest', '/'],
      ['restore', 'latest', '--target', target],
    ]) {
      const { exitCode, errors } = await holdfast(location, args, scratch);
      expect(errors, args.join(' ')).toContain('without end');
      expect(exitCode, args.join(' ')).toBeGreaterThan(0);
    }
    expect((await holdfast(location, ['check'], scratch)).exitCode).toBe(0);
  });
});

test('a tree of a million entries with one name is decoded once', () => {
  const count = isLong ? 1_000_000 : 50_000;
  const node = nodeJson('n');
  const bytes = Buffer.from(`{"nodes":[${Array.from({ length: count }, () => node).join(',')}]}`);
  const nodes = decodeTree(bytes);
  expect(nodes.filter(({ invalid }) => invalid === undefined)).toHaveLength(1);
});
