import { assert } from '../../src/base/assert.ts';
import { stepBackup } from './backup.ts';
import { stepExclusive } from './exclusive.ts';
import type { Model, Step } from './explore.ts';
import { stepPrune } from './prune.ts';
import { stepRestic } from './restic.ts';
import {
  absent,
  bit,
  type Client,
  cloneState,
  encodeState,
  fileCountMax,
  has,
  newClient,
  newFile,
  nothingKnown,
  packCountMax,
  type Role,
  settled,
  type State,
  storedPacks,
  trueView,
  young,
} from './state.ts';
import { isLocked, isOfRestic, isOver, isSure, type Mistake, Turn, type World } from './turn.ts';

/**
 * What there is when the clients come: content that is listed, also marked today, or marked a day ago, or in two packs of
 * which one was marked a day ago.
 */
export type Beginning = 'listed' | 'marked' | 'aged' | 'twice';

/** Which clients meet, and in what world. */
export interface Meeting {
  readonly clients: readonly Role[];
  /** Default: listed. */
  readonly from?: readonly Beginning[];
  /** A snapshot refers to the content from the beginning; else it was forgotten before. */
  readonly isNeeded?: boolean;
  readonly isWeak?: boolean;
  readonly isLate?: boolean;
  readonly isSlow?: boolean;
  /** So it is where listings are weak or looks are far from writes. */
  readonly mayFail?: boolean;
  /** Days that may pass; default 1: a mark grows old, and somebody sleeps. */
  readonly days?: number;
  /** How often each prune comes; default 2: to mark, and to delete. */
  readonly rounds?: number;
  /** How many processes are killed, and how many sleep past their lock; default 1. */
  readonly crashes?: number;
  readonly sleeps?: number;
  readonly mistakes?: readonly Mistake[];
}

/** Packs and index files that a client may store. */
const placesOfRole: Readonly<Record<Role, { readonly packs: number; readonly files: number }>> = {
  backup: { packs: 2, files: 2 },
  prune: { packs: 0, files: 3 },
  instant: { packs: 0, files: 1 },
  forget: { packs: 0, files: 0 },
  repair: { packs: 0, files: 2 },
  restic: { packs: 1, files: 1 },
};

/** The locks and the two phases of a prune, as they are built and as docs/CONCURRENCY.md has them. */
export function protocol(meeting: Meeting): Model<State> {
  const world = worldOf(meeting);
  return {
    initial: initialOf(meeting),
    encode: encodeState,
    steps: (state) => stepsOf(state, world),
    fault: (state) => faultOf(state, world),
    isQuiet: ({ clients }) =>
      clients.every((client) => isOver(client) && !isLocked(client) && !client.commit),
  };
}

function worldOf(meeting: Meeting): World {
  const { clients, days = 1, rounds = 2, crashes = 1, sleeps = 1, mistakes = [] } = meeting;
  const packs = placesOf(clients, 'packs');
  const files = placesOf(clients, 'files');
  return {
    roles: clients,
    isWeak: meeting.isWeak === true,
    isLate: meeting.isLate === true,
    isSlow: meeting.isSlow === true,
    mayFail: meeting.mayFail === true || meeting.isWeak === true || meeting.isSlow === true,
    daysMax: days,
    roundsMax: rounds,
    crashesMax: crashes,
    sleepsMax: sleeps,
    mistakes: new Set(mistakes),
    packsOf: (client) => packs[client] ?? [],
    filesOf: (client) => files[client] ?? [],
  };
}

/** Places 0 and 1 are what was there in the beginning; then come those of each client. */
function placesOf(clients: readonly Role[], kind: 'packs' | 'files'): (readonly number[])[] {
  let next = 2;
  const places = clients.map((role) =>
    Array.from({ length: placesOfRole[role][kind] }, () => next++),
  );
  assert(next <= (kind === 'packs' ? packCountMax : fileCountMax), 'a state can be encoded');
  return places;
}

function initialOf({ clients, from = ['listed'], isNeeded = false }: Meeting): State[] {
  const count = (kind: 'packs' | 'files'): number => placesOf(clients, kind).flat().length;
  return from.map((beginning) => {
    const isTwice = beginning === 'twice';
    const marks = { listed: 0, marked: 1, aged: 1, twice: 2 }[beginning];
    const aged = beginning === 'marked' ? 0 : marks;
    const markFile =
      marks === 0 ? newFile() : newFile({ state: aged === 0 ? young : settled, marks, aged });
    return {
      day: 0,
      packs: [
        settled,
        isTwice ? settled : absent,
        ...Array.from({ length: count('packs') }, () => absent),
      ],
      index: [
        newFile({ state: settled, lists: isTwice ? 3 : 1 }),
        markFile,
        ...Array.from({ length: count('files') }, () => newFile()),
      ],
      snapshots: [...clients.map(() => absent), isNeeded ? settled : absent],
      told: isNeeded ? bit(clients.length) : 0,
      slept: 0,
      crashed: 0,
      clients: clients.map(newClient),
    };
  });
}

const stepsOfRole: Readonly<Record<Role, (turn: Turn) => void>> = {
  backup: stepBackup,
  prune: stepPrune,
  instant: stepExclusive,
  forget: stepExclusive,
  repair: stepExclusive,
  restic: stepRestic,
};

function stepsOf(state: State, world: World): Step<State>[] {
  const steps: Step<State>[] = [];
  world.roles.forEach((role, i) => {
    const turn = new Turn({ world, state, number: i }, steps);
    if (!isOver(turn.client)) {
      stepsOfRole[role](turn);
      crash(turn);
    }
    removeLeft(turn);
  });
  passDay(state, world, steps);
  return steps;
}

function countOf(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** A process is killed, or its machine loses power: its locks stay. */
function crash(turn: Turn): void {
  const isSpared = countOf(turn.state.crashed) >= turn.world.crashesMax;
  if (turn.client.at === 'begin' || isSpared) return;
  turn.go('is killed', 'done', (client, state) => {
    Object.assign(client, nothingKnown, { late: false, fresh: false, wasAway: false, older: 0 });
    state.crashed |= bit(turn.number);
  });
}

/** Whoever wants a lock may find that this one was left. Of who sleeps that is wrong, but nobody can know. */
function removeLeft(turn: Turn): void {
  const { client } = turn;
  const isCrashed = has(turn.state.crashed, turn.number);
  const isLeft = isCrashed || client.late;
  const isThere = isLocked(client) && !(client.fresh && !mustStay(client));
  if (!isThere || !isLeft || turn.has('stale locks stay')) return;
  turn.go('its lock is removed as left', client.at, (self) => {
    self.lock = 'none';
    self.commit = false;
    self.fresh = false;
  });
}

/**
 * Who comes back to a lock that is not shared has written a new file, and looks whether the old one is still there: until
 * then it may be removed by somebody who has watched it long enough. Who takes a shared one anew needs no old one.
 */
function mustStay({ lock }: Client): boolean {
  return lock === 'prune' || lock === 'exclusive';
}

/**
 * Where work may take a day, or wait for one: what is between two of these takes minutes, or whoever is there has slept and
 * knows it by his clocks.
 */
const longPlaces: ReadonlySet<string> = new Set([
  'begin',
  'done',
  'failed',
  'store',
  'list',
  'publish',
  'wait for commit',
  'commit',
  'mark',
]);

/** A day passes: marks grow old, listings catch up. Who works goes on renewing its lock; one may sleep. */
function passDay(state: State, world: World, steps: Step<State>[]): void {
  if (state.day >= world.daysMax) return;
  const mayTakeLong = (client: Client, i: number): boolean =>
    longPlaces.has(client.at) ||
    has(state.crashed, i) ||
    (client.lock.startsWith('restic') && client.at !== 'settle');
  const inHaste = state.clients.flatMap((client, i) => (mayTakeLong(client, i) ? [] : [i]));
  const sleepers = state.clients.flatMap((client, i) => {
    const mayes = isLocked(client) && !isOver(client) && !has(state.slept, i);
    return mayes && countOf(state.slept) < world.sleepsMax ? [i] : [];
  });
  for (const sleeper of [-1, ...sleepers]) {
    if (inHaste.some((i) => i !== sleeper)) continue;
    const next = cloneState(state);
    next.day++;
    for (const file of next.index) {
      if (file.state === young) file.state = settled;
      file.aged = file.marks;
    }
    next.packs = next.packs.map((pack) => (pack === young ? settled : pack));
    next.snapshots = next.snapshots.map((one) => (one === young ? settled : one));
    const client = next.clients[sleeper];
    if (client) {
      Object.assign(client, { late: true, fresh: false });
      next.slept |= bit(sleeper);
    }
    steps.push({ name: client ? `a day passes, ${sleeper} sleeps` : 'a day passes', next });
  }
}

/** What must never be. */
function faultOf(state: State, world: World): string | undefined {
  const { isLate, mayFail, roles } = world;
  const stored = storedPacks(state);
  const { lists, marks } = trueView(state);
  // A snapshot that came late and that nobody was told of is taken back.
  const isNeeded = state.snapshots.some(
    (snapshot, i) => snapshot !== absent && (!isLate || has(state.told, i)),
  );
  if (isNeeded && (stored & (lists | marks)) === 0) return 'a snapshot refers to what was deleted';
  if (isNeeded && (stored & lists) === 0) return 'a snapshot refers to what no index lists';
  const isTakenBack =
    isLate && (state.crashed !== 0 || state.clients.some(({ at }) => at === 'listed'));
  if ((lists & ~stored) !== 0 && !isTakenBack) return 'an index lists a pack that is not there';
  const isLostAwake = state.clients.some(
    ({ at }, i) => roles[i] === 'backup' && at === 'failed' && !has(state.slept, i),
  );
  if (isLostAwake && !mayFail) return 'a backup that never slept fails';
  return exclusionFault(state);
}

/** Two that exclude each other are both sure of their locks, and neither has slept. */
function exclusionFault({ clients }: State): string | undefined {
  const sure = clients.filter((client) => isSure(client) && !client.late);
  const alone = sure.filter(({ lock }) => lock === 'exclusive' || lock === 'restic-exclusive');
  const prunes = sure.filter(({ lock }) => lock === 'prune');
  const commits = sure.filter(({ commit, at }) => commit && at !== 'look again');
  const restic = sure.filter(isOfRestic);
  const isBroken =
    (alone.length > 0 && sure.length > 1) ||
    prunes.length > 1 ||
    (commits.length > 0 && restic.length > 0);
  return isBroken ? 'two that exclude each other work at the same time' : undefined;
}
