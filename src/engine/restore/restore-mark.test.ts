import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Timestamp } from '../../base/timestamp.ts';
import { setTimes } from '../../platform/attributes.ts';
import { closeFile, openFile } from '../../platform/files.ts';
import { bootId } from '../../platform/machine.ts';
import { readStatus } from '../../platform/status.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import {
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';
import type { RestoreOptions } from '../restore.ts';
import { markName } from './restore-mark.ts';
import { temporaryName } from './temporary-name.ts';

const name = Buffer.from(markName).toString();
let folder: TestFolder;
let indexed: IndexedRepository;
let snapshot: StoredSnapshot;
/** Modification time of the file in the snapshot. */
let mtime: Timestamp;

beforeAll(async () => {
  folder = testFolder();
  const maker = new SnapshotMaker();
  snapshot = await maker.snapshotOf({ a: 'right' });
  indexed = await maker.indexed();
  const target = folder.fresh();
  await restoreHeard(indexed, { snapshot, target, options: {} });
  ({ mtime } = readStatus(Buffer.from(path.join(target, 'a'))));
});
afterAll(() => folder.remove());

/** A target whose file has size and time of the snapshot's, and other content; with a mark. */
function cutOff(mark: string | undefined): string {
  const target = folder.fresh();
  mkdirSync(target);
  const file = path.join(target, 'a');
  writeFileSync(file, '\0\0\0\0\0');
  const fd = openFile(Buffer.from(file), { write: true });
  setTimes(fd, { mtime });
  closeFile(fd);
  if (mark !== undefined) writeFileSync(path.join(target, name), mark);
  return target;
}

function markOf(boot: string, ...trees: string[]): string {
  return `${JSON.stringify({ boot, trees })}\n`;
}

/** What is in the file after a restore, and whether there is a mark. */
async function restored(
  target: string,
  options: Partial<RestoreOptions>,
): Promise<{ content: string; isMarked: boolean }> {
  await restoreHeard(indexed, { snapshot, target, options });
  const content = readFileSync(path.join(target, 'a'), 'latin1');
  return { content, isMarked: existsSync(path.join(target, name)) };
}

const right = { content: 'right', isMarked: false };
const wrong = { content: '\0\0\0\0\0', isMarked: false };

describe('a restore', () => {
  test('leaves no mark when all is durable', async () => {
    expect(await restored(folder.fresh(), {})).toEqual(right);
    expect(await restored(folder.fresh(), { dryRun: false, delete: true })).toEqual(right);
  });

  test('trusts sizes and times where no other was cut off', async () => {
    expect(await restored(cutOff(undefined), { overwrite: 'if-changed' })).toEqual(wrong);
  });

  test('trusts them after one that was killed since the machine was started', async () => {
    const target = cutOff(markOf(bootId() ?? '', snapshot.tree));
    expect(await restored(target, { overwrite: 'if-changed' })).toEqual(
      bootId() === undefined ? right : wrong,
    );
  });

  test.each(['if-changed', 'if-newer', 'always'] as const)(
    'with %s compares content after one that the power cut off',
    async (overwrite) => {
      expect(await restored(cutOff(markOf('another', snapshot.tree)), { overwrite })).toEqual(
        right,
      );
    },
  );

  test.each([
    ['of something else', markOf('another', 'ab'.repeat(32))],
    ['of more than this', markOf('another', 'TREE', 'ab'.repeat(32))],
    ['that is empty', ''],
    ['that is no JSON', '{'],
    ['of another kind', '[1]'],
    ['with other types', '{"boot":1,"trees":[2]}'],
  ])('keeps a mark %s, and trusts nothing', async (_, text) => {
    const mark = text.replace('TREE', snapshot.tree);
    const target = cutOff(mark);
    const { content, isMarked } = await restored(target, { overwrite: 'if-changed', delete: true });
    expect({ content, isMarked }).toEqual({ content: 'right', isMarked: true });
    expect(readFileSync(path.join(target, name), 'utf8')).toBe(mark);
  });

  test('takes away what a killed one had written of a mark', async () => {
    const target = cutOff(undefined);
    const draft = path.join(target, Buffer.from(temporaryName(markName, 0)).toString());
    writeFileSync(draft, '{"bo');
    expect(await restored(target, {})).toEqual(right);
    expect(existsSync(draft)).toBe(false);
  });

  test('of a part keeps the mark of the whole', async () => {
    const selectNone = { select: () => ({ selected: false, mayHoldSelected: false }) };
    const target = cutOff(markOf('another', snapshot.tree));
    expect(await restored(target, selectNone)).toEqual({ ...wrong, isMarked: true });
    expect(await restored(target, { overwrite: 'never' })).toEqual({ ...wrong, isMarked: true });
    expect(await restored(target, { overwrite: 'if-changed' })).toEqual(right);
  });

  test('that is dry takes no mark away, and makes none', async () => {
    const target = cutOff(markOf('another', snapshot.tree));
    expect((await restored(target, { dryRun: true })).isMarked).toBe(true);
    expect((await restored(cutOff(undefined), { dryRun: true })).isMarked).toBe(false);
  });

  test('follows no link where the mark is', async () => {
    const target = cutOff(undefined);
    const outside = folder.fresh();
    writeFileSync(outside, markOf(bootId() ?? '', snapshot.tree));
    symlinkSync(outside, path.join(target, name));
    const { content } = await restored(target, { overwrite: 'if-changed' });
    expect(content).toBe('right');
    expect(readFileSync(outside, 'utf8')).toBe(markOf(bootId() ?? '', snapshot.tree));
  });
});
