import type { Backend } from '../../src/storage/backend.ts';
import { limit } from '../../src/storage/limit.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { record } from '../../src/storage/record.ts';
import { repeat, retry } from '../../src/storage/retry.ts';
import type { Content } from '../tools/manifest.ts';
import type { Bed } from './bed.ts';
import { Chance } from './chance.ts';
import { Client } from './client.ts';
import type { Armed, Losses, StoreFault, UsualCall } from './fault-kit.ts';
import {
  type OperationName,
  type Outcome,
  runOperation,
  type Shape,
  type Work,
} from './operations.ts';
import { runProcess } from './process.ts';
import type { OpenHow, Place, Served, StoreKind } from './stores.ts';

/** One combination of the matrix, and what decides the rest of it. */
export interface Case {
  readonly fault: StoreFault;
  readonly operation: OperationName;
  readonly store: StoreKind;
  readonly isLasting: boolean;
  readonly seed: number;
}

/** What came of a case. */
export interface Verdict {
  readonly end: Outcome['end'];
  readonly strikes: number;
  readonly codes: readonly string[];
  /** What must not be. None: all is well. */
  readonly violations: readonly string[];
}

export function nameOf({ fault, operation, store, isLasting, seed }: Case): string {
  return `${fault.name} ${operation} ${store} ${isLasting ? 'lasting' : 'once'} ${seed}`;
}

/** After its first failure, a call is tried again for so long, as its client counts time: no wait is longer. */
const retryMsMax = 60_000;
const wordsMax = 600;

const noLosses: Losses = { snapshots: new Set(), mayUnlist: false };

/** Runs cases, one after the other. */
export class CaseRunner {
  readonly #bed: Bed;
  readonly #served: ReadonlyMap<StoreKind, Served>;
  readonly #usual = new Map<string, Promise<readonly UsualCall[]>>();
  /** Asks restic about every so many snapshots that were reported; 0: never. */
  readonly #resticEvery: number;
  #reportedCount = 0;

  constructor(
    bed: Bed,
    served: ReadonlyMap<StoreKind, Served>,
    { resticEvery }: { readonly resticEvery: number },
  ) {
    this.#bed = bed;
    this.#served = served;
    this.#resticEvery = resticEvery;
  }

  async run(one: Case): Promise<Verdict> {
    const served = this.#served.get(one.store);
    const arm = one.fault.stores[one.store];
    if (!served || !arm) throw new Error(`${nameOf(one)}: there is no such case`);
    const chance = new Chance(one.seed * 7919 + 17);
    const shape = { isSource: chance.below(2) === 0, isInstant: chance.below(2) === 0 };
    const place = served.place(one.fault.onDisk ? { onDisk: true } : {});
    const fills = one.operation === 'copy' && !shape.isSource ? this.#bed.empty : this.#bed.full;
    await place.fill(fills);
    const other: MemoryFiles = new Map(shape.isSource ? this.#bed.empty : this.#bed.full);
    const calls = await this.#usualCalls(one.operation, shape);
    const client = new Client();
    const arming = { served, place, client, chance, calls };
    const armed = await arm({ ...arming, operation: one.operation, isLasting: one.isLasting });
    const run = { ...one, shape, place, served, other };
    let outcome: Outcome;
    let strikes: number;
    try {
      outcome = await this.#operate(run, client, armed);
    } finally {
      client.exit();
      strikes = await armed.strikes();
      await armed.heal?.();
    }
    const judged = new Judge(this.#bed, run, {
      armed,
      outcome,
      strikes,
      notes: client.monitor.notes,
    });
    await judged.judge();
    await this.#again(run, judged);
    const { snapshots: taken } = armed.loses?.() ?? noLosses;
    const left = outcome.stored.filter((id) => !taken.has(id));
    if (outcome.end === 'ok' && left.length > 0) await this.#askRestic(judged, left);
    place.discard();
    const { violations } = judged;
    return { end: outcome.end, strikes, codes: outcome.codes, violations };
  }

  /** Does the operation in the way that the fault asks for. */
  async #operate(run: Run, client: Client, armed: Armed): Promise<Outcome> {
    const how: OpenHow = { way: 'straight', ...armed.how };
    const work = { ...this.#bed.work(client), ...run.shape, other: new MemoryBackend(run.other) };
    const { fault, operation, place, shape } = run;
    const outcome = fault.process
      ? await runProcess(fault.process, { operation, place, shape, work, other: run.other })
      : await throughStore(place, { how, client, around: armed.around }, (backend) =>
          runOperation(operation, { ...work, backend }),
        );
    if (operation !== 'restore') return outcome;
    const content = this.#bed.takeTarget(work.target);
    const expected = [...this.#bed.contents.values()].at(-1) ?? new Map();
    return { ...outcome, said: [...outcome.said], ...restoredWrong(content, expected, outcome) };
  }

  /** The next one works, and nobody had to do anything. */
  async #again(run: Run, judged: Judge): Promise<void> {
    const client = new Client();
    const { fault: _, ...same } = run;
    const again = { ...same, fault: { name: 'none', title: 'none', stores: {} } };
    const outcome = await this.#operate(again, client, { strikes: () => 0, hopes: 'recovers' });
    client.exit();
    await judged.judgeAgain(outcome);
  }

  async #askRestic(judged: Judge, stored: readonly string[]): Promise<void> {
    if (this.#resticEvery === 0 || this.#reportedCount++ % this.#resticEvery !== 0) return;
    await judged.askRestic(stored.at(-1) ?? '');
  }

  #usualCalls(operation: OperationName, shape: Shape): Promise<readonly UsualCall[]> {
    const key = JSON.stringify([operation, shape]);
    const known = this.#usual.get(key);
    if (known) return known;
    const found = this.#recordCalls(operation, shape);
    this.#usual.set(key, found);
    return found;
  }

  async #recordCalls(operation: OperationName, shape: Shape): Promise<readonly UsualCall[]> {
    const isTarget = operation === 'copy' && !shape.isSource;
    const { full, empty } = this.#bed;
    const recorder = record(new MemoryBackend(new Map(isTarget ? empty : full)));
    const other = new MemoryBackend(new Map(isTarget ? full : empty));
    const client = new Client();
    const work: Work = { ...this.#bed.work(client), ...shape, other, backend: recorder };
    const { end, said } = await runOperation(operation, work);
    client.exit();
    this.#bed.takeTarget(work.target);
    if (end !== 'ok') throw new Error(`${operation} does not even work: ${said.join('\n')}`);
    const counts = new Map<string, number>();
    return recorder.calls.map(({ operation: of, type }) => {
      const number = (counts.get(`${of} ${type}`) ?? 0) + 1;
      counts.set(`${of} ${type}`, number);
      return { operation: of, type, number };
    });
  }
}

interface Run extends Case {
  readonly shape: Shape;
  readonly place: Place;
  readonly served: Served;
  /** Of a copy: what is on the other side. */
  readonly other: MemoryFiles;
}

/** Files of a restore that are wrong, or missing without a word. */
function restoredWrong(
  content: Content,
  expected: Content,
  { end }: Outcome,
): Partial<Pick<Outcome, 'defect'>> {
  for (const [file, bytes] of content) {
    const isMark = !expected.has(file) && /holdfast/.test(file);
    if (!isMark && expected.get(file)?.equals(bytes) !== true && end === 'ok') {
      return { defect: new Error(`${file} is restored wrong`) };
    }
  }
  const missing = [...expected.keys()].find((file) => !content.has(file));
  if (missing === undefined || end !== 'ok') return {};
  return { defect: new Error(`${missing} is not restored, and nothing was said`) };
}

/** The store with what `storage/open.ts` puts around it, and the fault in between. */
async function throughStore(
  place: Place,
  {
    how,
    client,
    around = (store) => store,
  }: {
    readonly how: OpenHow;
    readonly client: Client;
    readonly around?: Armed['around'] | undefined;
  },
  work: (backend: Backend) => Promise<Outcome>,
): Promise<Outcome> {
  const { environment } = client;
  const retries = { environment, elapsedMsMax: retryMsMax };
  let store: Backend;
  try {
    store = await repeat('open', retries, () => place.open(how));
  } catch (error) {
    return runOperation('check', { client, backend: unopened(error) } as Work);
  }
  const limited = limit(around(store), { connectionCount: store.connectionCount });
  const backend = retry(limited, retries);
  try {
    return await work(backend);
  } finally {
    await backend.close();
  }
}

/** A storage that could not be opened: the first call says why. */
function unopened(error: unknown): Backend {
  const backend = new MemoryBackend();
  backend.get = () => Promise.reject(error);
  return backend;
}

/** How a run with a fault went. */
interface Happened {
  readonly armed: Armed;
  readonly outcome: Outcome;
  readonly strikes: number;
  readonly notes: readonly string[];
}

/** Finds what must not be. */
class Judge {
  readonly violations: string[] = [];
  readonly #bed: Bed;
  readonly #run: Run;
  readonly #happened: Happened;

  constructor(bed: Bed, run: Run, happened: Happened) {
    this.#bed = bed;
    this.#run = run;
    this.#happened = happened;
  }

  async judge(): Promise<void> {
    const { armed, outcome, strikes, notes } = this.#happened;
    this.#judgeWords(outcome);
    const hopes = strikes === 0 ? 'recovers' : armed.hopes;
    if (hopes === 'recovers' && outcome.end !== 'ok' && !this.#isExcused()) {
      this.#violate(`it does not recover: ${outcome.said.join(' | ')}`);
    }
    if (hopes === 'told' && outcome.end === 'ok') this.#violate('it says nothing of what is wrong');
    if (armed.codes && outcome.end === 'failed') {
      const other = outcome.codes.at(-1) ?? '';
      if (!armed.codes.includes(other)) this.#violate(`it says ${outcome.said.join(' | ')}`);
    }
    const { snapshots: taken, mayUnlist } = armed.loses?.() ?? noLosses;
    const stored = outcome.stored.filter((id) => !taken.has(id));
    // As a user does whom check tells that the index lists what is not there, or not all.
    const isToldOfIndex = notes.some((note) => note.includes('the index lists them still'));
    if (mayUnlist || isToldOfIndex) await this.#bed.repairIndex(this.#run.place);
    await this.#judgeStored({ ...outcome, stored });
  }

  /** It ended in a way that is no fault of it. */
  #isExcused(): boolean {
    const { armed, outcome, strikes } = this.#happened;
    if (outcome.codes.at(-1) !== 'BACKEND_UNAVAILABLE') return false;
    // With little patience a busy machine alone may be taken for a server that hangs. The next one has more, and must work.
    return strikes === 0 && armed.how?.stuckRequestMs !== undefined;
  }

  async judgeAgain(outcome: Outcome): Promise<void> {
    this.#judgeWords(outcome);
    if (outcome.end !== 'ok') this.#violate(`the next one: ${outcome.said.join(' | ')}`);
    await this.#judgeStored(outcome);
  }

  async askRestic(id: string): Promise<void> {
    const content = await this.#bed.askRestic(await this.#filesWith(id), id);
    if (!this.#mayBe(id, content)) this.#violate(`restic restores other bytes of ${id}`);
  }

  /** What was there is there, and what was reported stored can be restored. */
  async #judgeStored({ stored }: Outcome): Promise<void> {
    const { place, operation, shape, other } = this.#run;
    const files = await place.load();
    const isTarget = operation === 'copy' && !shape.isSource;
    for (const id of isTarget ? [] : this.#bed.contents.keys()) await this.#restores(files, id);
    const target = operation === 'copy' && shape.isSource ? other : files;
    for (const id of await this.#bed.snapshotsOf(target)) {
      if (!this.#bed.contents.has(id)) await this.#restores(target, id);
    }
    for (const id of stored) {
      if (!target.has(`snapshot/${id}`)) this.#violate(`${id} was reported, and is not there`);
    }
    for (const each of new Set([files, target])) {
      const damage = await this.#bed.damageIn(each);
      if (damage.length > 0) this.#violate(`check finds ${damage.join(' | ')}`);
    }
  }

  async #restores(files: MemoryFiles, id: string): Promise<void> {
    if (!files.has(`snapshot/${id}`)) return this.#violate(`snapshot ${id} is gone`);
    const content = await this.#bed.restoreFrom(files, id).catch((error: unknown) => error);
    if (!(content instanceof Map)) return this.#violate(`${id}: ${String(content)}`);
    if (!this.#mayBe(id, content)) this.#violate(`${id} gives other bytes`);
  }

  /** A copy has another name than what it is a copy of. */
  #mayBe(id: string, content: Content): boolean {
    if (this.#run.operation !== 'copy') return isSame(content, this.#contentOf(id));
    const known = this.#bed.contents.get(id);
    if (known) return isSame(content, known);
    return [...this.#bed.contents.values()].some((each) => isSame(content, each));
  }

  #contentOf(id: string): Content {
    return this.#bed.contents.get(id) ?? this.#bed.now;
  }

  async #filesWith(id: string): Promise<MemoryFiles> {
    const files = await this.#run.place.load();
    return files.has(`snapshot/${id}`) ? files : this.#run.other;
  }

  #judgeWords({ said, defect }: Outcome): void {
    if (defect !== undefined) {
      const stack = defect instanceof Error ? defect.stack : JSON.stringify(defect);
      this.#violate(`a defect: ${stack}`);
    }
    for (const line of said) {
      if (/\n|    at /.test(line) || line.length > wordsMax) this.#violate(`not one line: ${line}`);
      if (line.includes(this.#run.served.secret)) this.#violate(`it tells a secret: ${line}`);
    }
  }

  #violate(what: string): void {
    this.violations.push(what);
  }
}

function isSame(a: Content, b: Content): boolean {
  return a.size === b.size && [...a].every(([file, bytes]) => b.get(file)?.equals(bytes) === true);
}
