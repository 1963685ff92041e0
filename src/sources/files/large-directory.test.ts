import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemEnvironment as environment } from '../../base/environment.ts';
import type { SourceEntry, SourceListing } from '../source.ts';
import { latin, problemsOf, walkTargets } from './fixtures/walk.ts';
import { type FileSourceOptions, openFileSource } from './open-file-source.ts';

/** More than one part holds. */
const count = 9_000;
const partEntries = 8_192;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'large-directory-'));
  make('large');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function make(name: string): string {
  const at = join(folder, name);
  mkdirSync(at);
  for (let i = 0; i < count; i++) writeFileSync(join(at, nameOf(i)), '');
  return at;
}

function nameOf(i: number): string {
  return `file-${String(i).padStart(5, '0')}`;
}

/** The first listing of a directory. */
async function firstOf(at: string, options: Partial<FileSourceOptions> = {}) {
  const source = await openFileSource([at], { environment, ...options });
  let listing = source.root();
  let entry: SourceEntry | undefined;
  for (const _ of at.split('/').slice(1)) {
    [entry] = listing.entries;
    if (!entry) throw new Error('the walk ends early');
    listing = source.list(entry);
  }
  return listing;
}

function restOf(listing: SourceListing): SourceListing {
  if (!listing.rest) throw new Error('the directory is listed in parts');
  return listing.rest();
}

async function namesIn(at: string, options: Partial<FileSourceOptions> = {}): Promise<string[]> {
  const { entries, problems } = await walkTargets([at], options);
  expect(problems).toEqual([]);
  return [...entries.values()].flatMap(({ name, status }) =>
    status.kind === 'directory' ? [] : [latin(name)],
  );
}

describe('a directory of very many entries', () => {
  it('is listed in parts, in the order of names', async () => {
    const first = await firstOf(join(folder, 'large'));
    const second = restOf(first);
    expect(first.entries).toHaveLength(partEntries);
    expect(second.rest).toBeUndefined();
    const names = [...first.entries, ...second.entries].map(({ name }) => latin(name));
    expect(names).toEqual(Array.from({ length: count }, (_, i) => nameOf(i)));
    expect(first.entries.every(({ status }) => status.kind === 'file')).toBe(true);
  });

  it('has the same excludes as a small one', async () => {
    const at = join(folder, 'large');
    const even = await namesIn(at, { exclude: { patterns: ['file-*[02468]'] } });
    expect(even).toEqual(Array.from({ length: count / 2 }, (_, i) => nameOf(2 * i + 1)));
    expect(await namesIn(at, { exclude: { patterns: ['file-*'] } })).toEqual([]);
  });

  it('keeps nothing but a tag that comes late', async () => {
    const at = join(folder, 'large');
    const tag = nameOf(count - 1);
    expect(await namesIn(at, { exclude: { ifPresent: [tag] } })).toEqual([tag]);
    const notes: string[] = [];
    const onNote = (text: string): void => void notes.push(text);
    const exclude = { ifPresent: [`${tag}:header`] };
    expect(await namesIn(at, { exclude, onNote })).toHaveLength(count);
    expect(notes).toEqual([
      `${at}/${tag} does not start with the signature asked for: it excludes nothing`,
    ]);
  });

  it('holds targets below it at their places, once each', async () => {
    const at = join(folder, 'large');
    const late = join(at, nameOf(count - 2));
    const { paths } = await walkTargets([join(at, nameOf(3)), late, at]);
    expect(paths.filter((path) => path.includes('file-'))).toEqual(
      Array.from({ length: count }, (_, i) => `${at}/${nameOf(i)}`),
    );
  });

  it('tells what vanished or cannot be stored in a later part', async () => {
    const at = make('changing');
    const first = await firstOf(at);
    rmSync(join(at, nameOf(8_500)));
    rmSync(join(at, nameOf(8_600)));
    symlinkSync('x', join(at, nameOf(8_600)));
    const second = restOf(first);
    expect(second.vanished.map(latin)).toEqual([join(at, nameOf(8_500))]);
    expect(second.entries).toHaveLength(count - partEntries - 1);
    const kinds = second.entries.filter(({ status }) => status.kind !== 'file');
    expect(kinds.map(({ name, linkTarget }) => [latin(name), latin(linkTarget ?? name)])).toEqual([
      [nameOf(8_600), 'x'],
    ]);
  });

  it('reads nothing of another directory that takes its place meanwhile (hazard C3)', async () => {
    const at = make('swapped');
    const first = await firstOf(at);
    renameSync(at, join(folder, 'away'));
    mkdirSync(at);
    writeFileSync(join(at, nameOf(8_500)), 'secret');
    const second = restOf(first);
    expect(second).toMatchObject({ entries: [], complete: false });
    expect(second.rest).toBeUndefined();
    expect(problemsOf(second)).toEqual([`SOURCE_FAILED(replaced) ${at}`]);
    rmSync(at, { recursive: true });
    expect(restOf(await firstOf(join(folder, 'away'))).complete).toBe(true);
    expect(restOf(first)).toMatchObject({
      complete: false,
      vanished: [Buffer.from(at)].map((b) => Uint8Array.from(b)),
    });
  });
});
