import {
  isExclusive,
  isLocked,
  isOfRestic,
  isPrune,
  removeFiles,
  removePacks,
  type Turn,
} from './clients.ts';
import { absent, lowest, type State, storedPacks, young } from './state.ts';

/**
 * A prune. Phase two: marks that are old enough are taken back if somebody needs them, else their packs are deleted. Phase
 * one: what nobody needs is marked under the commit's lock.
 */
export function stepPrune(turn: Turn): void {
  const { client } = turn;
  const isHeld = !['begin', 'look again', 'done', 'failed'].includes(client.at);
  // Its lock is not taken anew: it ends, and the next prune goes on.
  if (isHeld && client.late && !turn.has('who slept goes on at once')) {
    return turn.end('the lock was lost', 'failed');
  }
  switch (client.at) {
    case 'begin':
    case 'look again':
      return turn.lock('prune', (other) => isExclusive(other) || isPrune(other), 'who runs');
    case 'who runs':
      return turn.go('look who runs', 'what is old', (self) => {
        self.flag = turn.other(
          (other) => isLocked(other) && !other.late && (other.isOlder || isOfRestic(other)),
        );
      });
    case 'what is old':
      return planDeletions(turn);
    case 'delete':
      return turn.go('delete a pack', 'delete', (self, state) => {
        const pack = lowest(self.known);
        removePacks(state, pack);
        for (const file of state.index) file.marks &= ~pack;
        for (const file of state.index) file.aged &= ~pack;
        self.known &= ~pack;
        if (self.known === 0) self.at = 'plan';
      });
    case 'plan':
      for (const view of turn.views) {
        const isRemembered = turn.has('snapshots are not listed again') && view.isNeeded;
        turn.go('list snapshots', 'commit', (self) => {
          self.flag = isRemembered;
        });
      }
      return;
    default:
      return stepCommit(turn);
  }
}

function planDeletions(turn: Turn): void {
  for (const view of turn.views) {
    const old = turn.has('no grace period') ? view.marks : view.aged;
    const marked = old & storedPacks(turn.state);
    const isNeeded = view.isNeeded && view.lists === 0;
    const back = isNeeded ? lowest(marked) : 0;
    turn.go('list marks and snapshots', 'delete', (self, state) => {
      const isHeldUp = self.flag && !turn.has('running operations are not waited for');
      self.known = isHeldUp ? 0 : marked & ~back;
      if (back !== 0) unmark(state, back);
      if (self.known === 0) self.at = 'plan';
    });
  }
}

/** In one step: an index file that lists it is stored before the mark goes, and to be listed is enough. */
function unmark(state: State, pack: number): void {
  const file = state.index.find(({ marks }) => (marks & pack) !== 0);
  if (!file) return;
  file.lists |= pack;
  file.marks &= ~pack;
  file.aged &= ~pack;
}

function stepCommit(turn: Turn): void {
  const { client } = turn;
  const stands = (other: (typeof turn.state.clients)[number]): boolean =>
    isExclusive(other) ||
    isPrune(other) ||
    other.lock === 'publish' ||
    (isOfRestic(other) && !turn.has('a commit beside other programs'));
  const isBlind = turn.has('no second look');
  if (client.at === 'commit') {
    turn.end('give the commit up', 'done');
    if (!isBlind) writeCommit(turn, 'look again for commit');
    else if (!turn.other(stands)) turn.go('look', 'look again for commit');
  } else if (client.at === 'look again for commit') {
    if (isBlind) return writeCommit(turn, 'mark');
    if (!turn.other(stands)) return turn.go('hold', 'mark');
    turn.go('withdraw', 'commit', (self) => {
      self.commit = false;
    });
  } else if (client.at === 'mark') mark(turn);
  else if (client.at === 'replace') replace(turn);
  else if (client.at === 'release') {
    const isLast = client.rounds + 1 >= turn.world.roundsMax;
    turn.end('release', isLast ? 'done' : 'begin', (self) => {
      self.rounds++;
      self.isOlder = false;
    });
  }
}

function writeCommit(turn: Turn, then: string): void {
  turn.go('lock commit', then, (self) => {
    self.commit = true;
  });
}

/** The new index: what nobody needs, or needs twice, and what no index lists, is marked from now on. */
function mark(turn: Turn): void {
  const { client, state, world } = turn;
  const place = world.filesOf(turn.number).find((i) => state.index[i]?.state === absent);
  const stored = storedPacks(state);
  for (const view of turn.views) {
    const isNeeded = turn.has('snapshots are not listed again') ? client.flag : view.isNeeded;
    const listed = view.lists & stored;
    const keep = isNeeded ? lowest(listed) || lowest(view.marks & stored) : 0;
    const orphans = stored & ~view.lists & ~view.marks;
    const isAtOnce = turn.has('orphans are deleted at once');
    const marks = ((view.marks & stored) | listed | (isAtOnce ? 0 : orphans)) & ~keep;
    if (keep === listed && marks === (view.marks & stored) && orphans === 0) {
      turn.go('nothing to mark', 'release');
    } else if (place === undefined) {
      turn.end('out of index files', 'done');
    } else {
      turn.go('store the new index', 'replace', (self, next) => {
        if (isAtOnce) removePacks(next, orphans);
        next.index[place] = { state: young, lists: keep, marks, aged: view.aged & marks };
        callOlder(turn, next);
        self.files = view.files;
      });
    }
  }
}

function replace(turn: Turn): void {
  turn.go('remove the old index files', 'release', (self, state) => {
    removeFiles(state, self.files);
    // Who came while the old index was still there leans on it as well.
    callOlder(turn, state);
  });
}

/** All who work now began before these marks: the date of a mark is compared with their begin, with half an hour to spare. */
function callOlder(turn: Turn, state: State): void {
  state.clients.forEach((other, i) => {
    if (i !== turn.number && isLocked(other)) other.isOlder = true;
  });
}
