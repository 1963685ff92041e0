import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import type { SourceEntry, SourceListing } from '../sources/source.ts';
import { type TestFolder, TestSource } from './backup/backup-test-support.ts';
import { SourceWalk } from './source-walk.ts';

const folder: fc.Arbitrary<TestFolder> = fc.letrec<{ folder: TestFolder }>((tie) => ({
  folder: fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    fc.oneof({ depthIdentifier: 'walk', maxDepth: 5 }, fc.constant('x'), tie('folder')),
    { maxKeys: 5 },
  ),
})).folder;

function namesOf({ entries }: SourceListing): string {
  return entries.map(({ path }) => Buffer.from(path).toString()).join(' ');
}

/** Every directory before those below it, siblings by name: as plain recursion goes. */
function plainWalk(source: TestSource, entry?: SourceEntry): string[] {
  const listing = entry ? source.list(entry) : source.root();
  const below = listing.entries.filter(({ status }) => status.kind === 'directory');
  return [namesOf(listing), ...below.flatMap((each) => plainWalk(source, each))];
}

describe('SourceWalk', () => {
  test('goes as plain recursion, whatever it walked ahead', async () => {
    const property = fc.asyncProperty(
      folder,
      fc.integer({ min: 0, max: 3 }),
      async (made, turns) => {
        const source = new TestSource(made);
        const walk = new SourceWalk(source, systemClock);
        const waited = (async (): Promise<void> => {
          for (let turn = 0; turn < turns; turn++) await systemClock.nextTurn();
        })();
        await walk.aheadOf(waited);
        const walked: string[] = [];
        for (let next = await walk.next(); next; next = await walk.next())
          walked.push(namesOf(next));
        expect(await walk.next()).toBeUndefined();
        expect(walked).toEqual(plainWalk(new TestSource(made)));
        expect(new Set(source.listed).size).toBe(source.listed.length);
      },
    );
    await fc.assert(property);
  });

  test('asks whether a directory answers before it lists it', async () => {
    const calls: string[] = [];
    class Probed extends TestSource {
      probe(entry: SourceEntry): Promise<void> {
        calls.push(`probe ${Buffer.from(entry.path).toString()}`);
        return Promise.resolve();
      }

      override list(entry: SourceEntry): SourceListing {
        calls.push(`list ${Buffer.from(entry.path).toString()}`);
        return super.list(entry);
      }
    }
    const walk = new SourceWalk(new Probed({ a: { b: {} }, c: {} }), systemClock);
    while (await walk.next());
    expect(calls).toEqual([
      'probe /a',
      'list /a',
      'probe /a/b',
      'list /a/b',
      'probe /c',
      'list /c',
    ]);
  });

  test('lists what has been read ahead while listings are taken', async () => {
    class Ahead extends TestSource {
      isReadAhead(entry: SourceEntry): boolean {
        return !Buffer.from(entry.path).toString().endsWith('/slow');
      }
    }
    const made = { a: { b: {}, c: {} }, slow: { d: {} } };
    const source = new Ahead(made);
    const walk = new SourceWalk(source, systemClock);
    const walked: string[] = [];
    const aheadCounts: number[] = [];
    for (let next = await walk.next(); next; next = await walk.next()) {
      walked.push(namesOf(next));
      aheadCounts.push(source.listed.length - walked.length);
    }
    expect(walked).toEqual(plainWalk(new TestSource(made)));
    // One, but for what would have to be waited for, and at the end.
    expect(aheadCounts).toEqual([1, 1, 1, 0, 1, 0]);
  });

  test('tells what comes soon also while only what is there is taken', async () => {
    const { promise: isFarAhead, resolve } = Promise.withResolvers<void>();
    let toldCount = 0;
    class Told extends TestSource {
      isReadAhead(): boolean {
        return false;
      }

      ahead(): void {
        toldCount++;
      }

      override list(entry: SourceEntry): SourceListing {
        if (this.listed.length === 50) resolve();
        return super.list(entry);
      }
    }
    const folders = Array.from({ length: 60 }, (_, i) => [`d${i}`, {}] as const);
    const source = new Told(Object.fromEntries(folders));
    const walk = new SourceWalk(source, systemClock);
    await walk.aheadOf(isFarAhead);
    const { length: listedBefore } = source.listed;
    toldCount = 0;
    for (let taken = 0; taken < 40; taken++) await walk.next();
    expect(source.listed.length).toBe(listedBefore);
    expect(listedBefore).toBeLessThan(60);
    expect(toldCount).toBeGreaterThan(1);
  });

  test('does not walk ahead without bound', async () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, 'x']));
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`d${i}`, wide]));
    const source = new TestSource(many);
    const walk = new SourceWalk(source, systemClock);
    // Never settles: only the limit ends it.
    await walk.aheadOf(new Promise(() => {}));
    expect(source.listed.length).toBeGreaterThan(100);
    expect(source.listed.length).toBeLessThan(300);
    let count = 0;
    while (await walk.next()) count++;
    expect(count).toBe(601);
  });
});
