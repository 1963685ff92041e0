import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import type { SourceEntry, SourceListing } from '../../sources/source.ts';
import { MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { record } from '../../storage/record.ts';
import {
  backUpHeard,
  describeFolder,
  describeStored,
  type HeardBackup,
  type TestFolder,
  TestSource,
} from './backup-test-support.ts';

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
const folders: fc.Arbitrary<TestFolder> = fc.letrec<{
  folder: TestFolder;
  item: TestFolder[string];
}>((tie) => ({
  folder: fc.dictionary(names, tie('item'), { maxKeys: 9 }),
  item: fc.oneof(
    { depthIdentifier: 'wide', maxDepth: 3 },
    fc.constantFrom('', 'target', 'other'),
    fc.constantFrom('', 'target', 'x'.repeat(4000)),
    tie('folder'),
  ),
})).folder;

/** A folder, and what became of it: mostly a small change somewhere. */
const history: fc.Arbitrary<TestFolder[]> = fc
  .tuple(folders, folders, names, fc.constantFrom('', 'new target'))
  .map(([first, other, name, item]) => [
    first,
    first,
    { ...first, [name]: item },
    { ...first, [name]: other },
    without(other, name),
    {},
  ]);

/** Many of them in one source: a backup costs its threads. */
const histories: fc.Arbitrary<TestFolder[]> = fc
  .array(history, { minLength: 30, maxLength: 30 })
  .map((list) =>
    [0, 1, 2, 3, 4, 5].map((step) =>
      Object.fromEntries(list.map((steps, i) => [`x${i}`, steps[step] ?? {}])),
    ),
  );

function without(folder: TestFolder, name: string): TestFolder {
  return Object.fromEntries(Object.entries(folder).filter(([key]) => key !== name));
}

/** What does not depend on how a directory is listed. */
function outcomeOf({ treeId, summary, items, complaints, notes }: HeardBackup): object {
  const { backupStart: _, backupEnd: __, dataAddedPacked: ___, ...counts } = summary;
  return { treeId, counts, items, complaints, notes };
}

describe('a directory that is listed in parts', () => {
  test('gives the tree, counts and items that it gives at once', async () => {
    const property = fc.asyncProperty(
      histories,
      fc.integer({ min: 1, max: 4 }),
      async (history, partEntriesMax) => {
        const atOnce = new MemoryBackend();
        const inParts = record(new MemoryBackend());
        for (const [i, made] of history.entries()) {
          const whole = await backUpHeard(new TestSource(made), { backend: atOnce });
          inParts.reset();
          const source = new TestSource(made, undefined, partEntriesMax);
          const parted = await backUpHeard(source, { backend: inParts });
          expect(outcomeOf(parted)).toEqual(outcomeOf(whole));
          expect(await describeStored({ backend: inParts }, parted.treeId)).toEqual(
            describeFolder(made),
          );
          // What did not change is not stored again.
          if (i === 1) expect(inParts.count({ operation: 'put', type: 'pack' })).toBe(0);
        }
      },
    );
    // One run is twelve backups of thirty folders each; a failure prints its seed.
    await fc.assert(property, { numRuns: 1, endOnFailure: true });
  });

  test('is compared with a tree that was stored at once, and the other way round', async () => {
    const wide = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`n${i}`, `${i}`]));
    const backend = record(new MemoryBackend());
    const first = await backUpHeard(new TestSource({ wide }), { backend });
    for (const size of [1, 7, 50, 1000]) {
      backend.reset();
      const again = await backUpHeard(new TestSource({ wide }, undefined, size), { backend });
      expect(again.treeId).toBe(first.treeId);
      expect(again.summary).toMatchObject({ dirsUnmodified: 1, dirsChanged: 0, treeBlobs: 0 });
      expect(backend.count({ operation: 'put', type: 'pack' })).toBe(0);
    }
  });

  test.each([0, 6, 7, 48, 49])('may change at entry %i', async (changed) => {
    const made = Array.from({ length: 50 }, (_, i) => [`n${String(i).padStart(2, '0')}`, `${i}`]);
    const wide = Object.fromEntries(made);
    const other = { ...wide, [`n${String(changed).padStart(2, '0')}`]: 'changed' };
    const backend = new MemoryBackend();
    await backUpHeard(new TestSource({ wide }, undefined, 7), { backend });
    const parted = await backUpHeard(new TestSource({ wide: other }, undefined, 7), { backend });
    const whole = await backUpHeard(new TestSource({ wide: other }), {});
    expect(parted.treeId).toBe(whole.treeId);
    expect(parted.summary).toMatchObject({ dirsChanged: 1, dirsNew: 0, treeBlobs: 2 });
  });

  test('keeps what was listed before the rest could not be', async () => {
    const error = new HoldfastError('SYSTEM_CALL_FAILED');
    class Ending extends TestSource {
      override list(entry: SourceEntry): SourceListing {
        const { rest: _, ...listing } = super.list(entry);
        const problems = [{ path: entry.path, error, during: 'scan' }] as const;
        return {
          ...listing,
          rest: () => ({ entries: [], problems, complete: false, vanished: [] }),
        };
      }
    }
    const made = { wide: { a: 'x', b: '', c: 'x' }, z: '' };
    const backend = new MemoryBackend();
    for (const _ of [1, 2]) {
      const source = new Ending(made, undefined, 2);
      const { treeId, complaints } = await backUpHeard(source, { backend });
      expect(complaints).toEqual(['/wide: a system call failed']);
      const stored = await describeStored({ backend }, treeId);
      expect(stored).toEqual(['dir /wide', 'fifo /wide/b', 'fifo /z', 'symlink /wide/a -> x']);
    }
  });

  test('does not take the last entries from the parent when none of them can be read', async () => {
    const error = new HoldfastError('PERMISSION_DENIED');
    class Failing extends TestSource {
      override list(entry: SourceEntry): SourceListing {
        const listing = super.list(entry);
        const problems = [{ path: entry.path, error, during: 'scan' }] as const;
        const rest = { entries: [], problems, complete: true, vanished: [] };
        return listing.rest ? { ...listing, rest: () => rest } : listing;
      }
    }
    const made = { wide: { a: 'x', b: '', c: 'old' } };
    const backend = new MemoryBackend();
    await backUpHeard(new TestSource(made, undefined, 2), { backend });
    const { treeId } = await backUpHeard(new Failing(made, undefined, 2), { backend });
    const stored = await describeStored({ backend }, treeId);
    expect(stored).toEqual(['dir /wide', 'fifo /wide/b', 'symlink /wide/a -> x']);
  });
});
