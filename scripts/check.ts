// node scripts/check.ts [--build]
// Runs what must hold before the tests: format, lint and types, and the build. None needs another: as many run at once as
// there are processors. What one of them says is printed when it has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/** Scripts of package.json, longest first. */
const checks = ['lint', 'types:all', 'types:program', 'format:check'];
const steps = process.argv.includes('--build') ? ['build', ...checks] : checks;

/** Runs a script to its end, and prints what it said. @returns whether it ended well */
async function run(script: string): Promise<boolean> {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => said.push(part));
  }
  const [exitCode]: unknown[] = await once(child, 'close');
  const isWell = exitCode === 0;
  process.stdout.write(`${isWell ? 'passed' : 'FAILED'}: ${script}\n`);
  process.stdout.write(Buffer.concat(said));
  return isWell;
}

async function runNext(failed: string[], waiting: string[]): Promise<void> {
  for (let script = waiting.shift(); script !== undefined; script = waiting.shift()) {
    if (!(await run(script))) failed.push(script);
  }
}

const failed: string[] = [];
const waiting = [...steps];
await Promise.all(Array.from({ length: availableParallelism() }, () => runNext(failed, waiting)));
if (failed.length > 0) {
  console.error(`check: failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
