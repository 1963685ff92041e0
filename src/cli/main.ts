import { isatty } from 'node:tty';
import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError, systemCode } from '../base/errors.ts';
import { hasNativeLibrary } from '../base/native-library.ts';
import { hasStuckThreads } from '../base/stuck-threads.ts';
import type { Input } from './command.ts';
import { Ending } from './ending.ts';
import { Output, type Sink } from './output.ts';
import { runProgram } from './program.ts';
import { StandardInput } from './stdin.ts';
import { Variables } from './variables.ts';

/** Time to release locks after an error that nobody caught. */
const endMsMax = 60_000;

/** Exit code of a process that was interrupted. */
const cancelledExitCode = 130;

/** Standard input, output and error: those that were terminals when the program began. */
const terminals = [0, 1, 2].filter((file) => isatty(file));

const ending = new Ending({
  clock: systemEnvironment.clock,
  tell: (text) => {
    if (!output.isJson) output.errorLine(text);
  },
  exit: () => void endProcess(cancelledExitCode),
});

/** Why an output took less than what was written to it; not if whoever read it had enough. */
let outputFailure: HoldfastError | undefined;

function sinkOf(stream: NodeJS.WriteStream, onClosed: () => void): Sink {
  stream.on('error', (error) => {
    if (systemCode(error) === 'EPIPE') onClosed();
    else outputFailure ??= outputError(error);
    // Whoever read the output is gone, or its disk is full: end in order, so that locks are released.
    ending.fail(outputError(error));
  });
  return {
    isTerminal: stream.isTTY,
    get columns() {
      return stream.columns || 80;
    },
    write: (text) => {
      stream.write(text);
    },
    writeAll: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(outputError(error)) : resolve()));
      }),
  };
}

function outputError(cause: unknown): HoldfastError {
  if (systemCode(cause) === 'EPIPE') {
    return new HoldfastError('CANCELLED', { message: 'the output was closed' });
  }
  return new HoldfastError('TARGET_FAILED', { message: 'the output cannot be written', cause });
}

/** Opens standard input only when it is asked for. */
function lazyInput(): Input {
  let opened: StandardInput | undefined;
  const input = (): StandardInput => {
    opened ??= new StandardInput(process.stdin);
    return opened;
  };
  return {
    get isTerminal() {
      return input().isTerminal;
    },
    readLine: (signal) => input().readLine(signal),
    readHidden: (signal, ask) => input().readHidden(signal, ask),
    readable: () => input().readable(),
  };
}

/** Ends the process even if a thread is stuck. Loaded late: starting needs nothing of the platform. */
async function endProcess(exitCode: number): Promise<void> {
  const platform = await import('../platform/machine.ts');
  platform.endProcess(exitCode);
}

/**
 * A terminal that is closed ends the work. The signal alone does not: with it "restic unlock" asks whether the owners of
 * locks are alive, and nohup and the like keep a program from it that has no terminal any more.
 */
function onHangup(): void {
  if (terminals.some((file) => !isatty(file))) ending.request();
}

/** What nobody caught ends the work in order, so that locks are released; the process ends in any case. */
function onUncaught(cause: unknown): void {
  const message = 'an error was not handled';
  ending.fail(new HoldfastError('ASSERTION_FAILED', { message, cause }));
  systemEnvironment.clock.every(endMsMax, () => void endProcess(1));
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

const output: Output = new Output({
  stdout: sinkOf(process.stdout, () => {
    output.isClosed = true;
  }),
  stderr: sinkOf(process.stderr, () => {
    output.isClosed = true;
  }),
});

async function main(): Promise<void> {
  process.on('SIGINT', () => ending.request());
  process.on('SIGTERM', () => ending.request());
  process.on('SIGHUP', onHangup);
  // As with restic. The runtime would open its debugger, but for a flag in bin/holdfast. SIGINFO is Ctrl-T of BSD and macOS.
  process.on('SIGUSR1', () => output.askProgress());
  process.on('SIGINFO', () => output.askProgress());
  process.on('uncaughtException', onUncaught);
  let exitCode = await runProgram({
    args: process.argv.slice(2),
    variables: new Variables(process.env),
    environment: systemEnvironment,
    output,
    input: lazyInput(),
    signal: ending.signal,
    beforeEnd: ending.beforeEnd,
  });
  await flushed(process.stdout);
  // What was written last may have failed after the command was done.
  if (exitCode === 0 && outputFailure) exitCode = output.fatal(outputFailure);
  await flushed(process.stderr);
  if (hasNativeLibrary()) (await import('../platform/machine.ts')).detachOutput();
  if (hasStuckThreads()) await endProcess(exitCode);
  process.exit(exitCode);
}

await main();
