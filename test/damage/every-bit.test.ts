import { afterAll, beforeAll, expect, test } from 'vitest';

import { isHoldfastError } from '../../src/base/errors.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { EveryBitBed, type Flip, type Judgement } from './every-bit-bed.ts';
import { longTimeoutMs, shareOf } from './slice.ts';

const bed = new EveryBitBed(scratchFolder('every-bit'));
/** Flips of each kind of file, and states with one in each pack, unless all are asked for. */
const sampleCount = 24;
const togetherCount = 6;
/** Of packs of data, every bit of one byte in so many is flipped alone, too. */
const aloneShare = 128;

const usualStackTraceLimit = Error.stackTraceLimit;

beforeAll(async () => {
  // Every flip ends in errors, whose stacks nobody sees: a third of the time.
  Error.stackTraceLimit = 0;
  await bed.prepare();
});

afterAll(() => {
  Error.stackTraceLimit = usualStackTraceLimit;
});

/** What opening reads is opened each time. */
const typesRead: readonly string[] = ['config', 'key'];

/** Numbers below `count`: the share that is asked for of those `isWanted`, or a sample of all. */
function chosenOf(
  title: string,
  { count, samples }: { readonly count: number; readonly samples: number },
  isWanted: (number: number) => boolean = () => true,
): readonly number[] {
  const share = shareOf(Array.from({ length: count }, (_, number) => number).filter(isWanted));
  if (share) return share;
  return seedsOf(title).flatMap((seed) =>
    Array.from(new Uint32Array(pseudoRandom(2 * samples, seed).buffer), (number) => number % count),
  );
}

/** A bit by its number among those of some files. */
function flipOf(keys: readonly string[], number: number): Flip {
  let byte = number >>> 3;
  for (const key of keys) {
    const sizeBytes = bed.sizeOf(key);
    if (byte < sizeBytes) return { key, byte, bit: number & 7 };
    byte -= sizeBytes;
  }
  throw new Error(`there is no bit ${number}`);
}

/** What came of some flips. */
class Sums {
  runs = 0;
  /** A check found it. */
  found = 0;
  /** Everything came back all the same. */
  harmless = 0;
  readonly failures: string[] = [];

  /** Flips a bit, judges, and flips it back. */
  async take(flip: Flip, opened?: Repository): Promise<void> {
    const judge = async (repository: Repository): Promise<void> => {
      this.#count(flip, await bed.judge(repository));
    };
    try {
      await bed.flipped([flip], () => (opened ? judge(opened) : bed.opened(judge)));
    } catch (error) {
      // A repository that does not open gives nothing back, and says so.
      const isTold = !opened && isHoldfastError(error);
      if (isTold) this.#count(flip, { isFound: true, isRestored: false });
      else this.#fail([flip], String(error));
    }
  }

  /** The same with a bit of each of several packs. */
  async takeTogether(flips: readonly Flip[], opened: Repository): Promise<void> {
    const keys = flips.map(({ key }) => key);
    try {
      const judgements = await bed.flipped(flips, () => bed.judgeTogether(opened, keys));
      for (const flip of flips) this.#count(flip, judgements.get(flip.key));
    } catch (error) {
      this.#fail(flips, String(error));
    }
  }

  #count(flip: Flip, judgement: Judgement | undefined): void {
    const { isFound, isRestored } = judgement ?? { isFound: false, isRestored: false };
    if (!isFound && !isRestored) return this.#fail([flip], 'neither found nor harmless');
    this.runs++;
    if (isFound) this.found++;
    if (isRestored) this.harmless++;
  }

  #fail(flips: readonly Flip[], text: string): void {
    const [flip] = flips;
    this.runs += flips.length;
    this.failures.push(`${flip?.key}, byte ${flip?.byte}, bit ${flip?.bit}: ${text}`);
  }

  /** Prints totals as one line of JSON. Throws if anything failed. */
  tell(operation: string): void {
    const { runs, found, harmless, failures } = this;
    const totals = { operation, runs, found, harmless, failures: failures.length };
    console.log(JSON.stringify({ suite: 'damage-bits', ...totals }));
    expect(failures).toEqual([]);
    expect(runs).toBeGreaterThan(0);
  }
}

test.each(['config', 'key', 'snapshot', 'index', 'pack'])(
  'any bit of a %s that is flipped is found by check --read-data, and no wrong byte is restored',
  async (type) => {
    const sums = new Sums();
    const keys = bed.keysOf(type);
    const count = 8 * keys.reduce((sum, key) => sum + bed.sizeOf(key), 0);
    const { dataPacks } = bed;
    const isAlone = (number: number): boolean => {
      const { key, byte } = flipOf(keys, number);
      return byte % aloneShare === 0 || !dataPacks.includes(key);
    };
    const chosen = chosenOf(`bits of ${type}`, { count, samples: sampleCount }, isAlone);
    const tryAll = async (opened?: Repository): Promise<void> => {
      for (const number of chosen) await sums.take(flipOf(keys, number), opened);
    };
    if (typesRead.includes(type)) await tryAll();
    else await bed.opened(tryAll);
    sums.tell(type);
  },
  longTimeoutMs,
);

test(
  'any bit of all packs of data that is flipped at the same place in each is found in each',
  async () => {
    const sums = new Sums();
    const { dataPacks } = bed;
    expect(dataPacks.length).toBeGreaterThan(10);
    const count = 8 * Math.max(...dataPacks.map((key) => bed.sizeOf(key)));
    const chosen = chosenOf('bits of packs', { count, samples: togetherCount });
    await bed.opened(async (opened) => {
      for (const number of chosen) {
        const [byte, bit] = [number >>> 3, number & 7];
        const hit = dataPacks.filter((key) => byte < bed.sizeOf(key));
        const flips = hit.map((key) => ({ key, byte, bit }));
        await sums.takeTogether(flips, opened);
      }
    });
    sums.tell('packs together');
  },
  longTimeoutMs,
);
