import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';

/** Ends a run with one plain line, `N passed, N failed`, and says before it what skipped tests would need. */
export class PlainReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string): number =>
      tests.filter((test) => test.result().state === state).length;
    // A file that does not load has no tests, and an error outside of tests belongs to none: both are failures.
    const broken = modules.filter((module) => module.errors().length > 0).length;
    const lines = [
      ...needs(tests),
      `${count('passed')} passed, ${count('failed') + broken + errors.length} failed`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}

/** `12 skipped: needs restic (...)` for each reason that titles of skipped tests give. */
function needs(tests: readonly TestCase[]): string[] {
  const counts = new Map<string, number>();
  for (const test of tests) {
    const reason = /\((needs .*?)\)(?= >|$)/.exec(test.fullName)?.[1];
    if (reason === undefined || test.result().state !== 'skipped') continue;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${count} skipped: ${reason}`);
}
