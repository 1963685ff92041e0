import { Buffer } from 'node:buffer';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, 'fixtures');
const trees = path.join(import.meta.dirname, '../../src/repository/fixtures/trees');

/** What restic 0.19 wrote, opened: the documents of one small repository as plain bytes, its packs as stored. */
export function resticSeeds(pattern: RegExp): Uint8Array[] {
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => Uint8Array.from(readFileSync(path.join(folder, name))));
}

/** Trees that restic wrote. */
export function treeSeeds(): Uint8Array[] {
  const more = readdirSync(trees).map((name) =>
    Uint8Array.from(readFileSync(path.join(trees, name))),
  );
  return [...resticSeeds(/^restic-tree/), ...more.filter(({ length }) => length < 20_000)];
}

/** Texts as bytes. */
export function textSeeds(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => Uint8Array.from(Buffer.from(text)));
}
