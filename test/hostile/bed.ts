import { describeError, isHoldfastError } from '../../src/base/errors.ts';
import type { PhaseMonitor, Problem } from '../../src/base/monitor.ts';
import type { EngineContext } from '../../src/engine/context.ts';
import { MemoryBackend } from '../../src/storage/memory/memory-backend.ts';
import { password, singleThreaded } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import type { Scratch } from '../tools/scratch.ts';

/** True where the long forms run: `HOLDFAST_HOSTILE=all`. */
export const isLong: boolean = process.env['HOLDFAST_HOSTILE'] === 'all';

/** A memory that counts what is read of it: work is held against counts, never against a clock. */
export class CountingBackend extends MemoryBackend {
  readCount = 0;
  readBytes = 0;

  override async get(...args: Parameters<MemoryBackend['get']>): Promise<Uint8Array<ArrayBuffer>> {
    this.readCount++;
    const bytes = await super.get(...args);
    this.readBytes += bytes.length;
    return bytes;
  }
}

/** A context that remembers problems as `item: message`. */
export function hearingContext(): EngineContext<PhaseMonitor> & { readonly problems: string[] } {
  const problems: string[] = [];
  const monitor = {
    problem: ({ item, error }: Problem): void => {
      problems.push(`${item}: ${describeError(error)}`);
    },
    note: (): void => {},
    progress: (): void => {},
    phase: (): void => {},
  };
  return { environment: singleThreaded, monitor, problems };
}

/** The code of the error that an action ends with. */
export async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'none';
  } catch (error) {
    if (isHoldfastError(error)) return error.code;
    throw error;
  }
}

/** Runs the program on a repository, in this process. It must not fail inside, whatever it is given. */
export async function holdfast(
  repository: string,
  args: readonly string[],
  scratch: Scratch,
): Promise<CommandRun> {
  const run = await runCommand(['--no-cache', ...args], {
    environment: singleThreaded,
    variables: { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password, HOME: scratch.path },
  });
  if (/internal check failed|^\s+at .*:\d+:\d+\)?$/m.test(run.errors)) {
    throw new Error(`holdfast ${args.join(' ')}: ${run.errors}`);
  }
  return run;
}
