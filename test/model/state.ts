/**
 * The repository, the clients and the time of a small world, for test/model/protocol.ts.
 *
 * There is one piece of content. Pack 0 holds it from the beginning; every client that stores may store it again in packs of
 * its own. All snapshots refer to it. Sets are bits of a number.
 */

export type Role = 'backup' | 'prune' | 'forget' | 'restic';

/** `wants` that a lock stands for; `none` also once somebody removed the file. */
export const lockKinds = [
  'none',
  'shared',
  'publish',
  'prune',
  'exclusive',
  'restic-shared',
  'restic-exclusive',
] as const;
export type LockKind = (typeof lockKinds)[number];

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
  /** Those of the marks that are older than the grace period. */
  aged: number;
}

export interface Client {
  /** Where its program is; see the steps of its role. */
  at: string;
  lock: LockKind;
  /** Holds the second lock of a prune's commit. */
  commit: boolean;
  /** Slept past its lock: others may remove it, and it knows by its clocks. */
  late: boolean;
  /** It may sleep once, and ends or is stopped once. */
  hasSlept: boolean;
  isCrashed: boolean;
  /** It began before the last marks were made. */
  isOlder: boolean;
  /** What it remembers: packs, index files, an answer. */
  known: number;
  files: number;
  flag: boolean;
  /** Rounds it has done. */
  rounds: number;
}

export interface State {
  days: number;
  /** State of each pack. */
  packs: number[];
  index: IndexFile[];
  /** State of the snapshot of each client, and of one from the beginning. */
  snapshots: number[];
  /** Snapshots whose users were told that they are stored. */
  told: number;
  clients: Client[];
}

export function cloneState(state: State): State {
  return {
    days: state.days,
    packs: [...state.packs],
    index: state.index.map((file) => ({ ...file })),
    snapshots: [...state.snapshots],
    told: state.told,
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

/** As short as may be: there are hundreds of thousands. */
export function encodeState(state: State): string {
  const numbers = [state.days, state.told, ...state.packs, ...state.snapshots];
  for (const { state: file, lists, marks, aged } of state.index) {
    if (file === absent) numbers.push(0);
    else numbers.push(file, lists, marks, aged);
  }
  for (const client of state.clients) {
    const { commit, late, hasSlept, isCrashed, isOlder, flag } = client;
    const bits = [commit, late, hasSlept, isCrashed, isOlder, flag];
    numbers.push(
      numberOf(client.at),
      lockKinds.indexOf(client.lock),
      bits.reduce((sum, bit) => 2 * sum + Number(bit), 0),
      client.known,
      client.files,
      client.rounds,
    );
  }
  return String.fromCharCode(...numbers);
}

export const bit = (number: number): number => 1 << number;
export const has = (set: number, number: number): boolean => (set & bit(number)) !== 0;
export const lowest = (set: number): number => set & -set;

/** Packs that are there. */
export function storedPacks(state: State): number {
  return state.packs.reduce(
    (set, pack, i) => (pack === young || pack === settled ? set | bit(i) : set),
    0,
  );
}

/** What a listing of the index shows: which files, and what they say together. */
export interface IndexView {
  readonly files: number;
  readonly lists: number;
  readonly marks: number;
  readonly aged: number;
  /** A snapshot is seen. */
  readonly isNeeded: boolean;
}

/** All that may be seen: everything, or on a storage with weak listings also only what is not young. */
export function viewsOf(state: State, isWeak: boolean): IndexView[] {
  const all = viewOf(state, young);
  if (!isWeak) return [all];
  const old = viewOf(state, settled);
  // A listing of one kind of file may be behind and that of another not.
  const views = all.files === old.files ? [all] : [all, old];
  return all.isNeeded === old.isNeeded ? views : [...views, { ...all, isNeeded: old.isNeeded }];
}

function viewOf(state: State, from: number): IndexView {
  const view = { files: 0, lists: 0, marks: 0, aged: 0, isNeeded: false };
  state.index.forEach((file, i) => {
    if (file.state < from) return;
    view.files |= bit(i);
    view.lists |= file.lists;
    view.marks |= file.marks;
    view.aged |= file.aged;
  });
  // A pack that is listed anywhere is not marked.
  view.marks &= ~view.lists;
  view.aged &= view.marks;
  view.isNeeded = state.snapshots.some((snapshot) => snapshot >= from);
  return view;
}
