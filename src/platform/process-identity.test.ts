import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { processId } from './machine.ts';
import { machineUpSeconds, processStart, thisProcess } from './process-identity.ts';

const ended = (child: ReturnType<typeof spawn>): Promise<unknown> =>
  new Promise((resolve) => child.once('exit', resolve));

describe.runIf(process.platform === 'linux')('the identity of a process', () => {
  it('is that of this process', () => {
    const self = thisProcess();
    expect(self.boot).toMatch(/^[0-9a-f-]{36}$/);
    expect(self.space).toMatch(/^pid:\[\d+\]( time:\[\d+\])?$/);
    expect(self.start).toMatch(/^\d+$/);
    expect(processStart(processId)).toBe(self.start);
    expect(thisProcess()).toEqual(self);
  });

  it('differs for the next process, and ends with it', async () => {
    // A name with a blank and a parenthesis, which the system writes between the number and the state.
    const child = spawn('bash', ['-c', 'printf ") Z 1 (" >/proc/self/comm; echo; read x']);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const start = processStart(child.pid ?? 0);
    expect(start).toMatch(/^\d+$/);
    expect(Number(start)).toBeGreaterThan(Number(thisProcess().start));
    const end = ended(child);
    child.stdin.end();
    await end;
    expect(processStart(child.pid ?? 0)).toBeUndefined();
  });

  it('is none for what has ended and was not waited for', async () => {
    // The shell becomes a program that never asks for the exit code of what it started before.
    const script = 'cat <&3 >/dev/null & echo $!; exec cat 3<&-';
    const shell = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
    const said = (): Promise<unknown> =>
      new Promise((resolve) => shell.stdout?.once('data', resolve));
    const pid = Number(await said());
    const isChanged = said();
    shell.stdin?.write('x');
    await isChanged;
    expect(processStart(pid)).toMatch(/^\d+$/);
    (shell.stdio[3] as Writable).end();
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(processStart(pid)).toBeUndefined();
    const end = ended(shell);
    shell.stdin?.end();
    await end;
  });

  it('knows how long the machine runs', () => {
    const [seconds = ''] = readFileSync('/proc/uptime', 'latin1').split(' ');
    expect(Math.abs(machineUpSeconds() - Number(seconds))).toBeLessThan(60);
  });
});
