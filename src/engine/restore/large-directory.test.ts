import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';
import { temporaryName } from './temporary-name.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

/** More than one batch holds: the first files are written while the last are not looked at. */
const count = 9_000;

test('a directory of more files than one batch is restored over what is there', async () => {
  const maker = new SnapshotMaker();
  const content = Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`file ${i}`, `content ${i % 100}`]),
  );
  const snapshot = await maker.snapshotOf({ wide: content });
  const indexed = await maker.indexed();
  const target = folder.fresh();
  const wide = path.join(target, 'wide');
  mkdirSync(wide, { recursive: true });
  const leftover = Buffer.from(temporaryName(Buffer.from('gone'), 0)).toString();
  for (const name of ['file 1', 'file 8999', 'other', leftover]) {
    writeFileSync(path.join(wide, name), 'old');
  }
  // The same names are used again by this run, for files that are written while the directory is still walked.
  for (let i = 0; i < count; i += 100) {
    writeFileSync(
      path.join(wide, Buffer.from(temporaryName(Buffer.from(`file ${i}`), 0)).toString()),
      'old',
    );
  }
  const result = await restoreHeard(indexed, { snapshot, target, options: {} });
  expect(result.complaints).toEqual([]);
  expect(readdirSync(wide).toSorted()).toEqual([...Object.keys(content), 'other'].toSorted());
  for (const i of [0, 1, 5_000, 8_999]) {
    expect(readFileSync(path.join(wide, `file ${i}`), 'utf8')).toBe(`content ${i % 100}`);
  }
  const again = await restoreHeard(indexed, { snapshot, target, options: { delete: true } });
  expect(again).toMatchObject({ complaints: [], filesDeleted: 1, filesSkipped: count });
  expect(readdirSync(wide)).toHaveLength(count);
});
