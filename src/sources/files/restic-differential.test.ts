/** Excludes and targets against the official restic on small random trees. Needs `restic` on the PATH. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHoldfastError } from '../../base/errors.ts';
import type { FileStatus } from '../../platform/status.ts';
import type { SourceEntry } from '../source.ts';
import { backUpWithRestic, type ResticBackup } from './fixtures/restic.ts';
import { type Walk, walkTargets } from './fixtures/walk.ts';
import type { ExcludeOptions } from './exclude-rules.ts';
import { describeWith } from '../../../test/tools/peers.ts';

/** About 0.5 s each. */
const runCount = Number(process.env['HOLDFAST_TEST_RUNS'] ?? 24);

/** One way of calling both programs. */
interface Case {
  /** Relative paths; a trailing slash makes a directory, ` -> ` a link, else a file as long as its name. */
  readonly files: readonly string[];
  /** Below the tree; the one that both are called in. */
  readonly workingDirectory: string;
  /** `@` stands for the absolute path of the tree. */
  readonly targets: readonly string[];
  readonly excludes: ExcludeOptions;
}

const name = fc.constantFrom('a', 'b', 'c.tmp', 'É', 'Cache');
const directory = fc
  .array(name, { maxLength: 3 })
  .map((names) => names.map((each) => `${each}/`).join(''));
const leaf = fc.constantFrom(
  'f',
  'g.tmp',
  'longer-name',
  '.tag',
  'CACHEDIR.TAG',
  'link -> ../a',
  'dirlink -> .',
  'É',
  '',
);
const files = fc.array(
  fc.tuple(directory, leaf).map((parts) => parts.join('')),
  { minLength: 3, maxLength: 18 },
);
const target = fc.oneof(
  fc.tuple(
    fc.constantFrom('', './', '../', '@/', '@/../', '../../'),
    directory,
    fc.constantFrom('', 'f', 'a', 'dirlink/f'),
  ),
  fc.tuple(
    fc.constantFrom('.', '..', '@', 'a', 'b', './a/', 'none'),
    fc.constant(''),
    fc.constant(''),
  ),
);
const component = fc.constantFrom(
  'a',
  'b',
  '*',
  '**',
  '*.tmp',
  '?',
  '[a-b]',
  'É',
  'ca*',
  'f',
  'longer*',
  '[^f]*',
);
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '', '!'),
    fc.constantFrom('', '', '@/', '/'),
    // With a second `**` restic asks for more components than its manual says: docs/BEHAVIOUR.md.
    fc
      .array(component, { minLength: 1, maxLength: 3 })
      .filter((components) => components.filter((each) => each === '**').length < 2),
  )
  .map(([negation, root, components]) => negation + root + components.join('/'));
const excludes = fc.record(
  {
    patterns: fc.array(pattern, { maxLength: 3 }),
    patternsIgnoringCase: fc.array(pattern, { maxLength: 2 }),
    ifPresent: fc.subarray(['.tag', 'CACHEDIR.TAG:CACHE', 'f:x']),
    caches: fc.boolean(),
    largerThanBytes: fc.constantFrom(3, 8),
    oneFileSystem: fc.boolean(),
  },
  { requiredKeys: [] },
);
const cases: fc.Arbitrary<Case> = fc.record({
  files,
  workingDirectory: fc.constantFrom('', 'a', 'a/b'),
  targets: fc.array(
    target.map((parts) => parts.join('')),
    { minLength: 1, maxLength: 3 },
  ),
  excludes,
});

describeWith(['restic'], 'against restic', () => {
  test('the same entries with the same metadata', { timeout: runCount * 10_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (each) => {
        await compare(each);
      }),
      { numRuns: runCount },
    );
  });
});

async function compare({ files, workingDirectory, targets, excludes }: Case): Promise<void> {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-differential-')));
  // Beside, because targets like `../..` are the folder.
  const repository = mkdtempSync(path.join(tmpdir(), 'holdfast-differential-repository-'));
  try {
    const tree = path.join(folder, 'x/tree');
    const cwd = path.join(tree, workingDirectory);
    mkdirSync(cwd, { recursive: true });
    for (const file of files) make(tree, file);
    const expand = (text: string): string => text.replace('@', tree);
    const named = targets.map(expand).filter((each) => each !== '');
    const patterns = (excludes.patterns ?? []).map((each) => expand(String(each)));
    const folded = (excludes.patternsIgnoringCase ?? []).map((each) => expand(String(each)));
    const options = { ...excludes, patterns, patternsIgnoringCase: folded };
    const args = [...argumentsOf(options), '--', ...named];
    const theirs = await backUpWithRestic(repository, { args, cwd });
    const ours = await tryWalk(named, { workingDirectory: cwd, exclude: options });
    expectSame(ours, theirs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(repository, { recursive: true, force: true });
  }
}

function make(tree: string, file: string): void {
  const [place = '', link] = path.join(tree, file).split(' -> ');
  try {
    mkdirSync(file.endsWith('/') || file === '' ? place : path.dirname(place), { recursive: true });
    if (link !== undefined) symlinkSync(link, place);
    else if (!file.endsWith('/') && file !== '')
      writeFileSync(place, contentOf(path.basename(place)));
  } catch {
    // Something else has the name already: the tree is as good without.
  }
}

function contentOf(name: string): string {
  return name === 'CACHEDIR.TAG' ? 'CACHE, or not' : name;
}

function argumentsOf(excludes: ExcludeOptions): string[] {
  return [
    ...(excludes.patterns ?? []).flatMap((each) => ['--exclude', String(each)]),
    ...(excludes.patternsIgnoringCase ?? []).flatMap((each) => ['--iexclude', String(each)]),
    ...(excludes.ifPresent ?? []).flatMap((each) => ['--exclude-if-present', each]),
    ...(excludes.caches === true ? ['--exclude-caches'] : []),
    ...(excludes.largerThanBytes === undefined
      ? []
      : ['--exclude-larger-than', String(excludes.largerThanBytes)]),
    ...(excludes.oneFileSystem === true ? ['--one-file-system'] : []),
  ];
}

async function tryWalk(
  targets: readonly string[],
  options: Parameters<typeof walkTargets>[1],
): Promise<Walk | undefined> {
  try {
    return await walkTargets(targets, options);
  } catch (error) {
    if (isHoldfastError(error, 'SOURCE_MISSING')) return undefined;
    throw error;
  }
}

function expectSame(ours: Walk | undefined, theirs: ResticBackup): void {
  const isEmpty = ours === undefined || ours.paths.length === 0;
  // Restic has no snapshot then either.
  expect({ isEmpty }).toEqual({ isEmpty: theirs.nodes.length === 0 });
  if (ours === undefined) return;
  if (isEmpty) return;
  expect(theirs.exitCode).toBe(ours.problems.length > 0 ? 3 : 0);
  expect(ours.recorded).toEqual(theirs.paths);
  const described = [...ours.entries].map(([name, entry]) => describeEntry(name, entry));
  const nodes = theirs.nodes.map(({ path, type, mtime, size, inode }) => ({
    path,
    type,
    mtime: isOurs(path) ? mtime : undefined,
    size,
    inode,
  }));
  expect(described).toEqual(nodes);
}

/** False for directories above ours, which others write in. */
function isOurs(name: string): boolean {
  return !realpathSync(tmpdir()).startsWith(name);
}

function describeEntry(name: string, { status }: SourceEntry): Record<string, unknown> {
  return {
    path: Buffer.from(name, 'latin1').toString(),
    type: status.kind === 'directory' ? 'dir' : status.kind,
    mtime: isOurs(name) ? timeOf(status) : undefined,
    size: status.kind === 'file' ? status.sizeBytes : undefined,
    inode: status.inode,
  };
}

function timeOf({ mtime }: FileStatus): string {
  const seconds = new Date(mtime.seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(mtime.nanoseconds).padStart(9, '0').replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : '.'}${fraction}Z`;
}
