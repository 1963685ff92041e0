import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { cancelled, throwIfAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { StreamSource } from '../source.ts';
import { recordedPath, streamPath } from './stream-path.ts';

/** How long a command that is told to end may take before it is killed. */
const endLimitMs = 5_000;

/** Where the output of a command is stored, and who hears its errors. */
export interface CommandSourceOptions {
  readonly environment: Environment;
  /** Where in the snapshot; relative to its root. */
  readonly fileName: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Hears what the command writes to its standard error. Default: it goes where ours goes. */
  readonly onErrorOutput?: (bytes: Uint8Array) => void;
}

/** How a command ended. */
interface Outcome {
  readonly exitCode: number | null;
  readonly signalName: string | null;
}

interface Child {
  readonly process: ChildProcess;
  readonly stdout: Readable;
}

/**
 * Starts a command, without a shell, whose standard output becomes the content of one file.
 * @param command the program and its arguments
 * @throws COMMAND_FAILED if it cannot be started; USAGE; CANCELLED
 */
export async function openCommandSource(
  command: readonly string[],
  options: CommandSourceOptions,
): Promise<CommandSource> {
  const path = streamPath(options.fileName);
  const [program, ...args] = command;
  if (program === undefined) {
    throw new HoldfastError('USAGE', {
      message: 'the command to back up the output of is missing',
    });
  }
  throwIfAborted(options.signal);
  const child = start(program, args, options.onErrorOutput !== undefined);
  if (options.onErrorOutput) child.process.stderr?.on('data', options.onErrorOutput);
  await new Promise<void>((resolve, reject) => {
    child.process.once('spawn', resolve);
    child.process.once('error', (cause) => reject(startError(program, cause)));
  });
  return new CommandSource({ child, program, path, options });
}

function start(program: string, args: readonly string[], hearsErrors: boolean): Child {
  const stderr = hearsErrors ? 'pipe' : 'inherit';
  try {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', stderr], windowsHide: true });
    const { stdout } = child;
    assert(stdout !== null, 'a piped output is there');
    // Without a listener Node throws the output away when the command ends before anybody reads.
    stdout.on('readable', () => {});
    return { process: child, stdout };
  } catch (cause) {
    throw startError(program, cause);
  }
}

/** The output of a running command as the content of one file; there is a snapshot only if the command succeeds. */
export class CommandSource implements StreamSource {
  readonly kind = 'stream';
  readonly path: Uint8Array;
  readonly paths: readonly string[];
  readonly #child: Child;
  readonly #program: string;
  readonly #options: CommandSourceOptions;
  /** Resolves when the command has ended and its output is read or closed. Never rejects. */
  readonly #outcome: Promise<Outcome>;
  #isRead = false;
  #hasEnded = false;

  constructor(parts: {
    readonly child: Child;
    readonly program: string;
    readonly path: Uint8Array;
    readonly options: CommandSourceOptions;
  }) {
    this.path = parts.path;
    this.paths = [recordedPath(parts.path)];
    this.#child = parts.child;
    this.#program = parts.program;
    this.#options = parts.options;
    this.#outcome = new Promise((resolve) => {
      this.#child.process.once('close', (exitCode, signalName) => {
        this.#hasEnded = true;
        resolve({ exitCode, signalName });
      });
    });
    // A failure to be killed or the like: the outcome tells what matters.
    this.#child.process.on('error', () => {});
  }

  async *read(): AsyncIterable<Uint8Array> {
    if (this.#isRead) throw this.#failed('its output can be read only once');
    this.#isRead = true;
    const { signal } = this.#options;
    throwIfAborted(signal);
    const onAbort = (): void => void this.#child.stdout.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const part of this.#child.stdout) {
        if (part instanceof Uint8Array) yield part;
      }
    } catch (cause) {
      if (signal?.aborted) throw cancelled(signal);
      throw this.#failed('its output cannot be read', cause);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    throwIfAborted(signal);
    await this.settled();
  }

  async settled(): Promise<void> {
    const { exitCode, signalName } = await this.#outcome;
    throwIfAborted(this.#options.signal);
    if (exitCode === 0) return;
    const how = signalName === null ? `it exited with ${exitCode}` : `${signalName} ended it`;
    throw this.#failed(how, undefined, exitCode ?? undefined);
  }

  async close(): Promise<void> {
    if (this.#hasEnded) return;
    const done = new AbortController();
    this.#child.stdout.destroy();
    this.#child.process.stderr?.destroy();
    this.#child.process.kill('SIGTERM');
    const kill = this.#options.environment.clock.sleep(endLimitMs, done.signal).then(
      () => this.#child.process.kill('SIGKILL'),
      () => {},
    );
    await this.#outcome;
    done.abort();
    await kill;
  }

  #failed(how: string, cause?: unknown, exitCode?: number): HoldfastError {
    return new HoldfastError('COMMAND_FAILED', {
      message: `the command whose output is backed up failed: ${how}`,
      // Only the program: its arguments may hold secrets.
      details: { command: this.#program, exitCode },
      hint: 'There is no snapshot of this run. Look at what the command wrote to its standard error.',
      cause,
    });
  }
}

function startError(program: string, cause: unknown): HoldfastError {
  return new HoldfastError('COMMAND_FAILED', {
    message: 'the command whose output is to be backed up cannot be started',
    details: { command: program },
    cause,
  });
}
