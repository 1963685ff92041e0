import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

import { PlainReporter } from './test/tools/plain-reporter.ts';

// The processes and threads that tests start strip types and compile once, not each time anew.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'holdfast-compile-cache');

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**'],
    pool: 'forks',
    // By default one core is left idle; on two cores that is half of them.
    maxWorkers: '100%',
    // For what hangs alone: a test that takes minutes because the machine is busy has not failed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default', new PlainReporter()],
  },
});
