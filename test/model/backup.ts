import {
  absent,
  bit,
  type Client,
  has,
  type State,
  storedPacks,
  trueView,
  young,
} from './state.ts';
import { putListing, type Turn } from './turn.ts';

/**
 * A backup: it locks, loads the index, stores its content or leans on a pack that is there and not marked, and publishes its
 * snapshot. `lists` are the packs of its index, `files` the index files that these are from, `going` its own packs that no
 * index file lists yet, `other` those that nobody has looked for since; `flag` is set while it publishes.
 * @see src/engine/backup.ts, src/repository/index-writer.ts, src/engine/store-proven.ts, src/engine/prove-references.ts
 */
export function stepBackup(turn: Turn): void {
  switch (turn.client.at) {
    case 'begin':
      return turn.putLock('shared', 'load');
    case 'load':
      return load(turn);
    case 'settle':
      return turn.lookAgain('shared', () =>
        turn.go('list lock', turn.client.lists === 0 ? 'store' : 'publish'),
      );
    case 'store':
      return storePack(turn);
    case 'list':
    case 'list late':
    case 'listed':
      return storeIndex(turn);
    case 'publish':
    case 'wait for commit':
    case 'prove':
      return beginToPublish(turn);
    default:
      return storeSnapshot(turn);
  }
}

function load(turn: Turn): void {
  for (const view of turn.views('index')) {
    const left = turn.has('what is marked is leaned on') ? 0 : view.marks & ~view.blind;
    turn.go('list index, list pack', 'settle', (self, state) => {
      self.lists = view.lists & ~left & storedPacks(state);
      self.files = view.files;
    });
  }
}

function storePack(turn: Turn): void {
  const place = turn.freePack();
  // The model has no more packs: this way is not followed.
  if (place === undefined) return turn.end('no more packs', 'done', retract(turn));
  mustHold(turn, () =>
    turn.go('put pack', 'list', (self, next) => {
      next.packs[place] = young;
      self.going |= bit(place);
    }),
  );
}

function storeIndex(turn: Turn): void {
  const { client, world } = turn;
  const place = turn.freeFile();
  const then = client.flag ? 'prove' : 'publish';
  if (client.at === 'listed') {
    return mustHold(turn, () =>
      turn.go('stat lock', then, (self) => {
        self.going = 0;
      }),
    );
  }
  if (place === undefined) return turn.end('no more index files', 'done', retract(turn));
  const store = (): void =>
    turn.go('put index', world.isLate ? 'listed' : then, (self, state) => {
      putListing(state, place, self.going);
      self.lists |= self.going;
      self.other |= self.going;
      self.files |= bit(place);
      if (!world.isLate) self.going = 0;
    });
  if (client.at === 'list late') return store();
  mustHold(turn, () => {
    if (world.isLate) turn.go('begin to put index', 'list late');
    else store();
  });
}

function beginToPublish(turn: Turn): void {
  const { client } = turn;
  const isSilent = turn.has('publish without telling');
  if (client.at === 'publish') {
    return mustHold(turn, () =>
      turn.go('put lock (publish)', 'wait for commit', (self) => {
        self.flag = true;
        if (!isSilent) self.lock = 'publish';
      }),
    );
  }
  if (client.at === 'wait for commit') {
    if (isSilent || !turn.isBarred('publish', 'second')) {
      turn.go('list lock', turn.has('no proof before the snapshot') ? 'put' : 'prove');
    }
    return;
  }
  prove(turn);
}

/** Whether what the snapshot refers to is listed, and not marked since; else it is stored again while it can be read. */
function prove(turn: Turn): void {
  const { client, state } = turn;
  const stored = storedPacks(state);
  const now = trueView(state);
  for (const view of turn.views('index')) {
    const newFiles = view.files & ~client.files;
    let [added, marked] = [0, 0];
    state.index.forEach((file, i) => {
      if (!has(newFiles, i)) return;
      added |= file.lists;
      marked |= file.marks & ~file.blind;
    });
    // What a listing lacks is asked for by name.
    const isAnyGone = (client.files & ~now.files) !== 0;
    const lists = client.lists | added;
    const unlisted = isAnyGone ? client.lists & ~view.lists : 0;
    const missing = client.wasAway ? lists & ~stored : client.other & ~stored;
    const learn = (self: Client): void => {
      self.files |= newFiles;
      self.lists = lists & ~(marked | unlisted | missing);
      self.other = 0;
    };
    if ((lists & ~(marked | unlisted | missing)) !== 0) {
      turn.go('list index (proven)', 'put', learn);
    } else if ((lists & stored) !== 0) {
      turn.go('list index (to be stored again)', 'store', learn);
    } else turn.end('list index (lost)', 'failed', retract(turn));
  }
}

function storeSnapshot(turn: Turn): void {
  const { client, world } = turn;
  const put = (): void =>
    turn.go('put snapshot', 'confirm', (_, state) => {
      state.snapshots[turn.number] = young;
    });
  if (client.at === 'put late') return put();
  if (client.at === 'put') {
    return mustHold(turn, () => {
      if (world.isLate) turn.go('begin to put snapshot', 'put late');
      else put();
    });
  }
  const tell = (): void =>
    turn.end('stat lock, remove lock (told)', 'done', (_, state) => {
      state.told |= bit(turn.number);
    });
  if (turn.has('the lock is not asked for after a snapshot')) tell();
  else mustHold(turn, tell);
}

/** Takes back a snapshot that nobody was told of. */
function retract(turn: Turn): (client: Client, state: State) => void {
  return (_, state) => {
    if (!has(state.told, turn.number)) state.snapshots[turn.number] = absent;
  };
}

/**
 * What changes the repository is done only with a lock. Who slept takes a shared one anew, waits for those who may have taken
 * him for gone, looks for what he stored and no index lists, and proves anew what he was about to publish.
 */
function mustHold(turn: Turn, work: () => void): void {
  const { client } = turn;
  if (!client.late || turn.has('who slept goes on at once')) return work();
  if (client.lock !== 'none' && client.fresh) {
    if (!turn.isBarred('shared', 'return')) comeBack(turn);
    return;
  }
  const kind = client.flag && !turn.has('publish without telling') ? 'publish' : 'shared';
  turn.go(`put lock (${kind}, anew)`, client.at, (self) => {
    self.lock = kind;
    self.fresh = true;
  });
}

function comeBack(turn: Turn): void {
  const { client, state } = turn;
  const isLost = (client.going & ~storedPacks(state)) !== 0;
  if (isLost && !turn.has('unlisted packs are not looked for')) {
    return turn.end('stat pack (one that was stored is gone)', 'failed', (self, next) => {
      retract(turn)(self, next);
      // An index file that came late lists what is not there: it goes again.
      for (const i of turn.world.filesOf(turn.number)) {
        const file = next.index[i];
        if (file && (file.lists & self.going) !== 0) {
          Object.assign(file, { state: absent, lists: 0 });
        }
      }
    });
  }
  // Whatever was proven is proven again.
  turn.go('list lock (is back)', client.flag ? 'prove' : client.at, (self) => {
    Object.assign(self, { late: false, fresh: false, wasAway: true });
    if (self.flag) self.going = 0;
  });
}
