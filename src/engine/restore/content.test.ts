import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { defined } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { FinishedPack } from '../../repository/pack.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { memoryKey } from '../../storage/memory/memory-backend.ts';
import {
  type FolderContent,
  madeOfPieces,
  noise,
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';
import { markName } from './restore-mark.ts';
import { type TemporaryKind, temporaryName } from './temporary-name.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

const [a, b, c] = [noise(700_000, 1), noise(600_000, 2), noise(650_000, 3)];
const shared: FolderContent = {
  abc: madeOfPieces([a, b, c]),
  b,
  cb: madeOfPieces([c, b, c]),
  other: 'text',
};
const sharedContent = {
  abc: Buffer.concat([a, b, c]),
  b: Buffer.from(b),
  cb: Buffer.concat([c, b, c]),
  other: Buffer.from('text'),
};

/** What is in a target, but for the mark of a restore that is not done. */
function namesIn(target: string): string[] {
  return readdirSync(target).filter((name) => name !== Buffer.from(markName).toString());
}

function expectContent(target: string, content: Record<string, Buffer>): void {
  expect(readdirSync(target).toSorted()).toEqual(Object.keys(content).toSorted());
  for (const [name, bytes] of Object.entries(content)) {
    expect(readFileSync(path.join(target, name)).equals(bytes), name).toBe(true);
  }
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Flips a bit in the middle of a stored blob. */
function damage(maker: SnapshotMaker, pack: FinishedPack, plain: Uint8Array): void {
  const id = maker.blob('data', plain);
  const blob = [...pack.blobs.iterate()].find((each) => Buffer.compare(each.id, id) === 0);
  const { offset, length } = defined(blob, 'the pack has the blob');
  const file = maker.backend.files.get(memoryKey({ type: 'pack', name: pack.id }));
  const at = offset + (length >> 1);
  if (file) file[at] = (file[at] ?? 0) ^ 4;
}

/** The index with one more entry of `plain` before all others. */
async function withLie(
  maker: SnapshotMaker,
  plain: Uint8Array,
  lie: { readonly length?: number; readonly uncompressedLength?: number },
): Promise<IndexedRepository> {
  const { index, repository } = await maker.indexed();
  const lying = BlobIndex.create();
  const id = maker.blob('data', plain);
  const truth = index.find('data', id);
  const pack = lying.addPack(index.packId(index.packOf(truth)));
  lying.insert('data', id, {
    pack,
    offset: index.offsetOf(truth),
    length: index.lengthOf(truth),
    uncompressedLength: index.uncompressedLengthOf(truth),
    ...lie,
  });
  for (let entry = 0; entry < index.blobCount; entry++) {
    lying.insert(index.typeOf(entry), index.idOf(entry), {
      pack: lying.addPack(index.packId(index.packOf(entry))),
      offset: index.offsetOf(entry),
      length: index.lengthOf(entry),
      uncompressedLength: index.uncompressedLengthOf(entry),
    });
  }
  return new IndexedRepository(repository, lying);
}

interface Made {
  readonly snapshot: StoredSnapshot;
  readonly indexed: IndexedRepository;
}

async function made(content: FolderContent): Promise<Made> {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf(content);
  return { snapshot, indexed: await maker.indexed() };
}

describe('a damaged blob', () => {
  test.each([
    ['one bit', false],
    ['the whole pack gone', true],
  ])('(%s) is taken from another pack', async (_, isGone) => {
    const maker = new SnapshotMaker();
    const snapshot = await maker.snapshotOf(shared);
    const [pack] = maker.packs;
    if (!pack) throw new Error('no pack');
    if (isGone) await maker.backend.remove({ type: 'pack', name: pack.id });
    else for (const plain of [a, b]) damage(maker, pack, plain);
    for (const plain of [a, b, c, Buffer.from('text')]) maker.blob('data', plain);
    await maker.store();
    for (const sparse of [false, true]) {
      const target = folder.fresh();
      const options = { sparse, verify: true };
      const result = await restoreHeard(await maker.indexed(), { snapshot, target, options });
      expectContent(target, sharedContent);
      expect(result).toMatchObject({ problemCount: 0, filesRestored: 4, filesVerified: 4 });
    }
  });

  test('without another copy costs only the files that need it', async () => {
    const maker = new SnapshotMaker();
    const snapshot = await maker.snapshotOf(shared);
    const [pack] = maker.packs;
    if (pack) damage(maker, pack, a);
    const target = folder.fresh();
    mkdirSync(target);
    writeFileSync(path.join(target, 'abc'), 'what was there');
    const request = { snapshot, target, options: { verify: true } };
    const result = await restoreHeard(await maker.indexed(), request);
    const { b: wholeB, cb, other } = sharedContent;
    expectContent(target, { abc: Buffer.from('what was there'), b: wholeB, cb, other });
    expect(result.complaints).toHaveLength(1);
    expect(result.complaints[0]).toMatch(/^\/abc: a data blob is damaged: .*does not authenticate/);
    expect(result).toMatchObject({ filesTotal: 4, filesRestored: 3, filesVerified: 3 });
  });

  test('that no index knows costs only the files that need it', async () => {
    const maker = new SnapshotMaker();
    const node = maker.node('lost', madeOfPieces([a]));
    const content = defined(node.content, 'a file has content').map((byte) => byte ^ 1);
    const tree = maker.tree([{ ...node, content }, maker.node('kept', madeOfPieces([a]))]);
    const target = folder.fresh();
    const snapshot = await maker.snapshot(tree);
    const result = await restoreHeard(await maker.indexed(), { snapshot, target });
    expectContent(target, { kept: Buffer.from(a) });
    expect(result.complaints).toHaveLength(1);
    expect(result.complaints[0]).toMatch(/^\/lost: a blob is not in the index/);
  });
});

describe('an index that lies', () => {
  test.each([
    ['about a plain size', { uncompressedLength: 1000 }],
    ['about an enormous plain size', { uncompressedLength: 0xffff_ffff }],
    ['about an enormous size', { length: 0xffff_ffff }],
    ['about a size below the smallest', { length: 3, uncompressedLength: 0 }],
  ])('%s gives an error, and never wrong bytes', async (_, lie) => {
    const maker = new SnapshotMaker();
    const snapshot = await maker.snapshotOf(shared);
    const target = folder.fresh();
    const indexed = await withLie(maker, b, lie);
    const result = await restoreHeard(indexed, { snapshot, target, options: { verify: true } });
    expect(result.complaints.length).toBeGreaterThanOrEqual(3);
    expect(result.complaints.join('\n')).toMatch(/damaged/);
    expectContent(target, { other: sharedContent.other });
  });
});

/** Lets reads of file data fail, but for those of one pack, until the returned function is called. */
function failingGets({ backend }: SnapshotMaker, error: HoldfastError, spared = ''): () => void {
  const get = backend.get.bind(backend);
  backend.get = async (handle, range, options) => {
    if (handle.type === 'pack' && !handle.holdsTrees && handle.name !== spared) throw error;
    return get(handle, range, options);
  };
  return () => {
    backend.get = get;
  };
}

/** The temporary name of the file `large`. */
function largeName(kind: TemporaryKind): string {
  return Buffer.from(temporaryName(Buffer.from('large'), 0, kind)).toString();
}

/** All that a file is. */
function stateOf(at: string): unknown {
  const { ino, mtimeMs, mode, size } = statSync(at);
  return { ino, mtimeMs, mode, size, names: readdirSync(path.dirname(at)), content: digest(at) };
}

function selectOther(at: Uint8Array): { selected: boolean; mayHoldSelected: boolean } {
  const selected = Buffer.from(at).toString() !== '/large';
  return { selected, mayHoldSelected: selected };
}

describe('a file of 64 MiB and more', () => {
  const piece = noise(7 << 20, 9);
  const zeros = new Uint8Array(1 << 20);
  const pieces = [...Array.from({ length: 10 }, () => piece), zeros, a];
  const whole = Buffer.concat(pieces);
  const [name, half] = [largeName('part'), largeName('half')];

  function large(): Promise<Made> {
    return made({ large: madeOfPieces(pieces) });
  }

  async function largeWithBackend(): Promise<
    Made & { readonly maker: SnapshotMaker; readonly first: string }
  > {
    const maker = new SnapshotMaker();
    // Two packs, so that one of them may be read and the other not.
    const front = maker.node('large', madeOfPieces(pieces.slice(0, -2)));
    const [first] = await maker.store();
    const back = maker.node('large', madeOfPieces(pieces.slice(-2)));
    const content = concatBytes([front, back].map((node) => node.content ?? new Uint8Array(0)));
    const sizeBytes = whole.byteLength;
    const snapshot = await maker.snapshot(maker.tree([{ ...front, content, sizeBytes }]));
    return { maker, first: first?.id ?? '', snapshot, indexed: await maker.indexed() };
  }

  /** A target in which the last three of all pieces are wrong. */
  function staleTarget(): { readonly target: string; readonly at: string } {
    const target = folder.fresh();
    mkdirSync(target);
    const at = path.join(target, 'large');
    writeHalf(at, 9 * piece.byteLength, whole.byteLength);
    const past = new Date(1_400_000_000_000);
    utimesSync(at, past, past);
    return { target, at };
  }

  /** Makes a file that has the first `wholeBytes` right, and rubbish up to `sizeBytes`. */
  function writeHalf(at: string, wholeBytes: number, sizeBytes: number): void {
    const fd = openSync(at, 'w');
    writeSync(fd, whole.subarray(0, wholeBytes), 0, wholeBytes, 0);
    writeSync(fd, Buffer.alloc(sizeBytes - wholeBytes, 'rubbish'), 0, null, wholeBytes);
    closeSync(fd);
  }

  test.each([
    ['', false],
    [', sparse', true],
  ])('goes on where an interrupted run stopped%s', async (_, sparse) => {
    const { snapshot, indexed } = await large();
    const target = folder.fresh();
    mkdirSync(target);
    writeHalf(path.join(target, name), 4 * piece.byteLength, whole.byteLength + 5);
    const options = { sparse, verify: true };
    const result = await restoreHeard(indexed, { snapshot, target, options });
    expect(result.complaints).toEqual([]);
    expectContent(target, { large: whole });
    const bytesSkipped = 4 * piece.byteLength;
    expect(result).toMatchObject({ bytesSkipped, bytesRestored: whole.byteLength - bytesSkipped });
    if (!sparse) return;
    const { blocks } = statSync(path.join(target, 'large'));
    expect(blocks * 512).toBeLessThanOrEqual(whole.byteLength - zeros.byteLength + 8192);
  });

  test('is not removed by a run with --delete that could go on with it', async () => {
    const { snapshot, indexed } = await large();
    const target = folder.fresh();
    mkdirSync(target);
    writeHalf(path.join(target, name), 4 * piece.byteLength, whole.byteLength);
    const options = { delete: true };
    const result = await restoreHeard(indexed, { snapshot, target, options });
    expect(result.complaints).toEqual([]);
    expect(result).toMatchObject({ filesDeleted: 0, bytesSkipped: 4 * piece.byteLength });
    expectContent(target, { large: whole });
  });

  test.each([
    ['always', false],
    ['always', true],
    ['if-changed', false],
    ['if-newer', false],
  ] as const)('is updated in place (%s, sparse %s)', async (overwrite, sparse) => {
    const { snapshot, indexed } = await large();
    const target = folder.fresh();
    mkdirSync(target);
    const at = path.join(target, 'large');
    writeHalf(at, 9 * piece.byteLength, whole.byteLength + 100_000);
    const past = new Date(1_400_000_000_000);
    utimesSync(at, past, past);
    const { ino } = statSync(at);
    const options = { overwrite, sparse, verify: true };
    const result = await restoreHeard(indexed, { snapshot, target, options });
    expect(result.complaints).toEqual([]);
    expect(result.items).toEqual(['updated /large']);
    expectContent(target, { large: whole });
    expect(statSync(at).ino).toBe(ino);
    expect(result.bytesSkipped).toBe(9 * piece.byteLength);
  });

  test.each([
    ['always', 'CANCELLED'],
    ['if-newer', 'BACKEND_UNAVAILABLE'],
    ['never', 'CANCELLED'],
    ['always', 'BACKEND_READ_FAILED'],
  ] as const)(
    'that is half updated is named, and does not have its name (next run %s, %s)',
    async (overwrite, code) => {
      const { maker, first, snapshot, indexed } = await largeWithBackend();
      const { target } = staleTarget();
      const stop = failingGets(maker, new HoldfastError(code), first);
      const complaints: string[] = [];
      const heard = { onComplaint: (text: string): void => void complaints.push(text) };
      const run = restoreHeard(indexed, { snapshot, target, ...heard });
      if (code === 'BACKEND_READ_FAILED') await run;
      else await expect(run).rejects.toMatchObject({ code });
      stop();
      expect({ names: namesIn(target), complaints }).toMatchObject({ names: [half] });
      expect(complaints).toEqual([
        expect.stringMatching(/^\/large: it is updated in part, and kept beside its place as [.]/),
      ]);
      expect(complaints[0]).toContain(half);
      const result = await restoreHeard(indexed, { snapshot, target, options: { overwrite } });
      expect(result.complaints).toEqual([]);
      expect(result.bytesSkipped).toBe(10 * piece.byteLength);
      expectContent(target, { large: whole });
    },
  );

  test.each(['CANCELLED', 'BACKEND_UNAVAILABLE', 'BACKEND_READ_FAILED'] as const)(
    'that nothing could be written into is as it was (%s)',
    async (code) => {
      const { maker, snapshot, indexed } = await largeWithBackend();
      const { target, at } = staleTarget();
      const before = stateOf(at);
      const stop = failingGets(maker, new HoldfastError(code));
      const run = restoreHeard(indexed, { snapshot, target });
      if (code === 'BACKEND_READ_FAILED') {
        expect((await run).complaints).toEqual([expect.stringMatching(/^\/large: /)]);
      } else await expect(run).rejects.toMatchObject({ code });
      stop();
      rmSync(path.join(target, Buffer.from(markName).toString()), { force: true });
      expect(stateOf(at)).toEqual(before);
    },
  );

  test('of which a blob is in no index is as it was', async () => {
    const maker = new SnapshotMaker();
    const node = maker.node('large', madeOfPieces(pieces));
    const content = defined(node.content, 'a file has content');
    content[content.byteLength - 1] = (content.at(-1) ?? 0) ^ 1;
    const snapshot = await maker.snapshot(maker.tree([node]));
    const { target, at } = staleTarget();
    const before = stateOf(at);
    const result = await restoreHeard(await maker.indexed(), { snapshot, target });
    expect(result.complaints).toEqual([expect.stringMatching(/^\/large: a blob is not in/)]);
    expect(stateOf(at)).toEqual(before);
  });

  test('that is half updated is not removed by a run that does not restore it', async () => {
    const { maker, snapshot, indexed } = await largeWithBackend();
    const target = folder.fresh();
    mkdirSync(target);
    writeHalf(path.join(target, half), 4 * piece.byteLength, whole.byteLength);
    const other = await maker.snapshotOf({ other: 'text' });
    const loaded = await maker.indexed();
    for (const options of [
      {},
      { select: selectOther },
      { select: selectOther, delete: true },
      { dryRun: true },
    ]) {
      const result = await restoreHeard(loaded, { snapshot: other, target, options });
      const isDry = 'dryRun' in options;
      expect(result.notes.filter((note) => note.includes(half))).toHaveLength(isDry ? 0 : 1);
      expect(readdirSync(target).toSorted()).toEqual([half, 'other']);
    }
    const result = await restoreHeard(indexed, { snapshot, target, options: { delete: true } });
    expect(result.bytesSkipped).toBe(4 * piece.byteLength);
    expectContent(target, { large: whole });
  });

  test('is written anew where another one is half updated', async () => {
    const { snapshot, indexed } = await large();
    const { target, at } = staleTarget();
    writeFileSync(path.join(target, half), 'half of something');
    const { ino } = statSync(at);
    expect((await restoreHeard(indexed, { snapshot, target })).complaints).toEqual([]);
    expect(statSync(at).ino).not.toBe(ino);
    expectContent(target, { large: whole, [half]: Buffer.from('half of something') });
  });

  test('is cut to its size if it is only too long', async () => {
    const { snapshot, indexed } = await large();
    const target = folder.fresh();
    mkdirSync(target);
    const at = path.join(target, 'large');
    writeHalf(at, whole.byteLength, whole.byteLength + 1);
    const result = await restoreHeard(indexed, { snapshot, target });
    expect(result.items).toEqual(['updated /large']);
    expect(result).toMatchObject({ bytesRestored: 0, bytesSkipped: whole.byteLength });
    expectContent(target, { large: whole });
  });

  test('is not started from what an interrupted run left of something else', async () => {
    const { snapshot, indexed } = await made({ large: 'small now', dir: { x: 'y' } });
    const target = folder.fresh();
    mkdirSync(path.join(target, 'dir'), { recursive: true });
    writeHalf(path.join(target, name), 100, 200);
    writeFileSync(path.join(target, 'dir', name), 'of a file that is no more');
    const dry = await restoreHeard(indexed, { snapshot, target, options: { dryRun: true } });
    expect(dry.complaints).toEqual([]);
    expect(existsSync(path.join(target, name))).toBe(true);
    const result = await restoreHeard(indexed, { snapshot, target });
    expect(result).toMatchObject({ filesDeleted: 0, problemCount: 0 });
    expect(readdirSync(target).toSorted()).toEqual(['dir', 'large']);
    expect(readdirSync(path.join(target, 'dir'))).toEqual(['x']);
  });

  test('has holes if that is asked for', async () => {
    const hole = new Uint8Array(8 << 20);
    const content = madeOfPieces([...Array.from({ length: 20 }, () => hole), a, hole]);
    const { snapshot, indexed } = await made({ sparse: content });
    const target = folder.fresh();
    await restoreHeard(indexed, { snapshot, target, options: { sparse: true, verify: true } });
    const status = statSync(path.join(target, 'sparse'));
    expect(status.size).toBe(21 * hole.byteLength + a.byteLength);
    expect(status.blocks * 512).toBeLessThan(2 * a.byteLength);
  });
});

describe('an interrupted restore', () => {
  test('leaves no part of a small file, and no final name of a part', async () => {
    const maker = new SnapshotMaker();
    const snapshot = await maker.snapshotOf({ ...shared, z: madeOfPieces([noise(40 << 20, 7)]) });
    const indexed = await maker.indexed();
    const { backend } = maker;
    const get = backend.get.bind(backend);
    backend.get = async (handle, range, options) => {
      if (handle.type === 'pack' && !handle.holdsTrees && range && range.start > 1_000_000) {
        throw new HoldfastError('CANCELLED');
      }
      return get(handle, range, options);
    };
    const target = folder.fresh();
    await expect(restoreHeard(indexed, { snapshot, target })).rejects.toThrow('cancelled');
    for (const name of namesIn(target)) {
      expect(Object.keys(sharedContent)).toContain(name);
    }
  });
});

test('what appears while a restore runs is not overwritten', async () => {
  const maker = new SnapshotMaker();
  const content = { small: 'ours', pieces: madeOfPieces([a, b]), fine: 'ours' };
  const snapshot = await maker.snapshotOf(content);
  const indexed = await maker.indexed();
  const target = folder.fresh();
  const { backend } = maker;
  const get = backend.get.bind(backend);
  // As two names that are one to the file system would: both are planned before either is there.
  backend.get = async (handle, range, options) => {
    for (const name of ['small', 'pieces']) {
      if (range && !handle.holdsTrees) writeFileSync(path.join(target, name), 'theirs');
    }
    return get(handle, range, options);
  };
  const result = await restoreHeard(indexed, { snapshot, target });
  expectContent(target, {
    small: Buffer.from('theirs'),
    pieces: Buffer.from('theirs'),
    fine: Buffer.from('ours'),
  });
  expect(result.complaints.toSorted()).toEqual([
    expect.stringMatching(/^\/pieces: its name is taken/),
    expect.stringMatching(/^\/small: its name is taken/),
  ]);
});

test('a file that is truncated while it is being compared is restored', async () => {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf({ abc: madeOfPieces([a, b, c]) });
  const target = folder.fresh();
  const indexed = await maker.indexed();
  await restoreHeard(indexed, { snapshot, target });
  const fd = openSync(path.join(target, 'abc'), 'r+');
  ftruncateSync(fd, 650_000);
  closeSync(fd);
  await restoreHeard(indexed, { snapshot, target });
  expectContent(target, { abc: sharedContent.abc });
});
