import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** One call of the program. */
export interface Call {
  /** Path of `bin/holdfast`. */
  readonly program: string;
  readonly args: readonly string[];
  readonly repository: string;
  readonly password: string;
}

/** How a call ended. */
export interface CallResult {
  readonly exitCode: number;
  /** What it wrote to its output, if that was kept. */
  readonly output: string;
}

/**
 * Runs Holdfast and waits for its end. The password goes by the environment, not by the arguments, which all users
 * of the machine can see.
 * @param show let its output and progress through; else keep the output. Errors always show
 */
export async function runHoldfast(call: Call, show: boolean): Promise<CallResult> {
  const child = spawn(call.program, call.args, {
    stdio: ['ignore', show ? 'inherit' : 'pipe', 'inherit'],
    env: {
      ...process.env,
      HOLDFAST_REPOSITORY: call.repository,
      HOLDFAST_PASSWORD: call.password,
    },
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  // An interrupt from the terminal reaches the child by itself. The first of these does not, and the second, which
  // comes when the terminal is closed, does not end it.
  const forward = (): void => {
    child.kill('SIGTERM');
  };
  for (const each of ['SIGTERM', 'SIGHUP'] as const) process.on(each, forward);
  const [code, signal]: unknown[] = await once(child, 'close');
  for (const each of ['SIGTERM', 'SIGHUP'] as const) process.off(each, forward);
  const stopped = signal === null ? 1 : 130;
  return { exitCode: typeof code === 'number' ? code : stopped, output };
}
