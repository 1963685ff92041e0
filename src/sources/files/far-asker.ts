import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { workerModule } from '../../base/worker-module.ts';
import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { deserializeError } from '../../base/serialized-errors.ts';
import type { FarPart } from '../source.ts';
import {
  contentFile,
  type FarAnswer,
  type FarCall,
  type FarReply,
  type FarRequest,
  type FarValue,
} from './far-messages.ts';

const moduleAddress = workerModule('./far-process.ts', import.meta.url);

/** A process that is not ready within this time has failed; a busy machine takes minutes to start one. */
const startMsMax = 600_000;

/**
 * A process that reads far file systems for this one, one request at a time.
 *
 * A process and not a thread: what hangs in the kernel cannot be ended, and would keep this process from ever ending.
 */
export class FarAsker {
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #content: PipeEnd;
  readonly #ready: Promise<void>;
  /** Settles the request under way. */
  #settle: ((reply: FarReply | HoldfastError) => void) | undefined;
  /** The answer to it, of which content may still be on the way. */
  #reply: FarReply | undefined;
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  #ended: HoldfastError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#child = fork(moduleAddress, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning'],
      // Nothing of what it reads may become its working directory, and no signal of a terminal reaches it.
      cwd: '/',
      detached: true,
    });
    this.#child.unref();
    this.#child.channel?.unref();
    const starting = new AbortController();
    this.#endAfter(startMsMax, endedError(), starting.signal);
    this.#ready = new Promise((resolve) => {
      this.#child.once('message', () => {
        starting.abort();
        this.#child.on('message', (reply: FarReply) => this.#hear(reply));
        resolve();
      });
    });
    this.#content = this.#child.stdio[contentFile] as PipeEnd;
    this.#content.unref();
    this.#content.on('data', (bytes: Buffer) => {
      this.#parts.push(bytes);
      this.#partsBytes += bytes.byteLength;
      this.#settleIfWhole();
    });
    this.#content.on('error', (cause) => this.end(endedError(cause)));
    this.#child.once('error', (cause) => this.end(endedError(cause)));
    this.#child.once('exit', () => this.end(endedError()));
  }

  /** False after `end`, or after a request without an answer. */
  get isUsable(): boolean {
    return this.#ended === undefined;
  }

  /** True while a request has no answer yet. */
  get isBusy(): boolean {
    return this.#settle !== undefined;
  }

  /**
   * Asks, and waits for at most `timeoutMs`; then the process is ended.
   * @throws SOURCE_FAILED with details.reason `silent` if there was no answer, or what the call threw
   */
  async ask<C extends FarCall>(
    call: C,
    request: FarRequest<C>,
    timeoutMs: number,
  ): Promise<FarAnswer<C>> {
    if (this.#ended) throw this.#ended;
    assert(!this.isBusy, 'a process is asked one thing at a time');
    const timer = new AbortController();
    // Its start is no answer of a file system.
    void this.#ready.then(() => this.#endAfter(timeoutMs, silentError(timeoutMs), timer.signal));
    this.#reply = undefined;
    this.#parts = [];
    this.#partsBytes = 0;
    try {
      const reply = await new Promise<FarReply | HoldfastError>((resolve) => {
        this.#settle = resolve;
        this.#child.send({ call, request }, (cause) => {
          if (cause) this.end(endedError(cause));
        });
      });
      if (reply instanceof HoldfastError) throw reply;
      if ('error' in reply) throw deserializeError(reply.error);
      // A call is answered with its own answer.
      return reply.value as FarAnswer<C>;
    } finally {
      this.#settle = undefined;
      timer.abort();
    }
  }

  #hear(reply: FarReply): void {
    this.#reply = reply;
    this.#settleIfWhole();
  }

  #endAfter(ms: number, reason: HoldfastError, signal: AbortSignal): void {
    const end = async (): Promise<void> => {
      // After this process was stopped for a while an answer may wait to be heard.
      for (let turn = 0; turn < 3; turn++) await this.#clock.nextTurn();
      if (!signal.aborted) this.end(reason);
    };
    this.#clock.sleep(ms, signal).then(end, () => {});
  }

  /** Settles the request under way once its answer and all that belongs to it have come. */
  #settleIfWhole(): void {
    const reply = this.#reply;
    if (!reply || !this.#settle) return;
    const contentBytes = 'value' in reply ? reply.contentBytes : undefined;
    if (contentBytes === undefined) return this.#settle(reply);
    if (this.#partsBytes < contentBytes) return;
    assert(this.#partsBytes === contentBytes, 'a process sends just what it says');
    // Only files have contents.
    const part = (reply as FarValue).value as FarPart;
    this.#settle({ value: { ...part, bytes: concatBytes(this.#parts) } });
  }

  /** Ends the process; a request under way is rejected with `reason`. Idempotent. */
  end(reason: HoldfastError): void {
    if (this.#ended) return;
    this.#ended = reason;
    // One that hangs ends when the kernel lets it.
    this.#child.kill('SIGKILL');
    if (this.#child.connected) this.#child.disconnect();
    this.#content.destroy();
    this.#settle?.(reason);
  }
}

/** What Node makes of a pipe: a socket. */
type PipeEnd = Readable & { unref(): unknown };

/** The error for what gave no answer. */
export function silentError(timeoutMs: number): HoldfastError {
  return new HoldfastError('SOURCE_FAILED', {
    message: `its file system gave no answer for ${timeoutMs / 1000} seconds`,
    details: { reason: 'silent' },
    hint: 'Repair or unmount that file system, or exclude it.',
  });
}

function endedError(cause?: unknown): HoldfastError {
  const message = 'the process that was reading it ended';
  return new HoldfastError('SOURCE_FAILED', { message, cause });
}
