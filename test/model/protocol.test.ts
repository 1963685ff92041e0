import { describe, expect, test } from 'vitest';

import type { Mistake } from './clients.ts';
import { explore } from './explore.ts';
import { type Meeting, protocol } from './protocol.ts';

/** All of it takes minutes: `HOLDFAST_MODEL=all npx vitest run test/model`. */
const isWhole = process.env['HOLDFAST_MODEL'] === 'all';
const stateCountMax = 8_000_000;

const meetings: readonly (Meeting & { readonly isLong?: boolean })[] = [
  { clients: ['backup', 'prune'], days: 2 },
  { clients: ['backup', 'prune'], isLate: true },
  { clients: ['backup', 'prune'], isWeak: true },
  { clients: ['backup', 'prune', 'forget'], isNeeded: true },
  { clients: ['backup', 'prune', 'restic'], isLong: true },
  { clients: ['backup', 'backup', 'prune'], isLong: true },
  { clients: ['backup', 'prune', 'prune'], isLong: true },
];

const chosen = meetings.filter(({ isLong }) => isWhole || !isLong);

test.each(chosen)(
  '$clients (weak listings: $isWeak, late writes: $isLate): nothing is lost, and all locks go',
  (meeting) => {
    const { stateCount, stepCount, fault, trace } = explore(protocol(meeting), stateCountMax);
    console.log(`${meeting.clients.join(', ')}: ${stateCount} states, ${stepCount} steps`);
    expect({ fault, trace }).toEqual({ fault: undefined, trace: undefined });
  },
  30 * 60_000,
);

/** What a mistake leads to, in the smallest meeting in which it does. */
const mistakes: readonly [Mistake, Meeting, RegExp][] = [
  ['no proof before the snapshot', { clients: ['backup', 'prune'] }, /a snapshot refers to/],
  ['publish without telling', { clients: ['backup', 'prune'] }, /what no index lists/],
  ['no grace period', { clients: ['backup', 'prune'], isWeak: true }, /what was deleted/],
  ['running operations are not waited for', { clients: ['backup', 'prune'] }, /never slept fails/],
  ['orphans are deleted at once', { clients: ['backup', 'prune'] }, /pack that is not there/],
  ['snapshots are not listed again', { clients: ['backup', 'prune'] }, /no index lists/],
  ['a commit beside other programs', { clients: ['restic', 'prune'] }, /refers to|exclude/],
  ['no second look', { clients: ['restic', 'prune'] }, /exclude|refers to/],
  ['who slept goes on at once', { clients: ['backup', 'prune'] }, /refers to|not there/],
  [
    'unlisted packs are not looked for',
    { clients: ['backup', 'prune'], isLate: true, rounds: 3 },
    /not there|refers to/,
  ],
  ['stale locks stay', { clients: ['backup', 'prune'] }, /never ends/],
];

describe('the model finds', () => {
  test.each(mistakes)('"%s"', (mistake, meeting, expected) => {
    const found = explore(protocol({ ...meeting, mistakes: [mistake] }), stateCountMax);
    expect(found.fault).toMatch(expected);
    expect(found.trace?.length).toBeGreaterThan(0);
  });
});

test('too many states are no success', () => {
  expect(() => explore(protocol({ clients: ['backup', 'prune'] }), 1000)).toThrow('more states');
});
