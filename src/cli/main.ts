import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError, systemCode } from '../base/errors.ts';
import { hasNativeLibrary } from '../base/native-library.ts';
import { hasStuckThreads } from '../base/stuck-threads.ts';
import type { Input } from './command.ts';
import { Output, type Sink } from './output.ts';
import { runProgram } from './program.ts';
import { StandardInput } from './stdin.ts';
import { Variables } from './variables.ts';

/** Time to release locks after an error that nobody caught. */
const endMsMax = 60_000;

/** Exit code of a process that was interrupted. */
const cancelledExitCode = 130;

const controller = new AbortController();

function sinkOf(stream: NodeJS.WriteStream, onClosed: () => void): Sink {
  stream.on('error', (error) => {
    if (systemCode(error) === 'EPIPE') onClosed();
    // Whoever read the output is gone, or its disk is full: end in order, so that locks are released.
    controller.abort(outputError(error));
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

/** The first signal asks the work to stop and release what it holds; the second ends the process at once. */
function onSignal(): void {
  if (controller.signal.aborted) void endProcess(cancelledExitCode);
  controller.abort(new HoldfastError('CANCELLED', { message: 'interrupted' }));
}

/** What nobody caught ends the work in order, so that locks are released; the process ends in any case. */
function onUncaught(cause: unknown): void {
  const message = 'an error was not handled';
  controller.abort(new HoldfastError('ASSERTION_FAILED', { message, cause }));
  systemEnvironment.clock.every(endMsMax, () => void endProcess(1));
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

async function main(): Promise<void> {
  const onClosed = (): void => {
    output.isClosed = true;
  };
  const output: Output = new Output({
    stdout: sinkOf(process.stdout, onClosed),
    stderr: sinkOf(process.stderr, onClosed),
  });
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // "restic unlock" probes with this signal whether the owners of locks are alive: it must not end them.
  process.on('SIGHUP', () => {});
  // Asks other programs for their progress. The runtime would open its debugger, but for a flag in bin/holdfast.
  process.on('SIGUSR1', () => {});
  process.on('uncaughtException', onUncaught);
  const exitCode = await runProgram({
    args: process.argv.slice(2),
    variables: new Variables(process.env),
    environment: systemEnvironment,
    output,
    input: lazyInput(),
    signal: controller.signal,
  });
  await flushed(process.stdout);
  await flushed(process.stderr);
  if (hasNativeLibrary()) (await import('../platform/machine.ts')).detachOutput();
  if (hasStuckThreads()) await endProcess(exitCode);
  process.exit(exitCode);
}

await main();
