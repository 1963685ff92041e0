import { beforeAll, describe, expect, test } from 'vitest';

import { addKey, changePassword, removeKey } from '../../src/repository/keys.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { fault, type FaultRule, type FaultyBackend } from '../../src/storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { retry } from '../../src/storage/retry.ts';
import { testEnvironment } from '../../src/storage/test-support.ts';
import { checkAll, initRepository, password, withRepository } from '../tools/engine.ts';
import type { Content } from '../tools/manifest.ts';
import { findPeer, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { FaultBed, opensWith } from './fault-bed.ts';
import { copyOf, expectReadable, isTransient, nameOf, rulesFor } from './fault-rules.ts';

requirePeer('restic');

const bed = new FaultBed(scratchFolder('faults'));
const newPassword = 'y';
/** Every fault is tried, not a sample: `HOLDFAST_FAULTS=all`. */
const triesAll = process.env['HOLDFAST_FAULTS'] === 'all';
/** Rules of each sample, and how many of those that nothing complained about are shown to restic. */
const [ruleCount, resticCount] = triesAll ? [Number.POSITIVE_INFINITY, 40] : [6, 1];
const timeout = triesAll ? 24 * 3_600_000 : 300_000;

beforeAll(() => bed.prepare());

/** How some work ended: what it gave, or nothing after an error that a person can read. */
interface Outcome<T> {
  readonly result: T | undefined;
  readonly files: MemoryFiles;
  /** The storage changed bytes on their way in, and nothing but reading them can tell. */
  readonly isSpoilt: boolean;
}

/** Some work on a storage, and what must be true afterwards. */
interface Work<T> {
  readonly title: string;
  readonly files: () => MemoryFiles;
  readonly run: (backend: Backend) => Promise<T>;
  readonly judge: (outcome: Outcome<T>) => Promise<void>;
}

function sampleOf(title: string, rules: readonly FaultRule[]): FaultRule[] {
  if (rules.length <= ruleCount) return [...rules];
  const chosen = new Set<FaultRule>();
  for (const seed of seedsOf(title)) {
    for (const number of new Uint32Array(pseudoRandom(2 * ruleCount, seed).buffer)) {
      const rule = rules[number % rules.length];
      if (rule) chosen.add(rule);
    }
  }
  return [...chosen];
}

/** Does the work on a storage that goes wrong by each rule, and judges what is there then. */
async function tryAll<T>(
  work: Work<T>,
  rules: readonly FaultRule[],
  around: (faulty: FaultyBackend) => Backend = (faulty) => faulty,
): Promise<void> {
  const failures: string[] = [];
  let faultCount = 0;
  const sample = sampleOf(work.title, rules);
  for (const rule of sample) {
    const files = copyOf(work.files());
    const faulty = fault(new MemoryBackend(files), [rule]);
    const isSpoilt = rule.operation === 'put' && rule.fault.kind === 'flip';
    try {
      const result = await attempt(() => work.run(around(faulty)));
      await work.judge({ result, files, isSpoilt });
    } catch (error) {
      failures.push(`${nameOf(rule)}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    faultCount += Math.min(1, faulty.faultCount);
  }
  const { title } = work;
  const totals = { runs: sample.length, faults: faultCount, failures: failures.length };
  console.log(JSON.stringify({ suite: 'faults', operation: title, ...totals }));
  expect(failures).toEqual([]);
  expect(faultCount).toBeGreaterThan(0);
}

async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    expectReadable(error);
    return undefined;
  }
}

function expectWhole(content: Content, expected: Content): void {
  expect([...content.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
  expectRight(content, expected);
}

/** Files may be missing; none is wrong. */
function expectRight(content: Content, expected: Content): void {
  for (const [path, bytes] of content) {
    expect(expected.get(path)?.equals(bytes), `${path} is right`).toBe(true);
  }
}

/** A backup into a repository that has `count` snapshots. */
function backupWork(title: string, files: () => MemoryFiles, count: number): Work<boolean> {
  let resticLeft = resticCount;
  return {
    title,
    files,
    run: async (backend) => (await bed.backUp(backend)).problems.length === 0,
    judge: async ({ result: isGood, files: left, isSpoilt }) => {
      const { count: found, content, complaints } = await bed.restored(new MemoryBackend(left));
      if (isSpoilt) {
        // No wrong byte is restored, and check finds the damage.
        expectRight(content, found === count + 1 ? bed.after : bed.before);
        expect(await bed.damageIn(left)).not.toEqual([]);
        return;
      }
      const expected = found === count + 1 ? bed.after : found === 0 ? new Map() : bed.before;
      expectWhole(content, expected);
      if (!isGood) return;
      // Never green over a loss.
      expect({ found, complaints }).toEqual({ found: count + 1, complaints: [] });
      expect(await bed.damageIn(left)).toEqual([]);
      if (resticLeft-- <= 0 || !findPeer('restic')) return;
      expectWhole(await bed.askRestic(left), expected);
    },
  };
}

const initWork: Work<boolean> = {
  title: 'init',
  files: () => new Map(),
  run: async (backend) => {
    await initRepository(backend);
    return true;
  },
  judge: async ({ result: isGood, files }) => {
    const backend = new MemoryBackend(files);
    if (!isGood) {
      // Another try works, or says what is in its way.
      const again = await attempt(() => initRepository(backend).then(() => true));
      if (!again) return;
    }
    expect(await opensWith(backend, password)).toBe(true);
    expect(await bed.damageIn(files)).toEqual([]);
  },
};

/** A change of keys, after which exactly these passwords open the repository. */
function keyWork(
  title: string,
  change: (repository: Repository) => Promise<unknown>,
  atEnd: { readonly files: () => MemoryFiles; readonly old: boolean; readonly new: boolean },
): Work<boolean> {
  return {
    title,
    files: atEnd.files,
    run: (backend) =>
      withRepository(backend, {}, async (repository) => {
        await change(repository);
        return true;
      }),
    judge: async ({ result: isGood, files }) => {
      const backend = new MemoryBackend(files);
      const isOld = await opensWith(backend, password);
      const isNew = await opensWith(backend, newPassword);
      expect(isOld || isNew, 'a password opens').toBe(true);
      if (isGood) expect({ old: isOld, new: isNew }).toEqual({ old: atEnd.old, new: atEnd.new });
    },
  };
}

const cheap = { hostname: 'host', username: 'user', scrypt: { N: 1024, r: 8, p: 1 } };
const newKey = { ...cheap, password: Buffer.from(newPassword) };
const withTwoKeys: MemoryFiles = new Map();

beforeAll(async () => {
  for (const [key, bytes] of bed.pristine) withTwoKeys.set(key, bytes);
  await withRepository(new MemoryBackend(withTwoKeys), {}, (opened) => addKey(opened, newKey));
});

async function removeOther(repository: Repository): Promise<void> {
  for await (const { name } of repository.backend.list('key')) {
    if (name !== repository.keyId) return removeKey(repository, name);
  }
  throw new Error('there is no other key');
}

const keyWorks = [
  keyWork('key add', (repository) => addKey(repository, newKey), {
    files: () => bed.pristine,
    old: true,
    new: true,
  }),
  keyWork('key passwd', (repository) => changePassword(repository, newKey), {
    files: () => bed.pristine,
    old: false,
    new: true,
  }),
];
const removeKeyWork = keyWork('key remove', removeOther, {
  files: () => withTwoKeys,
  old: true,
  new: false,
});

const writingWorks: readonly Work<boolean>[] = [
  backupWork('first backup', () => bed.empty, 0),
  backupWork('backup', () => bed.pristine, 1),
  initWork,
  ...keyWorks,
];

const restoreWork: Work<{ readonly content: Content; readonly complaints: readonly string[] }> = {
  title: 'restore',
  files: () => bed.pristine,
  run: async (backend) => {
    const { count, content, complaints } = await bed.restored(backend);
    return { content, complaints: count === 0 ? ['there is no snapshot'] : complaints };
  },
  judge: async ({ result }) => {
    if (!result) return;
    // What is there is right, and what is not there was complained about.
    expectRight(result.content, bed.before);
    if (result.complaints.length === 0) expectWhole(result.content, bed.before);
  },
};

describe('a storage call that goes wrong', () => {
  test.each(writingWorks)(
    'once, during $title, leaves nothing that does not restore, and no green lie',
    async (work) => tryAll(work, (await rulesFor(work.files(), work.run)).once),
    timeout,
  );

  test.each(writingWorks)(
    'from then on, during $title, leaves nothing that does not restore, and no green lie',
    async (work) => tryAll(work, (await rulesFor(work.files(), work.run)).always),
    timeout,
  );

  test('during key remove leaves a password that opens', async () => {
    const { once, always } = await rulesFor(removeKeyWork.files(), removeKeyWork.run);
    // A list that hides the other key leaves nothing to do for the test itself.
    const rules = [...once, ...always].filter(({ fault: { kind } }) => kind !== 'hidden');
    await tryAll(removeKeyWork, rules);
  });

  test('during restore gives no wrong byte, and names what is missing', async () => {
    const { once, always } = await rulesFor(restoreWork.files(), restoreWork.run);
    await tryAll(restoreWork, [...once, ...always]);
  });

  test.each([...writingWorks, restoreWork] as readonly Work<unknown>[])(
    'once during $title, and says that another try may help, is tried again',
    async (work) => {
      const environment = testEnvironment();
      const judge = async (outcome: Outcome<unknown>): Promise<void> => {
        expect(outcome.result, 'it worked in the end').toBeTruthy();
        await work.judge(outcome);
      };
      const { once } = await rulesFor(work.files(), work.run);
      await tryAll({ ...work, judge }, once.filter(isTransient), (faulty) =>
        retry(faulty, { environment }),
      );
    },
    timeout,
  );

  test('for ever ends with an error, once it has been tried for long', async () => {
    const environment = testEnvironment();
    const rule: FaultRule = {
      operation: 'put',
      type: 'pack',
      count: Number.POSITIVE_INFINITY,
      fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' },
    };
    const faulty = fault(new MemoryBackend(copyOf(bed.pristine)), [rule]);
    const running = bed.backUp(retry(faulty, { environment }));
    await expect(running).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    const waitedMs = environment.clock.sleptMs.reduce((sum, ms) => sum + ms, 0);
    expect(waitedMs).toBeGreaterThan(10 * 60_000);
  });
});

describe('a check of a storage that goes wrong for ever', () => {
  const always = { call: 1, count: Number.POSITIVE_INFINITY } as const;

  test.each<FaultRule>([
    { ...always, operation: 'get', type: 'snapshot', fault: { kind: 'flip', byte: 40 } },
    { ...always, operation: 'get', type: 'index', fault: { kind: 'flip', byte: 40 } },
    { ...always, operation: 'get', type: 'index', fault: { kind: 'short', sizeBytes: 30 } },
    { ...always, operation: 'get', type: 'pack', fault: { kind: 'flip', byte: 40 } },
    { ...always, operation: 'get', type: 'pack', fault: { kind: 'flip', byte: -20 } },
    { ...always, operation: 'get', type: 'pack', fault: { kind: 'short', sizeBytes: 30 } },
    { ...always, operation: 'get', fault: { kind: 'error', code: 'BACKEND_READ_FAILED' } },
    { ...always, type: 'pack', fault: { kind: 'resized', byBytes: 7 } },
    { ...always, operation: 'list', type: 'index', fault: { kind: 'hidden', name: () => true } },
    { ...always, operation: 'list', fault: { kind: 'error', code: 'BACKEND_READ_FAILED' } },
  ])('finds it: %o', async (rule) => {
    const faulty = fault(new MemoryBackend(copyOf(bed.pristine)), [rule]);
    const found = await attempt(() => checkAll(faulty));
    if (found) expect(found.errorCount).toBeGreaterThan(0);
    expect(faulty.faultCount).toBeGreaterThan(0);
  });

  test.each<FaultRule>([
    { ...always, operation: 'list', fault: { kind: 'repeated' } },
    // What the list leaves out, or has in another size, is there and right when it is asked for.
    { ...always, operation: 'list', type: 'pack', fault: { kind: 'resized', byBytes: 7 } },
    { ...always, operation: 'list', type: 'pack', fault: { kind: 'hidden', name: () => true } },
  ])('finds nothing where nothing is lost: %o', async (rule) => {
    const result = await checkAll(fault(new MemoryBackend(copyOf(bed.pristine)), [rule]));
    expect(result.errors).toEqual([]);
  });
});
