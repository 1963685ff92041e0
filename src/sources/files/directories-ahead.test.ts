import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defined } from '../../base/assert.ts';
import { unpacked } from '../../platform/packed-scan.ts';
import { systemEnvironment } from '../../base/environment.ts';
import type { SourceEntry, SourceListing } from '../source.ts';
import type { ExcludeOptions } from './exclude-rules.ts';
import type { FileSource } from './file-source.ts';
import { latin } from './fixtures/walk.ts';
import { openFileSource } from './open-file-source.ts';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-ahead-')));
  for (let i = 0; i < 40; i++) {
    const at = path.join(folder, `d${i}`);
    mkdirSync(at);
    for (let file = 0; file < 5; file++) writeFileSync(path.join(at, `f${file}`), `${i} ${file}`);
    symlinkSync(`f${i % 5}`, path.join(at, 'link'));
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): Promise<FileSource> {
  return openFileSource([folder], { environment: systemEnvironment });
}

/** The entry of the folder itself. */
async function target(source: FileSource): Promise<SourceEntry> {
  let entries = source.root().entries;
  for (;;) {
    const entry = defined(entries[0], 'the way to the folder');
    await source.probe(entry);
    const listing = source.list(entry);
    if (Buffer.from(entry.path).toString() === folder) return entry;
    entries = listing.entries;
  }
}

/** Lists all directories; those that are read ahead are waited for. */
async function listAll(isAhead: boolean): Promise<Map<string, SourceListing>> {
  const source = await open();
  const listings = new Map<string, SourceListing>();
  const directories = [...source.list(await target(source)).entries].toReversed();
  if (isAhead) source.ahead(directories);
  // Lets the thread have its turn, so that its answers are used.
  if (isAhead) await systemEnvironment.clock.sleep(300);
  for (let entry = directories.pop(); entry; entry = directories.pop()) {
    await source.probe(entry);
    listings.set(latin(entry.name), source.list(entry));
  }
  source.close();
  return listings;
}

function shown({ entries, packed: _packed, ...rest }: SourceListing) {
  const fields = entries.map(({ name, path: at, status, linkTarget, extendedAttributes }) => ({
    name: latin(name),
    path: latin(at),
    status: { ...unpacked(status), atime: undefined },
    linkTarget: linkTarget && latin(linkTarget),
    extendedAttributes,
  }));
  return { ...rest, entries: fields };
}

it('are listed as they are without', async () => {
  const plain = await listAll(false);
  const ahead = await listAll(true);
  expect(ahead.size).toBe(40);
  for (const [name, listing] of plain) expect(shown(ahead.get(name)!)).toEqual(shown(listing));
});

it('tell when they have been read', async () => {
  const source = await open();
  const directories = [...source.list(await target(source)).entries].toReversed();
  expect(directories.map((entry) => source.isReadAhead(entry))).not.toContain(true);
  source.ahead(directories);
  while (!directories.every((entry) => source.isReadAhead(entry))) {
    await systemEnvironment.clock.nextTurn();
  }
  for (const entry of directories) {
    expect(source.list(entry).entries).toHaveLength(6);
    expect(source.isReadAhead(entry)).toBe(false);
  }
  source.close();
});

it('that were replaced meanwhile are noticed', async () => {
  const source = await open();
  const directories = [...source.list(await target(source)).entries];
  source.ahead(directories.toReversed());
  rmSync(path.join(folder, 'd39'), { recursive: true });
  mkdirSync(path.join(folder, 'd39-new'));
  symlinkSync('d39-new', path.join(folder, 'd39'));
  const entry = directories.find(({ name }) => latin(name) === 'd39')!;
  await source.probe(entry);
  const listing = source.list(entry);
  source.close();
  // Read before it was replaced, or noticed: never what the link leads to.
  if (listing.complete) expect(listing.entries).toHaveLength(6);
  else expect(listing.problems.length + listing.vanished.length).toBe(1);
});

/** Walks the folder as a backup does. */
async function walk(
  isAhead: boolean,
  exclude: ExcludeOptions = { patterns: ['left out'] },
): Promise<Map<string, SourceListing>> {
  const source = await openFileSource([folder], { environment: systemEnvironment, exclude });
  const listings = new Map<string, SourceListing>();
  const stack = [...source.list(await target(source)).entries].toReversed();
  for (let steps = 0; stack.length > 0; steps++) {
    if (isAhead) source.ahead(stack);
    if (isAhead && steps % 20 === 0) await systemEnvironment.clock.sleep(50);
    const entry = defined(stack.pop(), 'the stack is not empty');
    await source.probe(entry);
    const listing = source.list(entry);
    listings.set(latin(entry.path), listing);
    const directories = listing.entries.filter(({ status }) => status.kind === 'directory');
    stack.push(...directories.toReversed());
  }
  source.close();
  return listings;
}

it('below those that were read are read, too, and listed as they are without', async () => {
  for (let i = 0; i < 40; i++) {
    for (const name of ['below', 'other', 'left out']) {
      mkdirSync(path.join(folder, `d${i}`, name));
      writeFileSync(path.join(folder, `d${i}`, name, 'file'), `${name} of ${i}`);
    }
  }
  const plain = await walk(false);
  const ahead = await walk(true);
  expect(plain.size).toBe(120);
  expect([...ahead.keys()]).toEqual([...plain.keys()]);
  for (const [name, listing] of plain) expect(shown(ahead.get(name)!)).toEqual(shown(listing));
});

it.each([true, false])('are the same in numbers, read ahead (%s)', async (isAhead) => {
  for (let i = 0; i < 40; i++) {
    for (const name of ['below', 'left out', 'with one left out']) {
      mkdirSync(path.join(folder, `d${i}`, name));
      for (const file of ['a', 'b']) writeFileSync(path.join(folder, `d${i}`, name, file), file);
    }
    mkdirSync(path.join(folder, `d${i}`, 'below', 'deeper'));
    mkdirSync(path.join(folder, `d${i}`, 'with one left out', 'left out'));
  }
  const patterns = ['left out'];
  // Sizes are looked at entry by entry.
  const plain = await walk(false, { patterns, largerThanBytes: 1e9 });
  const packed = await walk(isAhead, { patterns });
  expect([...packed.keys()]).toEqual([...plain.keys()]);
  for (const [at, listing] of plain) {
    const { packed: numbers, entries } = packed.get(at)!;
    expect(listing.packed).toBeUndefined();
    expect(shown(packed.get(at)!)).toEqual(shown(listing));
    // With a link, or something left out, there are entries only.
    expect(numbers === undefined).toBe(/d[0-9]+$|one left out$/.test(at));
    expect(numbers?.directory.count ?? entries.length).toBe(entries.length);
    for (const { slot, entry } of numbers?.directories ?? []) expect(entry).toBe(entries[slot]);
  }
});
