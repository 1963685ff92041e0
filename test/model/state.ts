/**
 * The repository, the clients and the time of a small world, for test/model/protocol.ts.
 *
 * There is one piece of content. Packs hold it; those with the first numbers do so from the beginning, and every client that
 * stores may store it again in packs of its own. All snapshots refer to it. Sets are bits of a number.
 */

export type Role = 'backup' | 'prune' | 'instant' | 'forget' | 'repair' | 'restic';

/** What a lock says; `none` also once somebody removed the file. */
export const lockKinds = [
  'none',
  'shared',
  'publish',
  'prune',
  'exclusive',
  'restic-shared',
  'restic-exclusive',
] as const;
export type HeldKind = (typeof lockKinds)[number];

/** Of a file: a weak listing may leave out what is `young`. */
export const absent = 0;
export const young = 1;
export const settled = 2;
/** Of a pack that was removed. */
export const gone = 3;

export interface IndexFile {
  state: number;
  /** Packs it lists, and packs it marks for deletion. */
  lists: number;
  marks: number;
  /** Those of the marks that do not say what the pack holds: it was in no index file. */
  blind: number;
  /** Those of the marks that are older than the grace period. */
  aged: number;
}

export interface Client {
  /** Where its program is; see the steps of its role. */
  at: string;
  lock: HeldKind;
  /** Holds the second lock of a prune, under which it deletes. */
  commit: boolean;
  /** Slept past its lock: others may remove it, and it knows by its clocks. */
  late: boolean;
  /** Has written its lock anew since. */
  fresh: boolean;
  /** Has slept, and knows it: it looks for packs as well when it proves what it refers to. */
  wasAway: boolean;
  /** An answer that it remembers. */
  flag: boolean;
  /** Packs that were marked after it began, or at about that time. */
  older: number;
  /** What it remembers: packs that index files list, packs that were there, index files, packs to work on. */
  lists: number;
  packs: number;
  files: number;
  going: number;
  /** Marks that it is about to drop, or those of its new marks that are blind. */
  other: number;
  /** The day that it took for the time of its marks. */
  day: number;
  /** Rounds it has done. */
  rounds: number;
}

export interface State {
  day: number;
  /** State of each pack. */
  packs: number[];
  index: IndexFile[];
  /** State of the snapshot of each client, and of one from the beginning. */
  snapshots: number[];
  /** Snapshots whose users were told that they are stored. */
  told: number;
  /** Clients that have slept, and those that were killed. */
  slept: number;
  crashed: number;
  clients: Client[];
}

/** What a client remembers is nothing, from now on. */
export const nothingKnown = {
  flag: false,
  lists: 0,
  packs: 0,
  files: 0,
  going: 0,
  other: 0,
  day: 0,
} as const satisfies Partial<Client>;

export function newClient(): Client {
  return {
    at: 'begin',
    lock: 'none',
    commit: false,
    late: false,
    fresh: false,
    wasAway: false,
    older: 0,
    rounds: 0,
    ...nothingKnown,
  };
}

export function newFile(file: Partial<IndexFile> = {}): IndexFile {
  return { state: absent, lists: 0, marks: 0, blind: 0, aged: 0, ...file };
}

export function cloneState(state: State): State {
  return {
    day: state.day,
    packs: state.packs.slice(),
    index: state.index.map((file) => ({ ...file })),
    snapshots: state.snapshots.slice(),
    told: state.told,
    slept: state.slept,
    crashed: state.crashed,
    clients: state.clients.map((client) => ({ ...client })),
  };
}

const places = new Map<string, number>();

function numberOf(place: string): number {
  const known = places.get(place);
  if (known !== undefined) return known;
  places.set(place, places.size);
  return places.size - 1;
}

const kindNumbers = new Map(lockKinds.map((kind, number) => [kind, number]));

/** Numbers below 4 in one. */
function joined(numbers: readonly number[]): number {
  let all = 0;
  for (const number of numbers) all = 4 * all + number;
  return all;
}

/** So many packs and index files fit into what a state is encoded as. */
export const packCountMax = 6;
export const fileCountMax = 10;

/** As short as may be, since there are millions: each character holds up to 16 bits. */
export function encodeState(state: State): string {
  const numbers = [
    joined(state.packs),
    joined(state.snapshots),
    joined([state.day, 0]) + 16 * state.told,
    state.slept + 16 * state.crashed,
  ];
  for (const { state: file, lists, marks, blind, aged } of state.index) {
    if (file === absent) numbers.push(0);
    else numbers.push(4 * (lists + 64 * marks) + file, blind + 64 * aged);
  }
  for (const client of state.clients) {
    const { commit, late, fresh, wasAway, flag } = client;
    const bits =
      Number(commit) +
      2 * Number(late) +
      4 * Number(fresh) +
      8 * Number(wasAway) +
      16 * Number(flag);
    numbers.push(
      numberOf(client.at) + 128 * (kindNumbers.get(client.lock) ?? 0) + 1024 * bits,
      client.older + 64 * client.lists + 4096 * client.rounds + 16_384 * client.day,
      client.packs + 64 * client.going,
      client.files + 1024 * client.other,
    );
  }
  return String.fromCharCode(...numbers);
}

export const bit = (number: number): number => 1 << number;
export const has = (set: number, number: number): boolean => (set & bit(number)) !== 0;
export const lowest = (set: number): number => set & -set;

/** Packs that are there. */
export function storedPacks({ packs }: State): number {
  let set = 0;
  for (let i = 0; i < packs.length; i++) {
    if (packs[i] === young || packs[i] === settled) set |= bit(i);
  }
  return set;
}

/** What a look at the repository shows: index files and what they say together, and whether there is a snapshot. */
export interface View {
  readonly files: number;
  readonly lists: number;
  /** All marks, those that are blind and those that are old enough. Of two marks of a pack the later counts. */
  readonly marks: number;
  readonly blind: number;
  readonly aged: number;
  readonly isNeeded: boolean;
}

/** What the storage really has. */
export function trueView(state: State): View {
  return viewOf(state, young, young);
}

/**
 * All that may be seen: everything, or on a storage with weak listings also only what is not young.
 * @param of what is listed
 */
export function viewsOf(state: State, isWeak: boolean, of: 'index' | 'snapshots' | 'both'): View[] {
  const views = [viewOf(state, young, young)];
  if (!isWeak) return views;
  const isIndexYoung = state.index.some((file) => file.state === young);
  const isSnapshotYoung = state.snapshots.includes(young) && !state.snapshots.includes(settled);
  if (of !== 'snapshots' && isIndexYoung) views.push(viewOf(state, settled, young));
  if (of !== 'index' && isSnapshotYoung) views.push(viewOf(state, young, settled));
  if (of === 'both' && isIndexYoung && isSnapshotYoung) views.push(viewOf(state, settled, settled));
  return views;
}

function viewOf(state: State, indexFrom: number, snapshotsFrom: number): View {
  let [files, lists, marks, seeing, newer, aged] = [0, 0, 0, 0, 0, 0];
  state.index.forEach((file, i) => {
    if (file.state < indexFrom) return;
    files |= bit(i);
    lists |= file.lists;
    marks |= file.marks;
    seeing |= file.marks & ~file.blind;
    newer |= file.marks & ~file.aged;
    aged |= file.aged;
  });
  const isNeeded = state.snapshots.some((snapshot) => snapshot >= snapshotsFrom);
  return { files, lists, marks, blind: marks & ~seeing, aged: aged & ~newer, isNeeded };
}
