import { harmlessJson, harmlessText } from '../base/harmless-text.ts';
import { type HoldfastError, describeError, isHoldfastError } from '../base/errors.ts';
import { type JsonOutput, goJson } from './go-json.ts';

/** Where text goes: standard output or standard error. */
export interface Sink {
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 if there is none. */
  readonly columns: number;
  write(text: string | Uint8Array): void;
  /** Writes and waits until it was taken. */
  writeAll(bytes: Uint8Array): Promise<void>;
}

/** Lines at the bottom of a terminal that are redrawn while work goes on. */
export interface StatusArea {
  /** What removes the drawn lines from the terminal. */
  clear(): string;
  /** What draws them again. */
  draw(): string;
}

/** Where a command's text goes: results to `stdout`, problems to `stderr`. */
export interface OutputOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
}

const cancelledExitCode = 130;

/** Bytes that are collected before a bulk writer hands them on. */
const bulkSizeBytes = 64 * 1024;

/** All that a command says. Text goes to standard output, problems to standard error; a status area stays below. */
export class Output {
  readonly stdout: Sink;
  readonly stderr: Sink;
  isJson = false;
  /** 0 quiet, 1 as usual, 2 and 3 with -v and -vv. */
  verbosity = 1;
  /** Nobody reads standard output any more, so there is nobody to tell how it ended either. */
  isClosed = false;
  #status: StatusArea | undefined;
  /** Prints how far the work is; there while some of it runs. */
  #tellProgress: (() => void) | undefined;

  constructor(options: OutputOptions) {
    this.stdout = options.stdout;
    this.stderr = options.stderr;
  }

  /** A line of the result, in text mode and JSON mode. */
  line(text: string | Uint8Array): void {
    this.#write(this.stdout, text);
  }

  /** A line for people: not with --quiet or --json. */
  info(text: string): void {
    if (this.verbosity >= 1 && !this.isJson) this.line(text);
  }

  /** A line that -v brings. */
  verbose(text: string): void {
    if (this.verbosity >= 2 && !this.isJson) this.line(text);
  }

  /** One JSON document on a line of its own. */
  json(value: JsonOutput): void {
    this.#document(this.stdout, value);
  }

  /** A line on standard error. */
  errorLine(text: string | Uint8Array): void {
    this.#write(this.stderr, text);
  }

  /** A JSON document on standard error. */
  jsonError(value: JsonOutput): void {
    this.#document(this.stderr, value);
  }

  /** The last words of a command that did not succeed whole: a line, or `exit_error` with --json. */
  exitError(code: number, message: string, hint?: string): void {
    if (this.isJson) this.jsonError({ message_type: 'exit_error', code, message });
    else {
      this.errorLine(message);
      if (hint) this.errorLine(hint);
    }
  }

  /** Reports the error that ended the command. @returns the exit code */
  fatal(error: unknown): number {
    const { message, hint, exitCode } = explain(error);
    if (this.isClosed && exitCode === cancelledExitCode) return exitCode;
    this.exitError(exitCode, `Fatal: ${message}`, hint);
    return exitCode;
  }

  /** For many lines: collects them into large writes. Call `end` before anything else is printed. */
  bulk(): BulkWriter {
    return new BulkWriter((bytes) => this.#writeRaw(this.stdout, bytes), this.stdout.isTerminal);
  }

  /** Shows a status area until the function returned is called. */
  attach(status: StatusArea): () => void {
    this.#status = status;
    return () => {
      this.stdout.write(status.clear());
      if (this.#status === status) this.#status = undefined;
    };
  }

  /** Has `tell` print how far the work is whenever somebody asks, until the function returned is called. */
  answerWith(tell: () => void): () => void {
    this.#tellProgress = tell;
    return () => {
      if (this.#tellProgress === tell) this.#tellProgress = undefined;
    };
  }

  /** Somebody asks how far the work is. */
  askProgress(): void {
    this.#tellProgress?.();
  }

  /** Draws the status area again. */
  refresh(): void {
    if (this.#status) this.stdout.write(this.#status.clear() + this.#status.draw());
  }

  #document(sink: Sink, value: JsonOutput): void {
    const json = goJson(value);
    this.#writeRaw(sink, `${sink.isTerminal ? harmlessJson(json) : json}\n`);
  }

  /** Where people read, which standard error always is, names from outside must not drive the terminal. */
  #write(sink: Sink, text: string | Uint8Array): void {
    const isForPeople = sink === this.stderr || sink.isTerminal;
    if (typeof text === 'string') {
      this.#writeRaw(sink, `${isForPeople ? harmlessText(text) : text}\n`);
    } else this.#writeRaw(sink, Buffer.concat([text, Buffer.from('\n')]));
  }

  #writeRaw(sink: Sink, text: string | Uint8Array): void {
    const status = this.#status;
    if (status) this.stdout.write(status.clear());
    sink.write(text);
    if (status) this.stdout.write(status.draw());
  }
}

/** Collects lines and hands them on in large pieces. */
export class BulkWriter {
  readonly #emit: (bytes: Uint8Array) => void;
  readonly #isTerminal: boolean;
  #parts: Uint8Array[] = [];
  #sizeBytes = 0;

  constructor(emit: (bytes: Uint8Array) => void, isTerminal: boolean) {
    this.#emit = emit;
    this.#isTerminal = isTerminal;
  }

  /** Adds bytes as they are, and text that is made harmless for a terminal. They must not change afterwards. */
  write(part: string | Uint8Array): void {
    const text = typeof part === 'string' && this.#isTerminal ? harmlessText(part) : part;
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.#parts.push(bytes);
    this.#sizeBytes += bytes.byteLength;
    if (this.#sizeBytes >= bulkSizeBytes) this.end();
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Hands on what is left. */
  end(): void {
    if (this.#sizeBytes > 0) this.#emit(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#sizeBytes = 0;
  }
}

interface Explanation {
  readonly message: string;
  readonly hint: string | undefined;
  readonly exitCode: number;
}

/** What to tell about an error: one line, what to do, and the exit code. Never a stack trace. */
function explain(error: unknown): Explanation {
  if (isHoldfastError(error)) {
    const { hint, row } = error satisfies HoldfastError;
    return { message: describeError(error), hint, exitCode: row.exitCode };
  }
  const hint = 'This is a defect in Holdfast: please report it.';
  return { message: `unexpected error: ${describeError(error)}`, hint, exitCode: 1 };
}
