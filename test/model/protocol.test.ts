import { describe, expect, test } from 'vitest';

import { explore } from './explore.ts';
import { mistakes, shortMeetings } from './meetings.ts';
import { protocol } from './protocol.ts';
import { indexAgeMsMax } from '../../src/repository/index-writer.ts';
import {
  lockExpiryMs,
  lockRefreshMs,
  lockSettleMs,
  lockStaleMs,
  lockWatchMs,
} from '../../src/repository/lock-times.ts';

/** More than any meeting of a run of all tests has; `npm run soak -- model` visits the larger ones. */
const stateCountMax = 400_000;

test.each(shortMeetings)('$name: nothing is lost, and all locks go', ({ name, ...meeting }) => {
  const { stateCount, stepCount, fault, trace } = explore(protocol(meeting), stateCountMax);
  console.log(`${name}: ${stateCount} states, ${stepCount} steps`);
  expect({ fault, trace }).toEqual({ fault: undefined, trace: undefined });
  // A world in which hardly anything can happen shows nothing.
  expect(stateCount).toBeGreaterThan(1_000);
});

describe('the model finds', () => {
  test.each(mistakes)('"%s"', (mistake, meeting, expected) => {
    const planted = { ...meeting, mistakes: [...(meeting.mistakes ?? []), mistake] };
    const found = explore(protocol(planted), stateCountMax);
    expect(found.fault).toMatch(expected);
    expect(found.trace?.length).toBeGreaterThan(0);
  });
});

test('a mistake is told as the steps that lead there', () => {
  const planted = ['packs go before the index lets go of them'] as const;
  const found = explore(
    protocol({ clients: ['prune'], from: ['aged'], mistakes: planted }),
    stateCountMax,
  );
  expect(found.trace).toEqual([
    '0 prune: put lock (prune)',
    '0 prune: list snapshot, list index, list pack',
    '0 prune: list lock',
    '0 prune: put lock (commit)',
    '0 prune: list lock',
    '0 prune: list snapshot',
    '0 prune: list index, list pack',
    '0 prune: list lock (who runs)',
    '0 prune: remove pack (unlisted)',
  ]);
});

test('the times of the program are those that the model stands on', () => {
  // Who is taken for gone has known for minutes that his lock is not certain.
  expect(lockExpiryMs + lockRefreshMs).toBeLessThan(lockStaleMs);
  expect(lockWatchMs).toBeGreaterThan(lockRefreshMs);
  // Packs of who works are listed before anybody takes their owner for gone.
  expect(1.25 * indexAgeMsMax).toBeLessThan(lockExpiryMs);
  expect(lockSettleMs).toBeGreaterThan(0);
});

test('too many states are no success', () => {
  expect(() => explore(protocol({ clients: ['backup', 'prune'] }), 1000)).toThrow('more states');
});
