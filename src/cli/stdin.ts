import type { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { untilAborted } from '../base/abort.ts';
import { concatBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Input } from './command.ts';

/** Longest line that is read: a password or a path. */
const lineSizeBytesMax = 1024 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Standard input of the process, read as lines first and as a stream afterwards. Nothing is read before it is asked for. */
export class StandardInput implements Input {
  readonly #stdin: ReadStream;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stdin: ReadStream) {
    this.#stdin = stdin;
  }

  get isTerminal(): boolean {
    return this.#stdin.isTTY;
  }

  async readLine(signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(newline);
      if (end >= 0) {
        const line = this.#rest.subarray(0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line;
      }
      if (this.#rest.byteLength > lineSizeBytesMax) {
        throw new HoldfastError('USAGE', { message: 'a line of the standard input is too long' });
      }
      const chunk = await this.#nextChunk(signal);
      if (!chunk) return this.#takeRest();
      this.#rest = concatBytes([this.#rest, chunk]);
    }
  }

  async readHidden(signal: AbortSignal, ask: () => void): Promise<Uint8Array | undefined> {
    const stdin = this.#stdin;
    stdin.setRawMode(true);
    try {
      // Only now: whoever answers the moment that the question appears must not see the answer.
      ask();
      const typed: number[] = [];
      for (;;) {
        const chunk = this.#takeRest() ?? (await this.#nextChunk(signal));
        if (!chunk) return undefined;
        for (const [i, byte] of chunk.entries()) {
          const action = edit(typed, byte);
          if (action === 'go-on') continue;
          this.#rest = chunk.subarray(i + 1);
          return action === 'end' ? undefined : Uint8Array.from(typed);
        }
      }
    } finally {
      stdin.setRawMode(false);
      stdin.pause();
    }
  }

  readable(): Readable {
    return this.#stdin;
  }

  #takeRest(): Uint8Array | undefined {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest.byteLength > 0 ? rest : undefined;
  }

  async #nextChunk(signal: AbortSignal): Promise<Uint8Array | undefined> {
    this.#chunks ??= this.#stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const result = await untilAborted(this.#chunks.next(), signal);
    return result.done ? undefined : result.value;
  }
}

/** Applies one typed byte to a hidden line. @throws CANCELLED on Ctrl-C, which a raw terminal passes through */
function edit(typed: number[], byte: number): 'go-on' | 'line' | 'end' {
  switch (byte) {
    case newline:
    case carriageReturn:
      return 'line';
    case 0x03:
      throw new HoldfastError('CANCELLED');
    case 0x04:
      return typed.length > 0 ? 'line' : 'end';
    case 0x15:
      typed.length = 0;
      return 'go-on';
    case 0x08:
    case 0x7f:
      // A whole UTF-8 character: its continuation bytes and its first byte.
      while (((typed.at(-1) ?? 0) & 0xc0) === 0x80) typed.pop();
      typed.pop();
      return 'go-on';
    default:
      typed.push(byte);
      return 'go-on';
  }
}
