import { ForwardingBackend } from '../storage/forward.ts';
import { describe, expect, test } from 'vitest';

import { fromHex, toHex } from '../base/bytes.ts';
import { type Environment, systemEnvironment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import { PackedBlobs } from '../repository/blob.ts';
import { encodeIndex } from '../repository/index-file.ts';
import { idOf, storePack, testRepository } from '../repository/index-test-support.ts';
import type { FinishedPack } from '../repository/pack.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { Backend, CallOptions, FileStat, FileType } from '../storage/backend.ts';
import { fault } from '../storage/fault.ts';
import { memoryKey } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { check, type CheckOptions, type CheckResult } from './check.ts';
import {
  type FolderContent,
  madeFile,
  madeOfPieces,
  madeSpecial,
  noise,
  SnapshotMaker,
  someTime,
} from './engine-test-support.ts';

interface HeardCheck extends CheckResult {
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  readonly phases: readonly string[];
}

/** To start threads takes longer than all that they do for most tests here. */
const singleThreaded = { ...systemEnvironment, isSingleThreaded: true } as const;

async function checked(
  backend: Backend,
  options: CheckOptions = {},
  environment: Environment = singleThreaded,
): Promise<HeardCheck> {
  const complaints: string[] = [];
  const notes: string[] = [];
  const phases: string[] = [];
  const monitor = {
    problem: ({ item, error }: { item: string; error: unknown }) =>
      complaints.push(`${item}: ${describeError(error)}`),
    note: (text: string) => notes.push(text),
    phase: (text: string) => phases.push(text),
    progress: () => {},
  };
  const repository = testRepository({ backend });
  const result = await check(repository, options, { environment, monitor });
  return { ...result, complaints, notes, phases };
}

const readAll = { readData: { kind: 'all' } } as const;
const [a, b, c] = [noise(5000, 1), noise(6000, 2), noise(7000, 3)];
const content: FolderContent = {
  abc: madeOfPieces([a, b, c]),
  b: madeOfPieces([b]),
  sub: { c: madeOfPieces([c]), text: 'x' },
};

interface Made {
  readonly maker: SnapshotMaker;
  readonly snapshot: StoredSnapshot;
  readonly data: FinishedPack;
  readonly trees: FinishedPack;
}

async function made(what: FolderContent = content): Promise<Made> {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf(what);
  const [data, trees] = maker.packs;
  if (!data || !trees) throw new Error('two packs are stored');
  return { maker, snapshot, data, trees };
}

function bytesOf({ maker }: Made, pack: FinishedPack): Uint8Array<ArrayBuffer> {
  const bytes = maker.backend.files.get(memoryKey({ type: 'pack', name: pack.id }));
  if (!bytes) throw new Error('the pack is stored');
  return bytes;
}

/** The stored place of a blob. */
function placeOf(
  pack: FinishedPack,
  maker: SnapshotMaker,
  plain: Uint8Array,
): { readonly offset: number; readonly length: number } {
  const id = maker.blob('data', plain);
  for (const blob of pack.blobs.iterate()) if (Buffer.compare(blob.id, id) === 0) return blob;
  throw new Error('the pack has the blob');
}

function flip(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

function cut(making: Made, pack: FinishedPack, sizeBytes: number): void {
  const key = memoryKey({ type: 'pack', name: pack.id });
  making.maker.backend.files.set(key, bytesOf(making, pack).slice(0, sizeBytes));
}

function affected(result: CheckResult): string[] {
  return result.affectedFiles.map(({ path }) => path).toSorted();
}

async function manyPacks(): Promise<SnapshotMaker> {
  const maker = new SnapshotMaker();
  for (let i = 0; i < 20; i++) {
    maker.blob('data', noise(1000, i + 1));
    await maker.store();
  }
  return maker;
}

async function bomb(leaf: FolderContent): Promise<SnapshotMaker> {
  const maker = new SnapshotMaker();
  let tree = maker.folder(leaf);
  for (let level = 0; level < 50; level++) {
    const subtree = tree;
    tree = maker.folder({
      a: madeSpecial('dir', { subtree }),
      b: madeSpecial('dir', { subtree }),
    });
  }
  await maker.snapshot(tree, someTime);
  return maker;
}

describe('a check', () => {
  test('of what is whole finds nothing', async () => {
    const { maker } = await made();
    expect(await checked(maker.backend, readAll, systemEnvironment)).toMatchObject({
      errors: [],
      errorCount: 0,
      hints: [],
      brokenPacks: [],
      affectedFiles: [],
      affectedSnapshots: [],
      suggestRepairIndex: false,
      suggestPrune: false,
      snapshotCount: 1,
      packsRead: 2,
    });
    const shallow = await checked(maker.backend);
    expect(shallow).toMatchObject({ errorCount: 0, packsRead: 0, bytesRead: 0 });
    expect(shallow.phases).toEqual([
      'load snapshots',
      'load index files',
      'check all packs',
      'check snapshots, trees and blobs',
    ]);
  });

  test('names the files of a damaged blob, once data is read', async () => {
    const making = await made();
    const { maker, data, snapshot } = making;
    const { offset } = placeOf(data, maker, c);
    flip(bytesOf(making, data), offset + 20);
    expect(await checked(maker.backend)).toMatchObject({ errorCount: 0 });
    const result = await checked(maker.backend, readAll, systemEnvironment);
    expect(result.brokenPacks).toEqual([data.id]);
    expect(result.affectedSnapshots).toEqual([snapshot.id]);
    expect(affected(result)).toEqual(['/abc', '/sub/c']);
    const name = `pack ${data.id}`;
    expect(result.errors).toEqual([
      `${name}: its content does not match its name`,
      expect.stringMatching(
        `^${name}: a data blob is damaged: .*, blob ${toHex(maker.blob('data', c))}$`,
      ),
    ]);
    expect(result.complaints).toEqual(result.errors);
  });

  test('names no file of a damaged blob that another pack has', async () => {
    const making = await made();
    const { maker, data } = making;
    flip(bytesOf(making, data), placeOf(data, maker, c).offset + 20);
    await maker.store();
    const result = await checked(maker.backend, readAll);
    expect(result).toMatchObject({ errorCount: 2, brokenPacks: [data.id], affectedFiles: [] });
    expect(result.affectedSnapshots).toEqual([]);
  });

  test('names the files of a pack that is missing', async () => {
    const { maker, data, snapshot } = await made();
    await maker.backend.remove({ type: 'pack', name: data.id });
    const result = await checked(maker.backend);
    expect(result.errors).toEqual([`pack ${data.id}: it is missing`]);
    expect(affected(result)).toEqual(['/abc', '/b', '/sub/c', '/sub/text']);
    expect(result).toMatchObject({ suggestRepairIndex: true, affectedSnapshots: [snapshot.id] });
  });

  test('asks for a pack by name before it is missing', async () => {
    const { maker, data } = await made();
    const name = (each: string): boolean => each === data.id;
    const faulty = fault(maker.backend, [
      { operation: 'list', type: 'pack', fault: { kind: 'hidden', name } },
    ]);
    expect(await checked(faulty, readAll)).toMatchObject({ errorCount: 0, packsRead: 2 });
    expect(faulty.faultCount).toBe(1);
  });

  test('names the files behind the end of a pack that is cut', async () => {
    const making = await made();
    const { maker, data } = making;
    // The blobs of a pack are in the order in which they were added.
    const { offset, length } = placeOf(data, maker, b);
    cut(making, data, offset + length);
    const result = await checked(maker.backend);
    expect(result.errors).toEqual([expect.stringMatching(/it has \d+ bytes, by the index \d+$/)]);
    expect(affected(result)).toEqual(['/abc', '/sub/c', '/sub/text']);
    const deep = await checked(maker.backend, readAll);
    expect(affected(deep)).toEqual(affected(result));
    expect(deep.errorCount).toBeGreaterThan(1);
  });

  test('names the folder of a tree that is damaged, without reading data', async () => {
    const making = await made();
    const { maker, trees, snapshot } = making;
    const [first] = trees.blobs.iterate();
    flip(bytesOf(making, trees), (first?.offset ?? 0) + 18);
    const result = await checked(maker.backend);
    expect(result.errors).toEqual([
      expect.stringMatching(/^tree [0-9a-f]{64}: a tree blob is damaged/),
    ]);
    expect(result.affectedSnapshots).toEqual([snapshot.id]);
    // The blobs of a pack are in the order in which they were added: folders before those above.
    expect(affected(result)).toEqual(['/sub']);
  });

  test('names what a tree holds that cannot be restored', async () => {
    const maker = new SnapshotMaker();
    const time = '"2020-01-01T00:00:00Z"';
    const node = (name: string, more: string): string =>
      `{"name":"${name}","mtime":${time},"atime":${time},"ctime":${time},"uid":0,"gid":0,${more}}`;
    const nodes = [
      node('..', '"type":"file","content":[]'),
      node('a', '"type":"dir","content":null'),
      node('b', '"type":"irregular","content":null'),
      node('c', '"type":"file","content":null'),
      node('d', `"type":"file","content":["${'ab'.repeat(32)}"]`),
    ];
    const subtree = maker.rawTree(`{"nodes":[${nodes.join(',')}]}\n`);
    const snapshot = await maker.snapshot(
      maker.tree([maker.node('sub', madeSpecial('dir', { subtree }))]),
    );
    const result = await checked(maker.backend);
    const tree = `tree ${toHex(subtree)}`;
    expect(result.errors).toEqual([
      `${tree}: node ".." is not valid: its name is "." or ".."`,
      `${tree}: node "a" is not valid: it is a directory without a subtree`,
      `${tree}: node "b" has the invalid type "irregular"`,
      `${tree}: node "c" is not valid: it is a file without content`,
      `${tree}: blob ${'ab'.repeat(32)} of "d" is not in the index`,
    ]);
    expect(affected(result)).toEqual(['/sub', '/sub/d']);
    expect(result).toMatchObject({ affectedSnapshots: [snapshot.id], suggestRepairIndex: true });
  });

  test('names every snapshot that damage reaches, and no other', async () => {
    const maker = new SnapshotMaker();
    const lost = await maker.snapshotOf({ dir: { f: madeFile(a, { inode: 1 }) } });
    const [pack] = maker.packs;
    const whole = await maker.snapshotOf({ f: madeOfPieces([b]) });
    const also = await maker.snapshotOf({ d2: { f: madeFile(a, { inode: 1 }) } });
    const copies = [pack, maker.packs[4]];
    for (const copy of copies) {
      await maker.backend.remove({ type: 'pack', name: copy?.id ?? '' });
    }
    const result = await checked(maker.backend);
    expect(result.affectedSnapshots.toSorted()).toEqual([lost.id, also.id].toSorted());
    expect(result.affectedSnapshots).not.toContain(whole.id);
    expect(result.affectedFiles).toHaveLength(2);
  });

  test('names a snapshot that cannot be read, and one whose tree is gone', async () => {
    const { maker, snapshot } = await made();
    const file = maker.backend.files.get(memoryKey({ type: 'snapshot', name: snapshot.id }));
    const gone = await maker.snapshot(fromHex('ab'.repeat(32)) ?? idOf(0));
    if (file) flip(file, 30);
    const result = await checked(maker.backend);
    expect(result.affectedSnapshots.toSorted()).toEqual([snapshot.id, gone.id].toSorted());
    expect(affected(result)).toEqual(['/']);
    expect(result.errors).toEqual([
      expect.stringMatching(`^snapshot ${snapshot.id}: a snapshot file does not hold the bytes`),
      expect.stringMatching(`^tree ${'ab'.repeat(32)}: a tree blob is not in the index`),
    ]);
  });

  test('does not miss a snapshot that was removed meanwhile', async () => {
    const { maker, snapshot } = await made();
    await maker.snapshotOf({ f: 'still there' });
    const backend = new (class extends ForwardingBackend {
      override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
        yield* super.list(type, options);
        if (type !== 'snapshot') return;
        maker.backend.files.delete(memoryKey({ type, name: snapshot.id }));
      }
    })(maker.backend);
    expect(await checked(backend)).toMatchObject({ errors: [], snapshotCount: 1 });
  });

  test('names a damaged key file', async () => {
    const { maker } = await made();
    await maker.backend.put({ type: 'key', name: 'cd'.repeat(32) }, [Buffer.from('{}')]);
    const result = await checked(maker.backend);
    expect(result.errors).toEqual([
      expect.stringMatching(/^key (cd){32}: a key file does not hold/),
    ]);
    expect(result.affectedFiles).toEqual([]);
  });

  test.each(['key', 'snapshot', 'index', 'pack'] as const)(
    'takes a lock that is lost for no damage: while it reads a %s',
    async (type) => {
      const { maker } = await made();
      await maker.backend.put({ type: 'key', name: 'cd'.repeat(32) }, [Buffer.from('{}')]);
      const failure = { kind: 'error', code: 'LOCK_LOST' } as const;
      const faulty = fault(maker.backend, [{ operation: 'get', type, fault: failure }]);
      await expect(checked(faulty, readAll)).rejects.toMatchObject({ code: 'LOCK_LOST' });
    },
  );
});

describe('the index', () => {
  test('that is damaged is named, and what only it lists', async () => {
    const { maker, snapshot } = await made();
    for (const [key, file] of maker.backend.files) if (key.startsWith('index')) flip(file, 40);
    const result = await checked(maker.backend);
    expect(result.errors).toEqual([
      expect.stringMatching(/^index [0-9a-f]{64}: an index file/),
      expect.stringMatching(`^tree ${snapshot.tree}: a tree blob is not in the index`),
    ]);
    expect(result.hints).toHaveLength(2);
    expect(result).toMatchObject({ suggestRepairIndex: true, suggestPrune: true });
    expect(result.affectedSnapshots).toEqual([snapshot.id]);
  });

  test('files that differ about a pack are damage; equal ones are not', async () => {
    const { maker, data } = await made();
    const id = fromHex(data.id) ?? idOf(0);
    await maker.repository.saveUnpacked('index', encodeIndex([{ id, blobs: data.blobs }]));
    const equal = await checked(maker.backend);
    expect(equal).toMatchObject({ errorCount: 0, suggestRepairIndex: false });
    expect(equal.hints).toEqual([`pack ${data.id} is contained in several indexes`]);
    const fewer = PackedBlobs.from([...data.blobs.iterate()].slice(1));
    await maker.repository.saveUnpacked('index', encodeIndex([{ id, blobs: fewer }]));
    const differing = await checked(maker.backend);
    expect(differing.errors).toContain(`pack ${data.id}: index files differ about what it holds`);
    expect(differing.suggestRepairIndex).toBe(true);
  });

  test('that differs from the header of a pack is damage', async () => {
    const { maker, data, trees } = await made();
    for (const key of maker.backend.files.keys()) {
      if (key.startsWith('index')) maker.backend.files.delete(key);
    }
    const [first, second, ...rest] = [...data.blobs.iterate()];
    if (!first || !second) throw new Error('the pack has blobs');
    const swapped = [{ ...first, id: second.id }, { ...second, id: first.id }, ...rest];
    await maker.repository.saveUnpacked(
      'index',
      encodeIndex([
        { id: fromHex(data.id) ?? idOf(0), blobs: PackedBlobs.from(swapped) },
        { id: fromHex(trees.id) ?? idOf(0), blobs: trees.blobs },
      ]),
    );
    const result = await checked(maker.backend, readAll);
    expect(result.errors[0]).toMatch(/its header and the index differ at blob/);
    expect(result.brokenPacks).toEqual([data.id]);
    expect(result.affectedFiles.length).toBeGreaterThan(0);
  });

  test('does not list packs that nothing needs: no damage', async () => {
    const { maker } = await made();
    const orphan = await storePack(maker.repository, 'data', [noise(10, 9)]);
    const result = await checked(maker.backend, readAll);
    expect(result).toMatchObject({ errorCount: 0, suggestPrune: true, packsRead: 2 });
    expect(result.hints).toEqual([`pack ${orphan.id} is not in any index`]);
  });
});

test('packs without any snapshot are told of: their folder may have been left out of a copy', async () => {
  const { maker } = await made();
  const told = 'there are 2 packs and no snapshots; if nobody removed them';
  expect((await checked(maker.backend)).hints).toEqual([]);
  for (const key of maker.backend.files.keys()) {
    if (key.startsWith('snapshot')) maker.backend.files.delete(key);
  }
  const result = await checked(maker.backend);
  expect(result).toMatchObject({ errorCount: 0, snapshotCount: 0 });
  expect(result.hints).toEqual([
    `${told}, bring the folder "snapshots" back from a copy, or run "holdfast recover"`,
  ]);
});

describe('reading packs', () => {
  test('of a part takes those of the part', async () => {
    const maker = await manyPacks();
    let packsRead = 0;
    for (let part = 1; part <= 3; part++) {
      const expected = maker.packs.filter(
        ({ id }) => parseInt(id.slice(0, 2), 16) % 3 === part - 1,
      );
      const result = await checked(maker.backend, { readData: { kind: 'part', part, total: 3 } });
      expect(result.packsRead).toBe(expected.length);
      packsRead += result.packsRead;
    }
    expect(packsRead).toBe(20);
  });

  test('of a share or size takes so many', async () => {
    const maker = await manyPacks();
    const { backend } = maker;
    const sizeBytes = maker.packs[0]?.bytes.byteLength ?? 0;
    for (const [readData, packsRead] of [
      [{ kind: 'percent', percent: 25 }, 5],
      [{ kind: 'percent', percent: 0.1 }, 1],
      [{ kind: 'percent', percent: 100 }, 20],
      [{ kind: 'size', sizeBytes: 3 * sizeBytes }, 3],
      [{ kind: 'size', sizeBytes: 1 }, 1],
      [{ kind: 'size', sizeBytes: 1e9 }, 20],
    ] as const) {
      const result = await checked(backend, { readData });
      expect(result, JSON.stringify(readData)).toMatchObject({ packsRead, errorCount: 0 });
      expect(result.bytesRead).toBe(packsRead * sizeBytes);
    }
  });

  test('takes only what the chosen snapshots need', async () => {
    const maker = new SnapshotMaker();
    const one = await maker.snapshotOf({ f: madeFile(a, { inode: 1 }) });
    const [lost] = maker.packs;
    const two = await maker.snapshotOf({ f: madeFile(b, { inode: 1 }) });
    await maker.backend.remove({ type: 'pack', name: lost?.id ?? '' });
    for (const [chosen, packsRead, snapshots] of [
      [two, 2, []],
      [one, 1, [one.id]],
    ] as const) {
      const selectSnapshot = ({ id }: StoredSnapshot): boolean => id === chosen.id;
      const result = await checked(maker.backend, { ...readAll, selectSnapshot });
      expect(result).toMatchObject({ packsRead, snapshotCount: 1, affectedSnapshots: snapshots });
    }
  });

  test.each(['flip', 'error', 'short'] as const)(
    'tries again before it is damage: %s',
    async (kind) => {
      const { maker } = await made();
      const found = {
        flip: { kind: 'flip', byte: 100 },
        error: { kind: 'error', code: 'BACKEND_READ_FAILED' },
        short: { kind: 'short', sizeBytes: 100 },
      } as const;
      for (const [count, errorCount] of [
        [1, 0],
        [Infinity, 1],
      ] as const) {
        const faulty = fault(maker.backend, [
          { operation: 'get', type: 'pack', call: 2, count, fault: found[kind] },
        ]);
        const recorder = record(faulty);
        const result = await checked(recorder, readAll);
        expect(faulty.faultCount).toBeGreaterThanOrEqual(1);
        expect(result.errorCount > 0 ? 1 : 0).toBe(errorCount);
        expect(recorder.count({ operation: 'get', type: 'pack' })).toBeGreaterThan(2);
      }
    },
  );
});

describe('a snapshot without end', () => {
  test('is checked tree by tree', async () => {
    const maker = await bomb({ f: 'x' });
    expect(await checked(maker.backend)).toMatchObject({ errorCount: 0, snapshotCount: 1 });
  });

  test('has as many damaged files named as is good for anybody', async () => {
    const maker = await bomb({ f: 'x', whole: { g: '' } });
    const [data] = maker.packs;
    await maker.backend.remove({ type: 'pack', name: data?.id ?? '' });
    const result = await checked(maker.backend, { affectedFilesMax: 1000 });
    expect(result.affectedFiles).toHaveLength(1000);
    expect(result).toMatchObject({ errorCount: 1, hasMoreAffectedFiles: true });
    expect(result.affectedSnapshots).toHaveLength(1);
  });
});
