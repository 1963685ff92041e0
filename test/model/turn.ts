import { defined } from '../../src/base/assert.ts';
import type { LockLook } from '../../src/repository/lock-list.ts';
import type { LockKind } from '../../src/repository/locks.ts';
import type { Step } from './explore.ts';
import { stands, standsAgainstRestic } from './lock-table.ts';
import {
  absent,
  bit,
  type Client,
  cloneState,
  gone,
  has,
  type HeldKind,
  nothingKnown,
  type Role,
  type State,
  type View,
  viewsOf,
  young,
} from './state.ts';

/** Mistakes that are planted, one at a time, to see that the model finds them. */
export type Mistake =
  | 'no proof before the snapshot'
  | 'publish without telling'
  | 'no grace period'
  | 'running operations are not waited for'
  | 'the bare begin of an operation counts'
  | 'what is marked is leaned on'
  | 'deleted at once when marked'
  | 'snapshots are not listed again'
  | 'a pack that was seen counts as there'
  | 'packs go before the index lets go of them'
  | 'a commit beside other programs'
  | 'no second look'
  | 'who slept goes on at once'
  | 'the lock is not asked for after a snapshot'
  | 'unlisted packs are not looked for'
  | 'marks keep the time of before a sleep'
  | 'stale locks stay';

/** The world that clients meet in. */
export interface World {
  readonly roles: readonly Role[];
  /** Listings may leave out what is young. */
  readonly isWeak: boolean;
  /** Others may take longer between looking for locks and writing one than who has written one waits before it looks again. */
  readonly isSlow: boolean;
  /** A backup may fail: only what is lost counts. */
  readonly mayFail: boolean;
  /** What a backup stores may reach the storage long after it was allowed. */
  readonly isLate: boolean;
  readonly daysMax: number;
  /** Of each prune: it marks, and a day later it deletes. */
  readonly roundsMax: number;
  readonly crashesMax: number;
  readonly sleepsMax: number;
  readonly mistakes: ReadonlySet<Mistake>;
  /** The places of a client: its packs and its index files. */
  packsOf(client: number): readonly number[];
  filesOf(client: number): readonly number[];
}

type Change = (client: Client, state: State) => void;

/** One client in one state, and the ways to go on from there. */
export class Turn {
  readonly world: World;
  readonly state: State;
  readonly number: number;
  readonly steps: Step<State>[];

  constructor(at: { world: World; state: State; number: number }, steps: Step<State>[]) {
    this.world = at.world;
    this.state = at.state;
    this.number = at.number;
    this.steps = steps;
  }

  get client(): Client {
    return defined(this.state.clients[this.number], 'a client takes its turn');
  }

  has(mistake: Mistake): boolean {
    return this.world.mistakes.has(mistake);
  }

  /**
   * Adds a step: a copy of the state, changed.
   * @param name the calls of the storage that it is, `put index`, and in brackets what comes of them
   */
  go(name: string, at: string, change?: Change): void {
    const next = cloneState(this.state);
    const client = defined(next.clients[this.number], 'a client takes its turn');
    client.at = at;
    change?.(client, next);
    this.steps.push({ name: `${this.number} ${this.world.roles[this.number]}: ${name}`, next });
  }

  views(of: 'index' | 'snapshots' | 'both'): View[] {
    return viewsOf(this.state, this.world.isWeak, of);
  }

  /** Whether this is true of another client. */
  other(test: (client: Client) => boolean): boolean {
    return this.state.clients.some((client, i) => i !== this.number && test(client));
  }

  /** Whether somebody's lock stands against this one. */
  isBarred(kind: LockKind, look: LockLook): boolean {
    return this.other((client) => stands(client, kind, look));
  }

  /**
   * Writes the lock, after the first look. What stands against it and has looked again was there then: between the first look
   * and writing lies less than between writing and the second look. Where that does not hold, anybody may write at any time.
   * Reading begins before the second look.
   */
  putLock(kind: HeldKind, then: string): void {
    if (!this.world.isSlow && this.other((client) => isSure(client) && bars(client, kind))) return;
    this.go(`put lock (${kind})`, then, (client) => {
      client.lock = kind;
      client.older = 0;
    });
  }

  /** The second look: goes on, or withdraws. */
  lookAgain(kind: LockKind, then: () => void): void {
    if (!this.has('no second look') && this.isBarred(kind, 'second')) {
      this.end('remove lock (another is there)', 'begin');
    } else then();
  }

  /** Ends the work and removes the locks. */
  end(name: string, at: string, change?: Change): void {
    this.go(name, at, (client, state) => {
      change?.(client, state);
      Object.assign(client, nothingKnown, { lock: 'none', commit: false, late: false });
      Object.assign(client, { fresh: false, wasAway: false, older: 0 });
    });
  }

  /**
   * What changes the repository is done only with a lock. A lock that is not shared is renewed after a sleep if nobody has
   * removed it, before and after the new file was written; else the work ends, and the next run goes on.
   * @param undo what is taken back then
   */
  mustOwn(work: () => void, undo?: Change): void {
    const { client } = this;
    if (!client.late || this.has('who slept goes on at once')) return work();
    if (client.lock === 'none') return this.end('stat lock (it was removed)', 'failed', undo);
    if (!client.fresh) {
      this.go('stat lock, put lock', client.at, (self) => {
        self.fresh = true;
      });
    } else {
      this.go('stat lock (still there)', client.at, (self) => {
        self.late = false;
        self.fresh = false;
      });
    }
  }

  /** Where a new pack, or a new index file, of this client goes; undefined if the model has no more. */
  freePack(): number | undefined {
    return this.world.packsOf(this.number).find((i) => this.state.packs[i] === absent);
  }

  freeFile(): number | undefined {
    return this.world.filesOf(this.number).find((i) => this.state.index[i]?.state === absent);
  }
}

/** Before the second look. */
const settling: ReadonlySet<string> = new Set(['begin', 'plan', 'load', 'settle']);

/** Has looked again, and found nobody. */
export function isSure(client: Client): boolean {
  return isLocked(client) && !isOver(client) && !settling.has(client.at);
}

function bars(other: Client, kind: HeldKind): boolean {
  if (kind === 'restic-shared') return standsAgainstRestic(other, false);
  if (kind === 'restic-exclusive') return standsAgainstRestic(other, true);
  return kind !== 'none' && stands(other, kind, 'second');
}

export const isLocked = ({ lock }: Client): boolean => lock !== 'none';
export const isOfRestic = ({ lock }: Client): boolean => lock.startsWith('restic');
export const isOver = ({ at }: Client): boolean => at === 'done' || at === 'failed';

export function removePacks(state: State, set: number): void {
  state.packs = state.packs.map((pack, i) => (has(set, i) && pack !== absent ? gone : pack));
}

export function removeFiles(state: State, set: number): void {
  state.index.forEach((file, i) => {
    if (has(set, i)) Object.assign(file, { state: absent, lists: 0, marks: 0, blind: 0, aged: 0 });
  });
}

/** Lists packs in a new index file. */
export function putListing(state: State, place: number, lists: number): void {
  state.index[place] = { state: young, lists, marks: 0, blind: 0, aged: 0 };
}

/** Index files that list or mark any of these packs, among `files`. */
export function filesWith(state: State, files: number, packs: number): number {
  let found = 0;
  state.index.forEach((file, i) => {
    const isThere = has(files, i) && file.state !== absent;
    if (isThere && ((file.lists | file.marks) & packs) !== 0) found |= bit(i);
  });
  return found;
}
