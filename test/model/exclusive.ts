import { defined } from '../../src/base/assert.ts';
import { absent, lowest, storedPacks, trueView } from './state.ts';
import { filesWith, putListing, removeFiles, removePacks, type Turn } from './turn.ts';

/**
 * What works alone: it writes an exclusive lock, reads, and looks again for others before it changes anything.
 * @see src/engine/forget.ts, src/engine/prune/instant.ts, src/engine/repair-index.ts
 */
export function stepExclusive(turn: Turn): void {
  const { client, world } = turn;
  const role = defined(world.roles[turn.number], 'each client has a role');
  if (client.at === 'begin') return turn.putLock('exclusive', 'plan');
  if (client.at === 'plan') return plan(turn);
  if (client.at === 'settle') {
    return turn.lookAgain('exclusive', () => turn.go('list lock', role));
  }
  turn.mustOwn(() => {
    if (role === 'forget') forget(turn);
    else if (role === 'repair') repair(turn);
    else prune(turn);
  });
}

function plan(turn: Turn): void {
  for (const view of turn.views('both')) {
    turn.go('list snapshot, list index, list pack', 'settle', (self, state) => {
      self.flag = view.isNeeded;
      self.lists = view.lists;
      self.packs = storedPacks(state);
      self.files = view.files;
      // Packs that only a blind mark or nothing names, and those that are marked and unlisted, of which the mark says enough.
      self.other = view.marks;
    });
  }
}

/** Removes the snapshot from the beginning. */
function forget(turn: Turn): void {
  const { client, state } = turn;
  if (!client.flag) return turn.end('remove lock (nothing to forget)', 'done');
  turn.end('remove snapshot, remove lock', 'done', (_, next) => {
    next.snapshots[state.clients.length] = absent;
  });
}

/** Lists packs that no index file lists, unless they are marked, and no longer those that are gone. */
function repair(turn: Turn): void {
  const { client, state } = turn;
  const place = turn.freeFile();
  if (client.at === 'repair') {
    // Headers are read after the second look.
    const added = client.packs & ~client.lists & ~client.other & storedPacks(state);
    if (added === 0 || place === undefined) return turn.go('nothing is unlisted', 'rewrite');
    return turn.go('put index', 'rewrite', (_, next) => putListing(next, place, added));
  }
  const missing = client.lists & ~client.packs;
  const files = filesWith(state, client.files, missing);
  if (client.at === 'rewrite') {
    if (missing === 0 || files === 0 || place === undefined) return turn.end('remove lock', 'done');
    let lists = 0;
    state.index.forEach((file, i) => {
      if ((files & (1 << i)) !== 0) lists |= file.lists;
    });
    return turn.go('put index', 'remove index', (_, next) =>
      putListing(next, place, lists & ~missing),
    );
  }
  turn.end('remove index, remove lock', 'done', (_, next) => removeFiles(next, files));
}

/** An instant prune: packs in no index first, then the new index, old index files, and packs. */
function prune(turn: Turn): void {
  const { client, state } = turn;
  switch (client.at) {
    case 'instant':
    case 'refresh':
      for (const view of turn.views('both')) {
        const isFirst = client.at === 'instant';
        const then = isFirst ? 'orphans' : 'put index';
        turn.go('list snapshot, list index, list pack', then, (self) => {
          self.flag ||= view.isNeeded;
          self.lists |= view.lists;
          self.files |= view.files;
          const stored = storedPacks(state);
          self.packs = turn.has('a pack that was seen counts as there')
            ? self.packs | stored
            : stored;
          self.other = view.marks & ~view.blind;
          if (isFirst) self.going = self.packs & ~self.lists & ~self.other;
          else {
            const held = (self.lists | self.other) & self.packs;
            self.going = held & ~(self.flag ? lowest(self.lists & held) || lowest(held) : 0);
          }
        });
      }
      return;
    case 'orphans':
      return turn.go('remove pack (unlisted)', 'refresh', (self, next) =>
        removePacks(next, self.going),
      );
    case 'put index':
      return replaceIndex(turn);
    case 'remove index':
      return turn.go('remove index', 'packs', (self, next) => removeFiles(next, self.files));
    default:
      return turn.end('remove pack, remove lock', 'done', (self, next) =>
        removePacks(next, self.going),
      );
  }
}

function replaceIndex(turn: Turn): void {
  const { client, state } = turn;
  const place = turn.freeFile();
  const held = (client.lists | client.other) & client.packs;
  const keeps = held & ~client.going;
  if (client.going === 0) return turn.end('remove lock', 'done');
  if (place === undefined) return turn.end('no more index files', 'done');
  turn.go('put index', 'remove index', (self, next) => {
    self.files &= trueView(state).files;
    putListing(next, place, keeps);
  });
}
