import { standsAgainstRestic } from './lock-table.ts';
import { bit, lowest, storedPacks, young } from './state.ts';
import { isOver, putListing, removeFiles, removePacks, type Turn } from './turn.ts';

/** Another program, which knows only shared and exclusive locks and no marks: it backs up, or prunes at once. */
export function stepRestic(turn: Turn): void {
  const { client } = turn;
  if (client.late && !isOver(client)) {
    // It looks whether its lock is still there, and gives up if not.
    if (client.lock === 'none') return turn.end('stat lock (it was removed)', 'failed');
    return turn.go('put lock (renewed)', client.at, (self) => {
      self.late = false;
    });
  }
  if (client.at === 'begin') {
    turn.putLock('restic-shared', 'settle');
    // It believes every listing.
    if (!turn.world.isWeak) turn.putLock('restic-exclusive', 'settle');
    return;
  }
  const isAlone = client.lock === 'restic-exclusive';
  if (client.at === 'settle') {
    if (turn.other((other) => standsAgainstRestic(other, isAlone)) && !turn.has('no second look')) {
      turn.end('remove lock (another is there)', 'begin');
    } else turn.go('list lock', isAlone ? 'orphans' : 'load');
  } else if (isAlone) prune(turn);
  else backup(turn);
}

function backup(turn: Turn): void {
  const { client, world } = turn;
  const [place = 0] = world.packsOf(turn.number);
  if (client.at === 'load') {
    for (const view of turn.views('index')) {
      turn.go('list index', view.lists === 0 ? 'store' : 'put');
    }
  } else if (client.at === 'store') {
    turn.go('put pack', 'list', (_, state) => {
      state.packs[place] = young;
    });
  } else if (client.at === 'list') {
    turn.go('put index', 'put', (_, state) =>
      putListing(state, world.filesOf(turn.number)[0] ?? 0, bit(place)),
    );
  } else {
    turn.end('put snapshot, remove lock (told)', 'done', (_, state) => {
      state.snapshots[turn.number] = young;
      state.told |= bit(turn.number);
    });
  }
}

function prune(turn: Turn): void {
  const { client, state, world } = turn;
  const [view] = turn.views('both');
  const place = world.filesOf(turn.number)[0] ?? 0;
  if (client.at === 'orphans' && view) {
    turn.go('list snapshot, list index, remove pack (unlisted)', 'index', (self, next) => {
      removePacks(next, storedPacks(state) & ~view.lists);
      const held = view.lists & storedPacks(state);
      // Of two packs that hold the same it keeps any; here the last, as another order of things.
      const keep = view.isNeeded ? highest(held) : 0;
      self.going = held & ~keep;
      self.files = view.files;
      if (keep !== 0) putListing(next, place, keep);
    });
  } else if (client.at === 'index') {
    turn.go('remove index', 'packs', (self, next) => removeFiles(next, self.files));
  } else {
    turn.end('remove pack, remove lock', 'done', (self, next) => removePacks(next, self.going));
  }
}

function highest(set: number): number {
  let last = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) last = lowest(rest);
  return last;
}
