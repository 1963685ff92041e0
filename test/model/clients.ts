import { defined } from '../../src/base/assert.ts';
import {
  absent,
  bit,
  type Client,
  cloneState,
  gone,
  has,
  type IndexView,
  type LockKind,
  lowest,
  type State,
  storedPacks,
  viewsOf,
  young,
} from './state.ts';
import type { Step } from './explore.ts';

/** Mistakes that are planted to see that the model finds them. */
export type Mistake =
  | 'no proof before the snapshot'
  | 'publish without telling'
  | 'no grace period'
  | 'running operations are not waited for'
  | 'orphans are deleted at once'
  | 'snapshots are not listed again'
  | 'a commit beside other programs'
  | 'no second look'
  | 'who slept goes on at once'
  | 'who slept does not wait for a prune'
  | 'unlisted packs are not looked for'
  | 'stale locks stay';

export interface World {
  /** Listings may leave out what is young. */
  readonly isWeak: boolean;
  /** A write may reach the storage long after it was allowed. */
  readonly isLate: boolean;
  readonly daysMax: number;
  readonly roundsMax: number;
  readonly mistakes: ReadonlySet<Mistake>;
  /** The places of a client: its packs and its index files. */
  packsOf(client: number): readonly number[];
  filesOf(client: number): readonly number[];
}

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

  /** Adds a step: a copy of the state, changed. */
  go(name: string, at: string, change?: (client: Client, state: State) => void): void {
    const next = cloneState(this.state);
    const client = defined(next.clients[this.number], 'a client takes its turn');
    client.at = at;
    change?.(client, next);
    this.steps.push({ name: `${this.number}: ${name}`, next });
  }

  get views(): IndexView[] {
    return viewsOf(this.state, this.world.isWeak);
  }

  /** Whether another client's lock file is there of which this is true. */
  other(test: (client: Client) => boolean): boolean {
    return this.state.clients.some((client, i) => i !== this.number && test(client));
  }

  /**
   * Writes own lock, looks again, and goes on or withdraws. The first look only spares the writing: whatever it saw may be
   * over, and what is there now may have come since, so here anybody may write at any time.
   */
  lock(kind: LockKind, stands: (client: Client) => boolean, then: string): void {
    const write = (next: string): void =>
      this.go(`lock ${kind}`, next, (client) => {
        client.lock = kind;
      });
    if (this.has('no second look')) {
      if (this.client.at !== 'begin') write(then);
      else if (!this.other(stands)) this.go('look', 'look again');
    } else if (this.client.at === 'begin') {
      write('look again');
    } else if (this.other(stands)) {
      this.go('withdraw', 'begin', (client) => {
        client.lock = 'none';
      });
    } else this.go('hold', then);
  }

  /** Ends the work and removes the locks. */
  end(name: string, at: string, change?: (client: Client, state: State) => void): void {
    this.go(name, at, (client, state) => {
      change?.(client, state);
      Object.assign(client, { lock: 'none', commit: false, known: 0, files: 0, flag: false });
    });
  }

  putIndex(state: State, lists: number): number {
    const place = this.world.filesOf(this.number).find((i) => state.index[i]?.state === absent);
    if (place === undefined) return -1;
    state.index[place] = { state: young, lists, marks: 0, aged: 0 };
    return place;
  }
}

export const isExclusive = ({ lock, commit }: Client): boolean =>
  commit || lock === 'exclusive' || lock === 'restic-exclusive';
export const isPrune = ({ lock }: Client): boolean => lock === 'prune';
export const isOfRestic = ({ lock }: Client): boolean => lock.startsWith('restic');
export const isLocked = ({ lock }: Client): boolean => lock !== 'none';

/** A backup: locks, loads the index, stores or leans on what is there, publishes its snapshot. */
export function stepBackup(turn: Turn): void {
  const { client, world } = turn;
  switch (client.at) {
    case 'begin':
    case 'look again':
      // A commit suffers what was there before it, and is suffered.
      return turn.lock('shared', (other) => isExclusive(other) && !other.commit, 'load');
    case 'load':
      for (const view of turn.views) {
        turn.go('load index', view.lists === 0 ? 'store' : 'publish', (self) => {
          self.known = view.lists;
        });
      }
      return;
    case 'store':
    case 'list':
    case 'list late':
    case 'listed':
      return storeOwn(turn);
    case 'publish':
      return mustHold(turn, () =>
        turn.go('tell that it publishes', 'wait for commit', (self) => {
          if (!turn.has('publish without telling')) self.lock = 'publish';
        }),
      );
    case 'wait for commit':
      if (turn.has('publish without telling') || !turn.other((other) => other.commit)) {
        turn.go('no commit is seen', turn.has('no proof before the snapshot') ? 'put' : 'prove');
      }
      return;
    case 'prove':
      return prove(turn);
    case 'put':
      return mustHold(turn, () => {
        if (world.isLate) turn.go('begin to store snapshot', 'put late');
        else putSnapshot(turn);
      });
    case 'put late':
      return putSnapshot(turn);
    case 'confirm':
      return mustHold(turn, () =>
        turn.end('tell the user', 'done', (_, state) => {
          state.told |= bit(turn.number);
        }),
      );
  }
}

function putSnapshot(turn: Turn): void {
  turn.go('store snapshot', 'confirm', (_, state) => {
    state.snapshots[turn.number] = young;
  });
}

/** A pack, then the index file that lists it. */
function storeOwn(turn: Turn): void {
  const { client, world, state } = turn;
  const place = world.packsOf(turn.number).find((i) => state.packs[i] === absent);
  if (client.at === 'store') {
    // The model has no more packs: this way is not followed.
    if (place === undefined) return turn.end('out of packs', 'done', retract(turn));
    return mustHold(turn, () =>
      turn.go('store pack', 'list', (self, next) => {
        next.packs[place] = young;
        self.files = place;
      }),
    );
  }
  const list = (): void => {
    turn.go('store index file', world.isLate ? 'listed' : 'publish', (self, next) => {
      turn.putIndex(next, bit(self.files));
      self.known |= bit(self.files);
    });
  };
  if (client.at === 'list') {
    return mustHold(turn, () => {
      if (world.isLate) turn.go('begin to store index file', 'list late');
      else list();
    });
  }
  if (client.at === 'list late') return list();
  mustHold(turn, () => turn.go('the lock was held meanwhile', 'publish'));
}

/** Whether all that the snapshot refers to is listed; what is not is stored again while it can still be read. */
function prove(turn: Turn): void {
  for (const view of turn.views) {
    if (view.lists !== 0) {
      turn.go('prove', 'put');
    } else if ((storedPacks(turn.state) & turn.client.known) !== 0) {
      turn.go('prove: marked, stored again', 'store');
    } else turn.end('prove: lost', 'failed', retract(turn));
  }
}

/** Takes back a snapshot that nobody was told of. */
function retract(turn: Turn): (client: Client, state: State) => void {
  return (_, state) => {
    if (!has(state.told, turn.number)) state.snapshots[turn.number] = absent;
  };
}

/**
 * What changes the repository is done only with a lock. Who slept takes it anew, waits for those who may have taken him
 * for gone, looks for what he stored and no index lists, and proves anew what he was about to publish.
 */
function mustHold(turn: Turn, work: () => void): void {
  const { client } = turn;
  if (!client.late || turn.has('who slept goes on at once')) return work();
  if (client.lock !== 'none' && client.flag) {
    const waits = (other: Client): boolean =>
      isExclusive(other) || (isPrune(other) && !turn.has('who slept does not wait for a prune'));
    if (!turn.other(waits)) comeBack(turn);
    return;
  }
  const kind = ['wait for commit', 'prove', 'put', 'confirm'].includes(client.at)
    ? 'publish'
    : 'shared';
  turn.go('lock anew', client.at, (self) => {
    self.lock = kind;
    // Written: not stale any more, and its holder is known to be coming back.
    self.flag = true;
  });
}

function comeBack(turn: Turn): void {
  const { client, state } = turn;
  const isUnlisted = client.at === 'list' || client.at === 'listed';
  const isLost = isUnlisted && state.packs[client.files] === gone;
  if (isLost && !turn.has('unlisted packs are not looked for')) {
    return turn.end('a pack that was stored is gone', 'failed', (self, next) => {
      retract(turn)(self, next);
      // An index file that came late lists what is not there: it goes again.
      for (const i of turn.world.filesOf(turn.number)) {
        const file = next.index[i];
        if (file && has(file.lists, client.files)) file.state = absent;
      }
    });
  }
  const isPublishing = client.at === 'put' || client.at === 'confirm';
  turn.go('come back', isPublishing ? 'publish' : client.at, (self) => {
    self.late = false;
    self.flag = false;
  });
}

/** Removes the snapshot from the beginning, under an exclusive lock. */
export function stepForget(turn: Turn): void {
  const { client, state } = turn;
  if (['begin', 'look again'].includes(client.at)) {
    return turn.lock('exclusive', isLocked, 'forget');
  }
  if (client.at !== 'forget') return;
  if (client.late) return turn.end('the lock was lost', 'failed');
  turn.end('forget', 'done', (_, next) => {
    next.snapshots[state.clients.length] = absent;
  });
}

/** Another program, which knows only shared and exclusive locks: it backs up, or prunes at once. */
export function stepRestic(turn: Turn): void {
  const { client, world } = turn;
  const at = client.at;
  if (client.late && !['done', 'failed'].includes(at)) {
    // It looks whether its lock is still there, and gives up if not.
    if (client.lock === 'none') return turn.end('restic gives up', 'failed');
    return turn.go('restic renews its lock', at, (self) => {
      self.late = false;
    });
  }
  if (at === 'begin') {
    turn.lock('restic-shared', isExclusive, 'load');
    if (world.isWeak) return;
    turn.go('lock restic-exclusive', 'x look again', (self) => {
      self.lock = 'restic-exclusive';
    });
  } else if (at === 'look again') {
    turn.lock('restic-shared', isExclusive, 'load');
  } else if (at === 'load') {
    for (const view of turn.views) {
      turn.go('restic loads index', view.lists === 0 ? 'store' : 'put', (self) => {
        self.known = view.lists;
      });
    }
  } else if (at === 'store') {
    const [place = 0] = world.packsOf(turn.number);
    turn.go('restic stores pack', 'list', (_, state) => {
      state.packs[place] = young;
    });
  } else if (at === 'list') {
    const [place = 0] = world.packsOf(turn.number);
    turn.go('restic stores index file', 'put', (_, state) => turn.putIndex(state, bit(place)));
  } else if (at === 'put') {
    turn.end('restic stores snapshot', 'done', (_, state) => {
      state.snapshots[turn.number] = young;
      state.told |= bit(turn.number);
    });
  } else if (at.startsWith('x')) stepResticPrune(turn);
}

function stepResticPrune(turn: Turn): void {
  const { client, state } = turn;
  const [view] = turn.views;
  if (client.at === 'x look again') {
    if (turn.other(isLocked)) turn.end('withdraw', 'begin');
    else turn.go('hold', 'x orphans');
  } else if (client.at === 'x orphans' && view) {
    // What only marks list, it does not know: it deletes it at once. So it does with orphans.
    turn.go('restic deletes packs that no index lists', 'x index', (self, next) => {
      removePacks(next, storedPacks(state) & ~view.lists);
      const keep = view.isNeeded ? lowest(view.lists) : 0;
      self.known = view.lists & ~keep;
      self.files = view.files;
      turn.putIndex(next, keep);
    });
  } else if (client.at === 'x index') {
    turn.go('restic removes old index files', 'x packs', (self, next) => {
      removeFiles(next, self.files);
    });
  } else {
    turn.end('restic deletes packs', 'done', (self, next) => removePacks(next, self.known));
  }
}

export function removePacks(state: State, set: number): void {
  state.packs = state.packs.map((pack, i) => (has(set, i) ? gone : pack));
}

export function removeFiles(state: State, set: number): void {
  state.index.forEach((file, i) => {
    if (has(set, i)) Object.assign(file, { state: absent, lists: 0, marks: 0, aged: 0 });
  });
}
