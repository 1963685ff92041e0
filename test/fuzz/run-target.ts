import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { AllocationMeter } from './allocation-meter.ts';
import { failureText } from './expect.ts';
import { FuzzRandom } from './random.ts';
import { shrink } from './shrink.ts';
import type { FuzzTarget } from './target.ts';
import { Watchdog } from './watchdog.ts';

const casesFolder = path.join(import.meta.dirname, 'cases');

const meter = new AllocationMeter();
meter.install();

/** How long to feed a target: until either limit is reached. */
export interface FuzzLimits {
  readonly seed: number;
  readonly runs?: number;
  readonly seconds?: number;
}

export interface FuzzFailure {
  /** What went wrong, how to repeat it, and the smallest input that was found. */
  readonly text: string;
  readonly input: Uint8Array;
}

export interface FuzzResult {
  readonly runs: number;
  readonly failure?: FuzzFailure;
}

/** Inputs that once failed; every run feeds them again. */
export function keptCases(
  target: FuzzTarget,
): { readonly name: string; readonly input: Uint8Array }[] {
  const folder = path.join(casesFolder, target.name);
  let names: string[];
  try {
    names = readdirSync(folder).toSorted();
  } catch {
    return [];
  }
  return names.map((name) => ({ name, input: readFileSync(path.join(folder, name)) }));
}

/** Keeps an input as a case; returns its path. */
export function keepCase(target: FuzzTarget, input: Uint8Array): string {
  const folder = path.join(casesFolder, target.name);
  mkdirSync(folder, { recursive: true });
  const name = `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`;
  writeFileSync(path.join(folder, name), input);
  return path.join('test/fuzz/cases', target.name, name);
}

/** Feeds one input: the target's own judgement, and what it allocated. */
export async function feed(target: FuzzTarget, input: Uint8Array): Promise<void> {
  meter.reset();
  const running = target.run(input);
  if (running) await running;
  const { allocatedBytes } = meter;
  const allowed = target.allocatedBytesMax?.(input.length) ?? (1 << 20) + 64 * input.length;
  if (allocatedBytes > allowed) {
    throw new Error(`${allocatedBytes} bytes were allocated for ${input.length}, not ${allowed}`);
  }
}

/** Feeds a target its seeds as they are, and then what mutation makes of them, until it fails or a limit is reached. */
export async function fuzz(target: FuzzTarget, limits: FuzzLimits): Promise<FuzzResult> {
  const seeds = await target.seeds();
  for (const seed of seeds) await feed(target, seed);
  const watchdog = new Watchdog();
  const endMs = performance.now() + (limits.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const runsMax = limits.runs ?? Number.POSITIVE_INFINITY;
  let runs = 0;
  try {
    for (; runs < runsMax && performance.now() < endMs; runs++) {
      watchdog.beat(limits.seed, runs);
      const input = inputOf(target, seeds, { seed: limits.seed, run: runs });
      try {
        await feed(target, input);
      } catch (error) {
        return {
          runs: runs + 1,
          failure: await failureOf(target, { ...limits, run: runs }, { input, error }),
        };
      }
    }
    return { runs };
  } finally {
    watchdog.stop();
    await target.close?.();
  }
}

/** The input of one run: it follows from the seed and the number of the run alone. */
function inputOf(
  target: FuzzTarget,
  seeds: readonly Uint8Array[],
  which: { readonly seed: number; readonly run: number },
): Uint8Array {
  const random = new FuzzRandom(Math.imul(which.seed, 0x9e3779b1) ^ which.run);
  return target.mutate(random.pick(seeds), random);
}

async function failureOf(
  target: FuzzTarget,
  where: { readonly seed: number; readonly run: number },
  found: { readonly input: Uint8Array; readonly error: unknown },
): Promise<FuzzFailure> {
  const smallest = await shrink(found.input, async (input) => {
    try {
      await feed(target, input);
      return false;
    } catch (error) {
      return kindOf(error) === kindOf(found.error);
    }
  });
  const kept = keepCase(target, smallest);
  const text = [
    `${target.name}: seed ${where.seed}, run ${where.run}; kept as ${kept}`,
    `as text: ${JSON.stringify(Buffer.from(smallest.subarray(0, 500)).toString('latin1'))}`,
    `as base64: ${Buffer.from(smallest).toString('base64').slice(0, 4000)}`,
    failureText(found.error),
  ].join('\n');
  return { text, input: smallest };
}

/** Enough of an error to know it again. */
function kindOf(error: unknown): string {
  return error instanceof Error ? `${error.name} ${error.message.slice(0, 24)}` : String(error);
}
