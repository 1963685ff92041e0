import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';

import type { Clock } from '../../base/clock.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { harmlessLine } from '../../base/harmless-text.ts';
import type { Variables } from '../store.ts';

/** What is started, and who hears of it. */
export interface RcloneOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly variables: Variables;
  readonly clock: Clock;
  /** How long it may take from its start to its first byte. */
  readonly startMsMax: number;
  /** Hears each line that it writes to its standard error. */
  readonly onLine: (line: string) => void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const lineLengthMax = 2000;
/** From the end of its input to a kill. */
const endMsMax = 5000;
/** Ours are none of its business; `RCLONE_CONFIG_PASS` is. */
const ownSecrets = /^(?:HOLDFAST|RESTIC)_.*PASSWORD/;

/**
 * Runs rclone, and speaks with it over its standard input and output. It ends when its input does, so also when this process is
 * killed; signals from a terminal do not reach it, for requests must be answered until locks are removed.
 */
export class RcloneProcess {
  readonly #child: Child;
  readonly #options: RcloneOptions;
  readonly #ended = Promise.withResolvers<void>();
  #lastLine = '';
  #isEnding = false;

  private constructor(options: RcloneOptions) {
    this.#options = options;
    const { program, args, variables } = options;
    const env = Object.entries(variables).filter(([name]) => !ownSecrets.test(name));
    this.#child = spawn(program, args, {
      env: Object.fromEntries(env),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.#child.once('close', () => this.#ended.resolve());
    this.#passLines();
  }

  /**
   * Starts it, and waits for the first sign of life.
   *
   * @throws COMMAND_FAILED if it cannot be started, or ends at once
   */
  static async start(options: RcloneOptions): Promise<RcloneProcess> {
    const started = new RcloneProcess(options);
    await started.#firstByte();
    return started;
  }

  /** Both directions as one stream. */
  stream(): Duplex {
    const { stdin, stdout } = this.#child;
    return new TwoWay(stdout, stdin);
  }

  /** Ends its input, and waits until it is gone; kills it if it does not go. */
  async stop(): Promise<void> {
    const { stdin, stdout } = this.#child;
    // What it sums up at its end was told before.
    this.#isEnding = true;
    stdin.destroy();
    stdout.destroy();
    const patience = new AbortController();
    const kill = this.#options.clock.sleep(endMsMax, patience.signal).then(
      () => this.#child.kill('SIGKILL'),
      () => undefined,
    );
    await this.#ended.promise;
    patience.abort();
    await kill;
  }

  async #firstByte(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { stdin, stdout } = this.#child;
    stdin.on('error', () => {});
    // Its end makes it readable, too.
    stdout.on('readable', () => {
      if (stdout.readableLength > 0) resolve();
    });
    this.#child.once('error', (error) => reject(this.#notStarted(error)));
    this.#child.once('close', (exitCode) => {
      reject(this.#failure('rclone ended at once', { exitCode: exitCode ?? undefined }));
    });
    const patience = new AbortController();
    const { clock, startMsMax } = this.#options;
    clock.sleep(startMsMax, patience.signal).then(
      () => reject(this.#failure('rclone does not answer', {})),
      () => undefined,
    );
    try {
      await promise;
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    } finally {
      patience.abort();
      stdout.removeAllListeners('readable');
    }
  }

  #notStarted(error: Error): HoldfastError {
    const code = systemCode(error);
    this.#ended.resolve();
    return new HoldfastError('COMMAND_FAILED', {
      message: code === 'ENOENT' ? 'rclone was not found' : 'rclone cannot be started',
      details: { program: this.#options.program, code },
      hint: 'Install rclone, or say where it is: -o rclone.program=PATH.',
    });
  }

  #failure(message: string, details: Readonly<Record<string, number | undefined>>): HoldfastError {
    return new HoldfastError('COMMAND_FAILED', {
      message: this.#lastLine === '' ? message : `${message}: ${this.#lastLine}`,
      details: { program: this.#options.program, ...details },
    });
  }

  #passLines(): void {
    let rest = '';
    const pass = (line: string): void => {
      if (line.trim() === '' || this.#isEnding) return;
      this.#lastLine = harmlessLine(line.slice(0, lineLengthMax));
      this.#options.onLine(this.#lastLine);
    };
    this.#child.stderr.setEncoding('utf8');
    this.#child.stderr.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(0, lineLengthMax);
      for (const line of lines) pass(line);
    });
    this.#child.stderr.on('end', () => pass(rest));
  }
}

/** Two streams as one. */
class TwoWay extends Duplex {
  readonly #source: Readable;
  readonly #target: Writable;

  constructor(source: Readable, target: Writable) {
    super();
    this.#source = source;
    this.#target = target;
    source.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause();
    });
    source.on('end', () => this.push(null));
    source.on('close', () => this.destroy());
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _write(
    chunk: Uint8Array,
    _: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#target.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#target.end(done);
  }
}
