import {
  isLocked,
  isOfRestic,
  isPrune,
  type Mistake,
  stepBackup,
  stepForget,
  stepRestic,
  Turn,
  type World,
} from './clients.ts';
import type { Model, Step } from './explore.ts';
import { stepPrune } from './prune.ts';
import {
  absent,
  bit,
  type Client,
  cloneState,
  encodeState,
  has,
  type IndexFile,
  type Role,
  settled,
  type State,
  storedPacks,
  young,
} from './state.ts';

/** Which clients meet, and in what world. */
export interface Meeting {
  readonly clients: readonly Role[];
  /** A snapshot refers to the content from the beginning; else it was forgotten before. */
  readonly isNeeded?: boolean;
  readonly isWeak?: boolean;
  readonly isLate?: boolean;
  /** Days that may pass; default 1: a mark grows old, and somebody sleeps. */
  readonly days?: number;
  /** How often each prune comes; default 2: to mark, and to delete. */
  readonly rounds?: number;
  readonly mistakes?: readonly Mistake[];
}

const crashCountMax = 1;

const packCountOf: Readonly<Record<Role, number>> = { backup: 2, prune: 0, forget: 0, restic: 1 };
const fileCountOf: Readonly<Record<Role, number>> = { backup: 2, prune: 2, forget: 0, restic: 1 };

/** The locks and the two phases of a prune, as docs/CONCURRENCY.md has them. */
export function protocol(meeting: Meeting): Model<State> {
  const world = worldOf(meeting);
  return {
    initial: initialOf(meeting),
    encode: encodeState,
    steps: (state) => stepsOf(state, meeting, world),
    fault: (state) => faultOf(state, meeting),
    isQuiet: ({ clients }) =>
      clients.every((client) => isOver(client) && !isLocked(client) && !client.commit),
  };
}

function worldOf(meeting: Meeting): World {
  const { clients, isWeak = false, isLate = false, days = 1, rounds = 2, mistakes = [] } = meeting;
  const packs = placesOf(clients, packCountOf);
  const files = placesOf(clients, fileCountOf);
  return {
    isWeak,
    isLate,
    daysMax: days,
    roundsMax: rounds,
    mistakes: new Set(mistakes),
    packsOf: (client) => packs[client] ?? [],
    filesOf: (client) => files[client] ?? [],
  };
}

/** Place 0 is what was there in the beginning; then come those of each client. */
function placesOf(
  clients: readonly Role[],
  countOf: Readonly<Record<Role, number>>,
): (readonly number[])[] {
  let next = 1;
  return clients.map((role) => Array.from({ length: countOf[role] }, () => next++));
}

function initialOf({ clients, isNeeded = false }: Meeting): State {
  const none: IndexFile = { state: absent, lists: 0, marks: 0, aged: 0 };
  const count = (countOf: Readonly<Record<Role, number>>): number =>
    placesOf(clients, countOf).flat().length;
  return {
    days: 0,
    packs: [settled, ...Array.from({ length: count(packCountOf) }, () => absent)],
    index: [
      { state: settled, lists: 1, marks: 0, aged: 0 },
      ...Array.from({ length: count(fileCountOf) }, () => ({ ...none })),
    ],
    snapshots: [...clients.map(() => absent), isNeeded ? settled : absent],
    told: isNeeded ? bit(clients.length) : 0,
    clients: clients.map(() => ({
      at: 'begin',
      lock: 'none',
      commit: false,
      late: false,
      hasSlept: false,
      isCrashed: false,
      isOlder: false,
      known: 0,
      files: 0,
      flag: false,
      rounds: 0,
    })),
  };
}

const stepsOfRole: Readonly<Record<Role, (turn: Turn) => void>> = {
  backup: stepBackup,
  prune: stepPrune,
  forget: stepForget,
  restic: stepRestic,
};

const isOver = ({ at }: Client): boolean => at === 'done' || at === 'failed';

function stepsOf(state: State, meeting: Meeting, world: World): Step<State>[] {
  const steps: Step<State>[] = [];
  meeting.clients.forEach((role, i) => {
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

/** A process is killed, or its machine loses power: its locks stay. */
function crash(turn: Turn): void {
  const count = turn.state.clients.filter(({ isCrashed }) => isCrashed).length;
  if (turn.client.at === 'begin' || count >= crashCountMax) return;
  turn.go('crash', 'done', (client) => {
    Object.assign(client, { isCrashed: true, known: 0, files: 0, flag: false });
  });
}

/** Whoever wants a lock may find that this one was left. Of who sleeps that is wrong, but nobody can know. */
function removeLeft(turn: Turn): void {
  const { client } = turn;
  const isLeft = client.isCrashed || (client.late && !client.flag);
  if (!isLocked(client) || !isLeft || turn.has('stale locks stay')) return;
  turn.go('its lock is removed as left', client.at, (self) => {
    self.lock = 'none';
    self.commit = false;
  });
}

/** A day passes: marks grow old, listings catch up. Who works goes on renewing its lock; one may sleep. */
function passDay(state: State, world: World, steps: Step<State>[]): void {
  if (state.days >= world.daysMax) return;
  const sleepers = state.clients.flatMap((client, i) => {
    const mayes = !isOver(client) && client.at !== 'begin' && !client.hasSlept;
    return mayes ? [i] : [];
  });
  for (const sleeper of [-1, ...sleepers]) {
    const next = cloneState(state);
    next.days++;
    for (const file of next.index) {
      if (file.state === young) file.state = settled;
      file.aged = file.marks;
    }
    next.packs = next.packs.map((pack) => (pack === young ? settled : pack));
    next.snapshots = next.snapshots.map((one) => (one === young ? settled : one));
    const client = next.clients[sleeper];
    if (client) Object.assign(client, { late: true, hasSlept: true });
    steps.push({ name: client ? `a day passes, ${sleeper} sleeps` : 'a day passes', next });
  }
}

/** What must never be. */
function faultOf(state: State, meeting: Meeting): string | undefined {
  const { isWeak = false, isLate = false, clients: roles } = meeting;
  const stored = storedPacks(state);
  let lists = 0;
  let marks = 0;
  for (const file of state.index) {
    lists |= file.lists;
    marks |= file.marks;
  }
  // A snapshot that came late and that nobody was told of is taken back.
  const isNeeded = state.snapshots.some(
    (snapshot, i) => snapshot !== absent && (!isLate || has(state.told, i)),
  );
  if (isNeeded && (stored & (lists | marks)) === 0) return 'a snapshot refers to what was deleted';
  if (isNeeded && !isWeak && (stored & lists) === 0) {
    return 'a snapshot refers to what no index lists';
  }
  const isTakenBack =
    isLate && state.clients.some(({ at, isCrashed }) => isCrashed || at === 'listed');
  if ((lists & ~stored) !== 0 && !isTakenBack && !isDeleting(state)) {
    return 'an index lists a pack that is not there';
  }
  const isLostAwake = state.clients.some(
    ({ at, hasSlept }, i) => roles[i] === 'backup' && at === 'failed' && !hasSlept,
  );
  if (isLostAwake && !isWeak) return 'a backup that never slept fails';
  return exclusionFault(state);
}

/** restic removes packs only after the index files that list them. */
const isDeleting = ({ clients }: State): boolean => clients.some(({ at }) => at === 'x packs');

const isIn = (client: Client, ...places: string[]): boolean => places.includes(client.at);

/** Two that exclude each other are both at work, and neither has slept. */
function exclusionFault({ clients }: State): string | undefined {
  const working = clients.filter((client) => !client.late && !isOver(client));
  const alone = working.filter((client) =>
    isIn(client, 'mark', 'replace', 'forget', 'x orphans', 'x index', 'x packs'),
  );
  const restic = working.filter(
    (client) => isOfRestic(client) && isIn(client, 'load', 'store', 'list', 'put'),
  );
  const prunes = working.filter(
    (client) => isPrune(client) && !isIn(client, 'begin', 'look again'),
  );
  if (alone.length > 1 || prunes.length > 1 || (alone.length > 0 && restic.length > 0)) {
    return 'two that exclude each other work at the same time';
  }
  return undefined;
}
