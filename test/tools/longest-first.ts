import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take more than 6 s, longest first. One that is missing here may keep one core at work alone at the end. */
const longest: readonly string[] = [
  'test/simulation/simulation',
  'test/hazards/mounts',
  'test/hazards/sparse-files',
  'test/hazards/changing-files',
  'test/hazards/many-entries',
  'test/fuzz/fuzz',
  'test/interop/modes',
  'test/crash/stopped',
  'test/first-backup/first-backup',
  'test/crash/crash-keys',
  'test/interop/prune',
  'test/damage/matrix',
  'test/model/protocol',
  'test/crash/crash',
  'test/interop/generated-trees',
  'test/crash/interrupts',
  'test/crash/crash-prune',
  'test/interop/repair',
  'test/interop/forget',
  'test/hostile/trees',
  'test/crash/crash-repair',
  'test/interop/copy',
  'test/damage/restore-target',
  'src/cli/process',
  'src/cli/restic-output',
  'src/repository/repository-interop',
  'src/engine/restore/content',
  'src/engine/prune',
  'src/cli/flow',
  'src/cli/raw-arguments',
  'src/cli/key-kit',
  'src/repository/pack-interop',
  'src/engine/backup/tree-builder',
  'src/storage/local/local-faults',
  'src/engine/restore/confinement',
  'src/kernels/assembly',
  'src/engine/backup/backup',
];

/** Projects of the tests: files of one follow one another, as those of some share processes. The many small ones come last. */
const projects: readonly string[] = ['test', 'shared', 'src'];

/**
 * Starts the files that take longest first, and small ones last, also where none has run before: so no worker is left with a
 * long one while the others have nothing to do.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

function rankOf({ moduleId, project }: TestSpecification): number {
  const root = path.join(import.meta.dirname, '../..');
  const rank = longest.indexOf(path.relative(root, moduleId).replace(/\.test\.ts$/, ''));
  const within = rank === -1 ? longest.length : rank;
  return projects.indexOf(project.name) * (longest.length + 1) + within;
}
