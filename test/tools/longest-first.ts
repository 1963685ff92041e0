import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take more than 15 s, longest first, below `test/`. One that is missing here costs time alone. */
const longest: readonly string[] = [
  'simulation/simulation',
  'interop/modes',
  'crash/stopped',
  'hazards/changing-files',
  'interop/prune',
  'hazards/sparse-files',
  'hazards/many-entries',
  'hazards/mounts',
  'first-backup/first-backup',
  'interop/generated-trees',
  'interop/copy',
  'crash/crash-keys',
  'crash/crash',
];

/**
 * Starts the files that take longest first, and small ones last, also where none has run before: so no worker is left with a
 * long one while the others have nothing to do. Files of one project follow one another, as those of some share processes.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

/** Those that share processes are many and small: they come last. */
function rankOf({ moduleId, project }: TestSpecification): number {
  if (project.name !== 'test') return longest.length + 1;
  const folder = path.join(import.meta.dirname, '..');
  const rank = longest.indexOf(path.relative(folder, moduleId).replace(/\.test\.ts$/, ''));
  return rank === -1 ? longest.length : rank;
}
