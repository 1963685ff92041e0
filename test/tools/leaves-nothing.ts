import { flushCompileCache } from 'node:module';
import { afterAll, expect } from 'vitest';

/**
 * Files of tests share processes (`isolate: false`), and which of them come after which is another order in each run: what one leaves behind in its
 * process makes another fail some day. So each file is held to leave what is known to have done so.
 */
function stateOfProcess(): object {
  return {
    workingDirectory: process.cwd(),
    stackTraceLimit: Error.stackTraceLimit,
    umask: process.umask(),
  };
}

const before = stateOfProcess();
const environment = { ...process.env };

afterAll(() => {
  expect(stateOfProcess(), 'a file of tests leaves its process as it found it').toEqual(before);
  const names = new Set([...Object.keys(environment), ...Object.keys(process.env)]);
  // Names alone: values may be secrets.
  const changed = [...names].filter((name) => environment[name] !== process.env[name]);
  expect(changed, 'variables of the environment that a file of tests left changed').toEqual([]);
});

// A process of tests does not come to an end of its own, which is when it would keep what it has compiled for the next one.
afterAll(() => flushCompileCache());
