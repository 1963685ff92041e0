import { stands } from './lock-table.ts';
import {
  bit,
  type Client,
  has,
  lowest,
  type State,
  storedPacks,
  trueView,
  type View,
  viewsOf,
  young,
} from './state.ts';
import {
  filesWith,
  isLocked,
  isOfRestic,
  putListing,
  removeFiles,
  removePacks,
  type Turn,
} from './turn.ts';

/**
 * A prune in two phases. What was marked a day ago, before all that run now began, and is still of no use is deleted under
 * the commit's lock; then what is of no use now is marked, in an index file of its own. `lists`, `packs` and `files` are the
 * packs that index files list, those that are stored and the index files, as the looks of this run showed them; `flag` is
 * whether one showed a snapshot; `going` and `other` are the marked packs to delete and the marks to drop, later the new marks
 * and those of them that are blind.
 * @see src/engine/prune.ts, src/engine/prune/two-phase.ts, src/engine/prune/state.ts
 */
export function stepPrune(turn: Turn): void {
  switch (turn.client.at) {
    case 'begin':
      return turn.putLock('prune', 'plan');
    case 'plan':
      return plan(turn);
    case 'settle':
      return turn.lookAgain('prune', () =>
        turn.go(
          'list lock',
          turn.client.going !== 0 || turn.client.other !== 0 ? 'commit' : 'mark',
        ),
      );
    case 'commit':
    case 'look again':
      return stepCommit(turn);
    case 'refresh':
    case 'read index':
      return refresh(turn);
    case 'who runs':
      return whoRuns(turn);
    case 'delete':
    case 'put index':
    case 'remove index':
    case 'remove packs':
      return stepDelete(turn);
    default:
      return stepMark(turn);
  }
}

/** What is known from before, and what a look shows: snapshots, index files and listings that were seen once count as there. */
function learn(turn: Turn, self: Client, view: View): void {
  const stored = storedPacks(turn.state);
  self.lists |= view.lists;
  self.files |= view.files;
  self.packs = turn.has('a pack that was seen counts as there') ? self.packs | stored : stored;
}

/** Marks that are old enough and still of no use, and marks that say nothing any more. */
function sortMarks(turn: Turn, self: Client, view: View): void {
  // Marks that were seen once count as well.
  const marks = view.marks | self.going;
  const held = marks & ~view.blind;
  // A mark that does not say what the pack holds is void once an index file lists it.
  const isVoid = (view.blind & self.lists) | (marks & ~self.lists & ~self.packs);
  const marked = marks & ~isVoid;
  const isKeptElsewhere = (self.lists & ~marked & self.packs) !== 0;
  const keep =
    self.flag && !isKeptElsewhere ? lowest(marked & (self.lists | held) & self.packs) : 0;
  const old = turn.has('no grace period') ? marks : view.aged | self.going;
  self.going = old & marked & ~keep;
  self.other = isVoid | keep;
}

function plan(turn: Turn): void {
  for (const view of turn.views('both')) {
    turn.go('list snapshot, list index, list pack', 'settle', (self) => {
      self.flag = view.isNeeded;
      learn(turn, self, view);
      sortMarks(turn, self, view);
    });
  }
}

function stepCommit(turn: Turn): void {
  const { client } = turn;
  const isBlind = turn.has('a commit beside other programs');
  const isBarred = turn.other(
    (other) => !(isBlind && isOfRestic(other)) && stands(other, 'commit', 'second'),
  );
  if (client.at === 'commit') {
    turn.go('list lock (give the commit up)', 'mark');
    turn.mustOwn(() =>
      turn.go('put lock (commit)', 'look again', (self) => {
        self.commit = true;
      }),
    );
  } else if (isBarred && !turn.has('no second look')) {
    turn.go('remove lock (commit)', 'commit', (self) => {
      self.commit = false;
    });
  } else turn.go('list lock', 'refresh');
}

/** Looks for snapshots, and then for index files and packs, under the commit's lock. */
function refresh(turn: Turn): void {
  if (turn.client.at === 'refresh') {
    for (const view of turn.views('snapshots')) {
      turn.go('list snapshot', 'read index', (self) => {
        if (!turn.has('snapshots are not listed again')) self.flag ||= view.isNeeded;
      });
    }
    return;
  }
  for (const view of turn.views('index')) {
    turn.go('list index, list pack', 'who runs', (self) => {
      learn(turn, self, view);
      sortMarks(turn, self, view);
    });
  }
}

/** What was marked after the begin of anything that runs stays. Who was not heard of for a day is not waited for. */
function whoRuns(turn: Turn): void {
  const { state, number } = turn;
  let isHeldUp = 0;
  state.clients.forEach((other, i) => {
    if (i === number || !isLocked(other) || other.late) return;
    isHeldUp |= isOfRestic(other) ? -1 : other.older;
  });
  if (turn.has('running operations are not waited for')) isHeldUp = 0;
  turn.go('list lock (who runs)', 'delete', (self) => {
    self.going &= ~isHeldUp;
    if ((self.going | self.other) === 0) self.at = 'release commit';
  });
}

function stepDelete(turn: Turn): void {
  const { client } = turn;
  const isHasty = turn.has('packs go before the index lets go of them');
  turn.mustOwn(() => {
    if (client.at === 'delete') {
      const first = isHasty ? client.going : client.going & ~client.lists;
      const name = first === 0 ? 'nothing is unlisted' : 'remove pack (unlisted)';
      turn.go(name, 'put index', (_, state) => removePacks(state, first));
    } else if (client.at === 'put index') {
      putIndex(turn);
    } else if (client.at === 'remove index') {
      turn.go('remove index', 'remove packs', (self, state) => {
        removeFiles(state, self.files);
        self.files = trueView(state).files;
      });
    } else removePack(turn);
  });
}

/** What the changed index files still list and mark is stored anew, and packs that were marked only and are needed. */
function putIndex(turn: Turn): void {
  const { client, state } = turn;
  const place = turn.freeFile();
  if (place === undefined) return turn.end('no more index files', 'done');
  for (const view of viewsOf(state, turn.world.isWeak, 'index')) {
    const { files: there } = trueView(state);
    const files = filesWith(
      state,
      (view.files | client.files) & there,
      client.going | client.other,
    );
    const added = client.other & ~client.lists & client.packs;
    turn.go(
      added !== 0 || files !== 0 ? 'put index' : 'nothing to list',
      'remove index',
      (self, next) => {
        if (files !== 0 || added !== 0)
          putRest(next, place, { files, without: self.going, drop: self.other });
        const file = next.index[place];
        if (file) file.lists |= added;
        self.files = files;
      },
    );
  }
}

/** Joins what index files say that are to be replaced. */
function putRest(
  state: State,
  place: number,
  {
    files,
    without,
    drop,
  }: { readonly files: number; readonly without: number; readonly drop: number },
): void {
  let [lists, marks, blind, newer] = [0, 0, 0, 0];
  state.index.forEach((file, i) => {
    if ((files & bit(i)) === 0) return;
    lists |= file.lists & ~without;
    marks |= file.marks & ~(without | drop);
    blind |= file.blind;
    newer |= file.marks & ~file.aged;
  });
  if ((lists | marks) === 0) return;
  putListing(state, place, lists);
  Object.assign(state.index[place] ?? {}, { marks, blind: blind & marks, aged: marks & ~newer });
}

function removePack(turn: Turn): void {
  const pack = lowest(turn.client.going);
  if (pack === 0) return turn.go('all are gone', 'release commit');
  turn.go('remove pack', 'remove packs', (self, state) => {
    removePacks(state, pack);
    self.going &= ~pack;
    self.lists &= ~pack;
    self.packs &= ~pack;
    if (self.going === 0) self.at = 'release commit';
  });
}

function stepMark(turn: Turn): void {
  const { client } = turn;
  switch (client.at) {
    case 'release commit':
      return turn.go('remove lock (commit)', 'mark', (self) => {
        self.commit = false;
      });
    case 'mark':
      for (const view of turn.views('snapshots')) {
        turn.go('list snapshot', 'choose', (self) => {
          if (!turn.has('snapshots are not listed again')) self.flag ||= view.isNeeded;
        });
      }
      return;
    case 'choose':
      return choose(turn);
    case 'put marks':
      return turn.mustOwn(() => putMarks(turn));
    case 'marked':
      return lookAtMarks(turn);
    case 'release': {
      const isLast = client.rounds + 1 >= turn.world.roundsMax;
      return turn.end('remove lock', isLast ? 'done' : 'begin', (self) => {
        self.rounds++;
      });
    }
  }
}

/** What nobody needs, or needs twice, and what no index lists. */
function choose(turn: Turn): void {
  for (const view of turn.views('index')) {
    turn.go('list index, list pack', 'put marks', (self, state) => {
      learn(turn, self, view);
      const held = view.marks & ~view.blind;
      const listed = self.lists & ~held & self.packs;
      const keep = self.flag ? lowest(listed) : 0;
      self.other = self.packs & ~self.lists & ~view.marks;
      self.going = (listed & ~keep) | self.other;
      self.day = state.day;
      callOlder(turn, state, self.going);
      if (self.going === 0) self.at = 'release';
    });
  }
}

function putMarks(turn: Turn): void {
  const { client, state } = turn;
  const place = turn.freeFile();
  if (place === undefined) return turn.end('no more index files', 'done');
  const isAtOnce = turn.has('deleted at once when marked');
  if (isAtOnce) {
    return turn.go('remove pack', 'release', (self, next) => removePacks(next, self.going));
  }
  const isOld = state.day > client.day;
  turn.go('put index (marks)', 'marked', (self, next) => {
    const { going: marks, other: blind } = self;
    next.index[place] = { state: young, lists: 0, marks, blind, aged: isOld ? marks : 0 };
    // The begin of an operation is taken half an hour earlier than it was.
    const isBare = turn.has('the bare begin of an operation counts');
    if (!isOld && !isBare) callOlder(turn, next, marks);
    self.files = bit(place);
    self.flag = isOld;
  });
}

/** Marks that took long to be stored are made anew, or taken back if the lock was lost meanwhile. */
function lookAtMarks(turn: Turn): void {
  const { flag: isOld } = turn.client;
  if (turn.has('marks keep the time of before a sleep'))
    return turn.go('look at the clock', 'release');
  // Those that came in time may have been seen, and others go by them.
  if (!isOld) return turn.go('look at the clock', 'release');
  turn.mustOwn(() => {
    turn.go('put index (marks, with a later time)', 'release', (self, next) => {
      next.index.forEach((file, i) => {
        if (has(self.files, i)) file.aged = 0;
      });
      callOlder(turn, next, self.going);
    });
  }, takeBack);
}

function takeBack({ files }: Client, state: State): void {
  removeFiles(state, files);
}

/** All who work now began before these marks. */
function callOlder(turn: Turn, state: State, marks: number): void {
  state.clients.forEach((other, i) => {
    if (i !== turn.number && isLocked(other)) other.older |= marks;
  });
}
