import { EventQueue } from './event-queue.ts';
import type { Attempt, Oracle } from './oracle.ts';
import type { Plant } from './planted.ts';
import type { Weather } from './weather.ts';
import type { SimulatedStore } from './simulated-store.ts';
import { Seeded } from './seeded.ts';

/** One repository, what the way to it is like, and who judges it. */
export interface Place {
  readonly store: SimulatedStore;
  readonly weather: Weather;
  readonly oracle: Oracle;
}

const noteCountMax = 20_000;
/** A Monday. */
const startMs = Date.UTC(2031, 2, 3);

/** What counts of a run are kept. */
export interface Counts {
  death: number;
  stopped: number;
  asleep: number;
  powerCuts: number;
  troubles: number;
}

/** Everything that a simulated run consists of. */
export class World {
  readonly seed: number;
  readonly random: Seeded;
  readonly queue: EventQueue = new EventQueue(startMs);
  readonly attempts: Map<number, Attempt> = new Map();
  readonly failures: string[] = [];
  readonly notes: string[] = [];
  readonly counts: Counts = { death: 0, stopped: 0, asleep: 0, powerCuts: 0, troubles: 0 };
  readonly outcomes: Map<string, number> = new Map();
  /** The password that everybody uses now. */
  password = 'first';
  /** All that somebody knows. */
  readonly passwords: string[] = [this.password];
  plant: Plant = {};
  /** For how long what is not needed stays marked. */
  keepDeleteMs = 24 * 3_600_000;
  /** Reading gives what is stored: then nobody may find damage. */
  mustBeSound = true;
  /** Somebody broke locks by force or by a wrong clock: then nobody is sure to be alone. */
  areLocksBroken = false;
  #pid = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Seeded(seed);
  }

  nextPid(): number {
    return ++this.#pid;
  }

  /** Something that must not happen has happened. */
  fail(what: string): void {
    // What comes after the first is often its consequence.
    if (this.failures.length > 0) return;
    this.failures.push(what);
    this.note(`FAILED ${what}`);
  }

  note(text: string): void {
    if (this.notes.length >= noteCountMax) return;
    const minutes = (this.queue.nowMs - startMs) / 60_000;
    this.notes.push(`${minutes.toFixed(3).padStart(12)} ${text}`);
  }

  count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  /** Resolves after some time, for who is no process. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.queue.after(ms, () => {
        resolve();
        return true;
      });
    });
  }
}
