import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

import { LongestFirst } from './test/tools/longest-first.ts';
import { PlainReporter } from './test/tools/plain-reporter.ts';

// The processes and threads that tests start strip types and compile once, not each time anew.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'holdfast-compile-cache');

/** Files that leave nothing behind in this process, whatever they start and wait for: they may share it, too. */
const shared = [
  'crash',
  'damage',
  'faults',
  'first-backup',
  'hostile',
  'interop',
  'model',
  'soak',
  'tidy',
  'tools',
].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    exclude: ['dist/**', 'node_modules/**'],
    projects: [
      {
        extends: true,
        // Tests of one room share their processes: loading the program anew for each file took a fifth of their time.
        test: { name: 'src', include: ['src/**/*.test.ts'], isolate: false },
      },
      { extends: true, test: { name: 'shared', include: shared, isolate: false } },
      { extends: true, test: { name: 'test', include: ['test/**/*.test.ts'], exclude: shared } },
    ],
    setupFiles: [
      join(import.meta.dirname, 'test/tools/bytes-equal.ts'),
      join(import.meta.dirname, 'test/tools/leaves-nothing.ts'),
      join(import.meta.dirname, 'test/tools/property-seed.ts'),
    ],
    pool: 'forks',
    // Node strips the types itself, and keeps what it has compiled: a tenth of the processor time less than Vite's way.
    experimental: { viteModuleRunner: false },
    // To V8, every 64 MiB of buffers are a reason to walk the whole heap, which is seldom where they are: 500 times in the tests
    // of restore and prune. Counted as one with the heap, they are collected as it grows: a fifth of the processor time less.
    execArgv: ['--external-memory-accounted-in-global-limit', '--initial-heap-size=256'],
    sequence: { sequencer: LongestFirst },
    // One more than there are cores: an eighth of the time of a file is waiting, for locks, disks and processes.
    maxWorkers: availableParallelism() + 1,
    // For what hangs alone: a test that takes minutes because the machine is busy has not failed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default', new PlainReporter()],
  },
});
