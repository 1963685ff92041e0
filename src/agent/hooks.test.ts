import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { systemEnvironment } from '../base/environment.ts';
import type { AgentHost } from './host.ts';
import { type HookResult, runHook } from './hooks.ts';

const scratch = scratchFolder('hooks');
const context = { variables: { SOURCE: 'a' }, json: { source: 'a' } };

const nothing = (): void => {};

function hostWith(signal: AbortSignal = new AbortController().signal): AgentHost {
  return {
    environment: systemEnvironment,
    signal,
    variables: { PATH: process.env['PATH'], HOME: '/', SECRET: 'geheim' },
    programVersion: 'test',
    cache: undefined,
    listener: {
      started: nothing,
      progress: nothing,
      problem: nothing,
      note: nothing,
      finished: nothing,
    },
  };
}

function shell(script: string, more: object = {}, host = hostWith()): Promise<HookResult> {
  return runHook('h', { command: ['sh', '-c', script], ...more }, { host, context });
}

test('it gets its context, a clean environment and no argument by a shell', async () => {
  const { output, error } = await shell(
    'cat; env | grep -v ^PWD= | grep -v ^_= | sort | cut -c1-30',
  );
  expect(error).toBeUndefined();
  const lines = output.split('\n').filter((line) => !/^(PATH|SHLVL|OLDPWD)=/.test(line));
  expect(lines).toEqual(['{"source":"a"}', 'HOLDFAST_SOURCE=a', 'HOME=/']);
  const echo = { command: ['echo', '$HOME; `id`', '*'] };
  const plain = await runHook('echo', echo, { host: hostWith(), context });
  expect(plain.output).toBe('$HOME; `id` *');
});

test('how it failed is told, and what it printed is made harmless and bounded', async () => {
  expect((await shell('exit 3')).error?.message).toBe('the hook "h" failed with exit code 3');
  expect((await shell('kill -9 $$')).error?.message).toBe('the hook "h" was ended by SIGKILL');
  const none = await runHook('n', { command: ['/no/such'] }, { host: hostWith(), context });
  expect(none.error?.message).toBe('the hook "n" was not found');
  expect((await shell(String.raw`printf 'a\033[31mb\n'`)).output).toBe(String.raw`a\x1b[31mb`);
  const much = await shell('yes | head -c 300000; echo end');
  expect(much.output.length).toBeLessThanOrEqual(64 * 1024);
  expect(much.output).toMatch(/end$/);
  // One that reads nothing of its input.
  expect((await shell('exec <&-; echo read nothing')).error).toBeUndefined();
});

test.each(['late', 'cancelled'])('one that is %s ends with all it started', async (why) => {
  const file = scratch.fresh('child');
  const controller = new AbortController();
  const timeout = why === 'late' ? '1s' : '1h';
  const script = `sleep 300 & echo $! > ${file}.part; mv ${file}.part ${file}; wait`;
  const ended = shell(script, { timeout }, hostWith(controller.signal));
  await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
  if (why === 'cancelled') controller.abort();
  const { error } = await ended;
  expect(error?.message).toBe(why === 'late' ? 'the hook "h" took longer than 1 s' : 'cancelled');
  const child = readFileSync(file, 'utf8').trim();
  await expect.poll(() => isAlive(child), { timeout: 10_000 }).toBe(false);
});

/** False also for one that has ended and that nobody has asked about yet, as in a container without an init. */
function isAlive(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
