import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import { scratchFolder } from '../tools/scratch.ts';

const script = fileURLToPath(new URL('../../scripts/first-backup.ts', import.meta.url));
const scratch = scratchFolder('first-backup-interrupted');
/** A run that does not stop is killed then, and seen by that. */
const stopMsMax = 60_000;

/** Runs a first backup, and sends a signal once it says that it is at this step. */
function interrupted(
  home: string,
  { step, signal }: { readonly step: number; readonly signal: NodeJS.Signals },
): Promise<{ readonly exitCode: number | null; readonly errors: string }> {
  const child = spawn(process.execPath, [script, path.join(home, 'source')], {
    cwd: home,
    env: { ...process.env, HOME: home, XDG_CACHE_HOME: path.join(home, 'cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: a terminal interrupts all that runs in it.
    detached: true,
    timeout: stopMsMax,
    killSignal: 'SIGKILL',
  });
  let [output, errors, isSent] = ['', '', false];
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
    if (isSent || child.pid === undefined || !output.includes(`[${step}/5]`)) return;
    isSent = true;
    process.kill(signal === 'SIGINT' ? -child.pid : child.pid, signal);
  });
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, errors }));
  });
}

test.each([
  { step: 2, signal: 'SIGINT' },
  { step: 4, signal: 'SIGHUP' },
] as const)('$signal at step $step of a first backup ends it in order', async (when) => {
  const home = scratch.fresh('home');
  mkdirSync(path.join(home, 'source'), { recursive: true });
  for (let i = 0; i < 300; i++) writeFileSync(path.join(home, `source/${i}`), `content ${i}`);
  const { exitCode, errors } = await interrupted(home, when);
  // What it was at may have been done before the signal came.
  expect([0, 130], errors).toContain(exitCode);
  if (exitCode === 130) expect(errors).toMatch(/^first-backup: cancelled$/m);
  expect(errors).not.toMatch(/^\s+at /m);
  const folder = path.join(home, 'holdfast-first-backup');
  expect(existsSync(path.join(folder, 'restored'))).toBe(false);
  expect(readdirSync(path.join(folder, 'repository/locks'))).toEqual([]);
  expect(existsSync(path.join(folder, 'recovery-kit.txt'))).toBe(true);
});
