import { existsSync, mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { removeTree } from '../../src/platform/files.ts';
import { Bed, type Room } from './bed.ts';
import { type Case, CaseRunner, nameOf, type Verdict } from './case.ts';
import { Chance } from './chance.ts';
import { storeFaults } from './faults.ts';
import { operationNames } from './operations.ts';
import {
  type S3Flavour,
  serve,
  type Served,
  type StoreKind,
  storeKinds,
  unmountDisks,
} from './stores.ts';

/** All that runs of cases need, started. */
export interface Started {
  /** Runs cases, those of one store one after the other and those of several beside each other. */
  run(cases: Iterable<Case>, how: RunHow): Promise<Tally>;
  stop(): Promise<void>;
}

export interface RunHow {
  /** No further case is begun. */
  readonly isOver: () => boolean;
  /** Hears of failures. */
  readonly tell: (line: string) => void;
}

/** What came of many cases. */
export interface Tally {
  runs: number;
  /** In which something went wrong. */
  strikes: number;
  failures: number;
  /** How often each case ended in which way. */
  readonly rows: Map<string, number>;
}

/** Starts the servers of some kinds of stores, and makes what is backed up. */
export async function start(
  kinds: readonly StoreKind[],
  { resticEvery, s3 }: { readonly resticEvery: number; readonly s3: S3Flavour },
): Promise<Started> {
  const room = newRoom();
  const bed = new Bed(room);
  await bed.prepare();
  const all = await Promise.all(kinds.map((kind) => serve(kind, room, { s3 })));
  const served = new Map<StoreKind, Served>(all.map((each) => [each.kind, each]));
  const runner = new CaseRunner(bed, served, { resticEvery });
  return {
    run: async (cases, how) => {
      const tally: Tally = { runs: 0, strikes: 0, failures: 0, rows: new Map() };
      const lanes = new Lanes(cases, how);
      const runLane = async (kind: StoreKind): Promise<void> => {
        for (let one = lanes.next(kind); one; one = lanes.next(kind)) {
          enter(tally, one, { verdict: await runner.run(one), tell: how.tell });
        }
      };
      await Promise.all(kinds.map(runLane));
      return tally;
    },
    stop: async () => {
      unmountDisks();
      await Promise.all(all.map((each) => each.stop()));
      room.remove(room.root);
    },
  };
}

/** Cases in their order, for each store. */
class Lanes {
  readonly #cases: Iterator<Case>;
  readonly #isOver: () => boolean;
  readonly #waiting = new Map<StoreKind, Case[]>(storeKinds.map((kind) => [kind, []]));

  constructor(cases: Iterable<Case>, { isOver }: RunHow) {
    this.#cases = cases[Symbol.iterator]();
    this.#isOver = isOver;
  }

  next(kind: StoreKind): Case | undefined {
    if (this.#isOver()) return undefined;
    const own = this.#waiting.get(kind)?.shift();
    if (own) return own;
    for (let next = this.#cases.next(); !next.done; next = this.#cases.next()) {
      if (next.value.store === kind) return next.value;
      this.#waiting.get(next.value.store)?.push(next.value);
    }
    return undefined;
  }
}

function enter(
  tally: Tally,
  one: Case,
  { verdict, tell }: { readonly verdict: Verdict; readonly tell: RunHow['tell'] },
): void {
  const { end, strikes, codes, violations } = verdict;
  tally.runs++;
  if (strikes > 0) tally.strikes++;
  const { fault, operation, store, isLasting } = one;
  const how = strikes > 0 ? `${end} ${[...new Set(codes)].toSorted().join(' ')}`.trim() : 'not met';
  const row = `${fault.name} ${operation} ${store} ${isLasting ? 'lasting' : 'once'}: ${how}`;
  tally.rows.set(row, (tally.rows.get(row) ?? 0) + 1);
  if (violations.length === 0) return;
  tally.failures++;
  tell(`${nameOf(one)}: ${violations.join('\n    ')}`);
}

/** In memory where there is such a folder. */
function newRoom(): Room & { readonly root: string } {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const root = mkdtempSync(path.join(realpathSync(parent), 'holdfast-store-faults-'));
  mkdirSync(root, { recursive: true });
  let count = 0;
  return {
    root,
    fresh: (name) => path.join(root, `${name}-${count++}`),
    remove: (place) => removeTree(Buffer.from(place)),
  };
}

export type Combination = Omit<Case, 'seed'>;

/** Every fault with every operation and every store that it can meet, once and lasting. */
export function allCombinations(): readonly Combination[] {
  return storeFaults.flatMap((fault) =>
    storeKinds
      .filter((store) => fault.stores[store])
      .flatMap((store) =>
        operationNames.flatMap((operation) =>
          (fault.isAlwaysLasting ? [true] : [false, true]).map((isLasting) => ({
            fault,
            operation,
            store,
            isLasting,
          })),
        ),
      ),
  );
}

function pairsOf({ fault, operation, store, isLasting }: Combination): string[] {
  const values = [fault.name, operation, store, String(isLasting)];
  return values.flatMap((a, i) => values.slice(i + 1).map((b) => `${a} ${b}`));
}

/** So few combinations that every two values that can meet do. */
export function pairwise(seed: number): readonly Combination[] {
  const chance = new Chance(seed);
  const left = new Set(allCombinations().flatMap(pairsOf));
  const shuffled = allCombinations()
    .map((one) => ({ one, order: chance.next() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ one }) => one);
  const chosen: Combination[] = [];
  while (left.size > 0) {
    const gainOf = (one: Combination): number =>
      pairsOf(one).filter((pair) => left.has(pair)).length;
    const best = shuffled.reduce((a, b) => (gainOf(b) > gainOf(a) ? b : a));
    for (const pair of pairsOf(best)) left.delete(pair);
    chosen.push(best);
  }
  return chosen;
}
