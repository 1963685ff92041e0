import { PassThrough } from 'node:stream';
import { systemEnvironment } from '../../src/base/environment.ts';
import type { Environment } from '../../src/base/environment.ts';
import { Output, type Sink } from '../../src/cli/output.ts';
import { runProgram } from '../../src/cli/program.ts';
import { Variables } from '../../src/cli/variables.ts';

/** What a command said and how it ended. */
export interface CommandRun {
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

export interface CommandSettings {
  readonly variables: Readonly<Record<string, string>>;
  readonly environment?: Environment;
  /** Bytes of output after which the rest is dropped, and only counted; default 1 MiB. */
  readonly outputSizeBytesMax?: number;
  readonly signal?: AbortSignal;
}

/** A sink that keeps the beginning. */
class KeptText {
  readonly #sizeBytesMax: number;
  readonly #parts: Uint8Array[] = [];
  sizeBytes = 0;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  sink(): Sink {
    const write = (text: string | Uint8Array): void => {
      const bytes = Buffer.from(text);
      if (this.sizeBytes < this.#sizeBytesMax) this.#parts.push(bytes);
      this.sizeBytes += bytes.length;
    };
    const writeAll = async (bytes: Uint8Array): Promise<void> => write(bytes);
    return { isTerminal: false, columns: 80, write, writeAll };
  }

  text(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }
}

/** Runs a command of the program in this process: hundreds of times faster than starting it. */
export async function runCommand(
  args: readonly string[],
  settings: CommandSettings,
): Promise<CommandRun> {
  const sizeBytesMax = settings.outputSizeBytesMax ?? 1 << 20;
  const stdout = new KeptText(sizeBytesMax);
  const stderr = new KeptText(sizeBytesMax);
  const empty = new PassThrough();
  empty.end();
  const exitCode = await runProgram({
    args,
    variables: new Variables(settings.variables),
    environment: settings.environment ?? systemEnvironment,
    output: new Output({ stdout: stdout.sink(), stderr: stderr.sink() }),
    input: {
      isTerminal: false,
      readLine: async () => undefined,
      readHidden: async () => undefined,
      readable: () => empty,
    },
    signal: settings.signal ?? new AbortController().signal,
  });
  return { exitCode, output: stdout.text(), errors: stderr.text() };
}
