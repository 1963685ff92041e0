import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { initRepository } from '../tools/engine.ts';
import type { CommandRun } from '../tools/in-process.ts';
import { contentOf } from '../tools/manifest.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { longTimeoutMs, shareOf, writesTable } from './slice.ts';
import { damagesOf, type FileKind, fileKinds, MatrixBed } from './matrix-bed.ts';

/**
 * Kind of damage × kind of file × operation. What each operation must say and do stands in `fixtures/matrix.json`, word for word:
 * exit code, what it complains about, what it changed of the repository, and what can be restored afterwards.
 * `HOLDFAST_DAMAGE=write` writes the table anew; read the difference before it is committed.
 */
const scratch = scratchFolder('damage-matrix');
const bed = new MatrixBed(scratch);
const tablePath = join(import.meta.dirname, 'fixtures/matrix.json');
/** Operations of each damage, unless all are asked for. */
const sampleCount = 2;
/** Of what was said, so much stands in the table. */
const complaintLengthMax = 240;

/** Of each damage: what comes of it, and of which operations. */
type Table = Record<string, Record<string, readonly string[]>>;
const table = JSON.parse(existsSync(tablePath) ? readFileSync(tablePath, 'utf8') : '{}') as Table;

/** What is done with a damaged repository. */
interface Operation {
  /** @param place a path that is free, for what it writes */
  readonly args: (place: string, hit: string) => readonly string[];
  readonly reads?: true;
  /** The target is another repository, at the free path. */
  readonly copies?: true;
}

const reading = (...args: readonly string[]): Operation => ({ args: () => args, reads: true });
const writing = (...args: readonly string[]): Operation => ({ args: () => args });

const operations: Readonly<Record<string, Operation>> = {
  check: reading('check'),
  'check --read-data': reading('check', '--read-data'),
  'restore latest': { args: (place) => ['restore', 'latest', '-t', place], reads: true },
  snapshots: reading('snapshots'),
  'ls latest': reading('ls', 'latest'),
  'find text': reading('find', 'text'),
  diff: reading('diff', 'latest', 'latest'),
  'list blobs': reading('list', 'blobs'),
  'list packs': reading('list', 'packs'),
  'key list': reading('key', 'list'),
  'cat config': reading('cat', 'config'),
  backup: { args: () => ['backup', '--host', 'host', bed.source] },
  'backup --force': { args: () => ['backup', '--host', 'host', '--force', bed.source] },
  tag: writing('tag', '--add', 'new'),
  forget: writing('forget', '--keep-last', '1'),
  prune: writing('prune', '--max-unused', '0'),
  'prune --instant': writing('prune', '--instant', '--max-unused', '0'),
  copy: {
    args: (place) => ['copy', '--from-repo', place, '--from-password-command', 'echo x'],
    copies: true,
  },
  rewrite: writing('rewrite', '--exclude', 'text', '--forget'),
  'repair index': writing('repair', 'index'),
  'repair packs': { args: (_, hit) => ['repair', 'packs', hit] },
  'repair snapshots': writing('repair', 'snapshots', '--forget'),
  recover: writing('recover'),
  unlock: writing('unlock'),
};

beforeAll(async () => {
  await bed.prepare();
  // Where "repair packs" keeps what was damaged.
  process.chdir(scratch.path);
});

afterAll(() => process.chdir(join(import.meta.dirname, '../..')));

/** Runs an operation on a repository with a damage; throws if it breaks a promise. @returns what it said and did */
async function outcomeOf(kind: FileKind | 'none', damage: string, title: string): Promise<string> {
  const operation = operations[title];
  if (!operation) throw new Error(`no operation ${title}`);
  const { repository, hit, names } = await bed.damaged(kind, damage);
  const before = bed.filesOf(repository);
  const salvaged = await bed.salvaged(repository);
  const place = bed.fresh('place');
  const run = await runIn(repository, operation, { place, hit });
  expectReadable(run);
  if (title === 'restore latest') expectRestored(run, place);
  const changes = bed.changes(before, repository);
  if (operation.reads) expect(changes, 'reading changes nothing').toBe('');
  const left = await bed.salvaged(operation.copies ? place : repository);
  if (!operation.copies) {
    const gone = [...salvaged].filter((file) => !left.has(file));
    // A forgotten snapshot may have been the only one that was whole: forget looks at topmost trees alone.
    const isMeant = title === 'rewrite' ? /^\/text / : title === 'forget' ? /./ : /^$/;
    expect(
      gone.filter((file) => !isMeant.test(file)),
      'nothing more is lost',
    ).toEqual([]);
  }
  const restorable = `${left.size} of ${salvaged.size} files`;
  for (const each of [repository, place]) bed.remove(each);
  return [run.exitCode, complaintsOf(run, names), changes, restorable].join(' | ');
}

async function runIn(
  repository: string,
  operation: Operation,
  { place, hit }: { readonly place: string; readonly hit: string },
): Promise<CommandRun> {
  if (!operation.copies) return bed.run(repository, operation.args(place, hit));
  await initRepository(place);
  return bed.run(place, operation.args(repository, hit));
}

/** The codes of the table of errors, in lines without a stack, and never green without a word where all is lost. */
function expectReadable({ exitCode, errors }: CommandRun): void {
  expect([0, 1, 3, 10, 11, 12]).toContain(exitCode);
  expect(errors).not.toMatch(/^\s+at |internal check failed|was not handled/m);
  if (exitCode !== 0) expect(errors).not.toBe('');
}

/** Green only over all of a snapshot. */
function expectRestored({ exitCode }: CommandRun, place: string): void {
  if (exitCode !== 0) return;
  const found = contentOf(place);
  const wholes = bed.contents.filter((content) => content.size === found.size);
  const isWhole = wholes.some((content) =>
    [...content].every(([name, bytes]) => found.get(`${bed.source}${name}`)?.equals(bytes)),
  );
  expect(isWhole, 'what was restored without a complaint is whole').toBe(true);
}

/** Lines that say what is wrong and where; others give advice. */
const factPattern = /^(?:error:|Fatal:|Warning:|pack |  )/;

/** What was said to be wrong, without what differs from run to run. Known files by their names. */
function complaintsOf({ errors }: CommandRun, names: ReadonlyMap<string, string>): string {
  const lines = errors.split('\n').filter((line) => factPattern.test(line));
  const told = lines.map((line) => {
    let text = line;
    for (const [id, name] of [...names, ...bed.names]) {
      text = text.replaceAll(id, name).replace(new RegExp(`\\b${id.slice(0, 8)}\\w*`, 'g'), name);
    }
    return text
      .replaceAll(scratch.path, '')
      .replace(/since: [^,)]*/g, 'since: TIME')
      .replace(/ageSeconds: \d+/g, 'ageSeconds: N')
      .replace(/Bytes: \d+/g, 'Bytes: N')
      .replace(/process [12] of/g, 'process P of')
      .replace(/\b[0-9a-f]{64}\b|\b(?=\w*\d)(?=\w*[a-f])[0-9a-f]{8,}\b/g, 'ID')
      .replace(/(lockId|keyId): (?:ID|HIT)/g, '$1: HIT or ID')
      .replace(/(repository|place|target|source)-\d+/g, '$1')
      .replace(/data\/[0-9a-f]{2}\//g, 'data/')
      .replace(/\b\d{3,}\b/g, 'N');
  });
  const text = [...new Set(told)].toSorted().join(' // ');
  return text.length > complaintLengthMax ? `${text.slice(0, complaintLengthMax)}…` : text;
}

/** Damages with the operations to try. */
function cellsOf(kind: FileKind): readonly (readonly [damage: string, operations: string[]])[] {
  const titles = Object.keys(operations).filter(
    (title) => title !== 'repair packs' || /blob|header/.test(kind),
  );
  const seeds = seedsOf(`damage of ${kind}`);
  return damagesOf(kind).map((damage, row) => {
    const share = shareOf(titles);
    if (share) return [damage, [...share]];
    const numbers = seeds.map((seed) => new Uint32Array(pseudoRandom(4 * (row + 1), seed).buffer));
    const chosen = numbers.map((each) => titles[(each[row] ?? 0) % titles.length] ?? '');
    return [damage, [...new Set(chosen.slice(0, sampleCount))]];
  });
}

describe('damage', () => {
  test('to nothing: every operation does its work', async () => {
    const titles = shareOf(Object.keys(operations)) ?? ['check --read-data'];
    const found: Record<string, string> = {};
    for (const title of titles.filter((each) => each !== 'repair packs')) {
      found[title] = await outcomeOf('none', '', title);
    }
    compare('none', found);
  });

  test.each(fileKinds)(
    'to a file of kind %s: every operation says and does what the table says',
    async (kind) => {
      const failures: string[] = [];
      let runs = 0;
      for (const [damage, titles] of cellsOf(kind)) {
        const found: Record<string, string> = {};
        for (const title of titles) {
          runs++;
          try {
            found[title] = await outcomeOf(kind, damage, title);
          } catch (error) {
            const text = error instanceof Error ? error.stack : String(error);
            failures.push(`${title}: ${damage} of ${kind}: ${text}`);
          }
        }
        try {
          compare(`${damage} of ${kind}`, found);
        } catch (error) {
          failures.push(String(error));
        }
      }
      const totals = { operation: kind, runs, failures: failures.length };
      console.log(JSON.stringify({ suite: 'damage-matrix', ...totals }));
      expect(failures).toEqual([]);
    },
    longTimeoutMs,
  );
});

/** Holds a row against the table, or writes it. */
function compare(row: string, found: Record<string, string>): void {
  const outcomes = Object.values(found);
  if (writesTable) {
    const titlesOf = (outcome: string): string[] =>
      Object.keys(found).filter((title) => found[title] === outcome);
    table[row] = Object.fromEntries(outcomes.map((outcome) => [outcome, titlesOf(outcome)]));
    writeFileSync(tablePath, `${JSON.stringify(table, undefined, 2)}\n`);
    return;
  }
  const known = Object.entries(table[row] ?? {});
  for (const [title, outcome] of Object.entries(found)) {
    const expected = known.find(([, titles]) => titles.includes(title))?.[0] ?? 'nothing';
    if (outcome !== expected) throw new Error(`${title}: ${row}: ${outcome}\nnot ${expected}`);
  }
}
