import { EventQueue } from './event-queue.ts';
import { Exclusion } from './exclusion.ts';
import type { Keyring } from './keyring.ts';
import type { Attempt, Oracle } from './oracle.ts';
import type { Plant } from './planted.ts';
import type { Reached } from './reach.ts';
import type { Weather } from './weather.ts';
import type { Met } from './excuses.ts';
import type { SimulatedStore } from './simulated-store.ts';
import { Seeded } from './seeded.ts';

/** One repository, what the way to it is like, and who judges it. */
export interface Place {
  readonly name: string;
  readonly keyring: Keyring;
  readonly store: SimulatedStore;
  readonly weather: Weather;
  readonly oracle: Oracle;
}

/** A process that runs, as far as others have to do with it. */
export interface LivingProcess {
  readonly machine: object;
  meet(what: Met): void;
}

const noteCountMax = 20_000;
/** A Monday. */
const startMs = Date.UTC(2031, 2, 3);

/** Everything that a simulated run consists of. */
export class World {
  readonly seed: number;
  readonly random: Seeded;
  readonly queue: EventQueue = new EventQueue(startMs);
  readonly attempts: Map<number, Attempt> = new Map();
  readonly failures: string[] = [];
  readonly notes: string[] = [];
  /** What happened of what must happen in many runs. */
  readonly reached: Set<Reached> = new Set();
  readonly exclusion: Exclusion = new Exclusion();
  /** The processes that run, by their names. */
  readonly living: Map<string, LivingProcess> = new Map();
  readonly outcomes: Map<string, number> = new Map();
  /** What runs, by the names of processes. */
  readonly running: Map<string, string> = new Map();
  /** All repositories. */
  readonly places: Place[] = [];
  plant: Plant = {};
  /** For how long what is not needed stays marked. */
  keepDeleteMs = 24 * 3_600_000;
  /** Nothing goes wrong any more. */
  isCalm = false;
  /** Ended by `end`. */
  isBeyondCare = false;
  /** Listings are right, so that nobody overlooks a lock. */
  areListingsRight = true;
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
    if (this.isOver) return;
    this.failures.push(what);
    this.note(`FAILED ${what}`);
  }

  /** Something has happened that no program can prevent: the run ends, and is no failure. */
  end(why: string): void {
    if (this.isOver) return;
    this.isBeyondCare = true;
    this.note(`the end: ${why}`);
  }

  get isOver(): boolean {
    return this.isBeyondCare || this.failures.length > 0;
  }

  note(text: string): void {
    if (this.notes.length >= noteCountMax) return;
    const minutes = (this.queue.nowMs - startMs) / 60_000;
    this.notes.push(`${minutes.toFixed(3).padStart(12)} ${text}`);
  }

  reach(what: Reached): void {
    this.reached.add(what);
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
