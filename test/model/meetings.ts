import type { Meeting } from './protocol.ts';
import type { Mistake } from './turn.ts';

export interface NamedMeeting extends Meeting {
  readonly name: string;
}

/**
 * A prune that deletes at once what it marks (`--keep-delete 0`), and waits for nobody: without any mistake but these two
 * backups may fail in it, and nothing is lost.
 */
export const hasty: Meeting = {
  clients: ['backup', 'prune'],
  mayFail: true,
  mistakes: ['no grace period', 'running operations are not waited for'],
};

/** Three that begin when something is marked, or is to be: each prune comes once. */
const three = { from: ['listed', 'aged'], rounds: 1 } as const;

/** Those that every run of the tests visits. */
export const shortMeetings: readonly NamedMeeting[] = [
  { name: 'a backup and a prune', clients: ['backup', 'prune'], days: 2 },
  { name: 'late writes', clients: ['backup', 'prune'], isLate: true },
  { name: 'weak listings', clients: ['backup', 'prune'], isWeak: true },
  {
    name: 'two copies, and looks far from writes',
    clients: ['prune', 'restic'],
    from: ['twice'],
    isNeeded: true,
    isSlow: true,
    crashes: 0,
  },
  { name: 'a prune that waits for nobody', ...hasty },
  {
    name: 'a forget',
    clients: ['backup', 'prune', 'forget'],
    ...three,
    isNeeded: true,
    crashes: 0,
  },
  { name: 'an instant prune', clients: ['backup', 'prune', 'instant'], ...three, crashes: 0 },
  { name: 'a repair', clients: ['backup', 'prune', 'repair'], ...three, crashes: 0 },
  {
    name: 'two prunes and a kill',
    clients: ['backup', 'prune', 'prune'],
    from: ['aged'],
    rounds: 1,
    days: 0,
    sleeps: 0,
  },
  {
    name: 'another program, and looks far from writes',
    clients: ['backup', 'prune', 'restic'],
    from: ['twice', 'aged'],
    rounds: 1,
    isNeeded: true,
    isSlow: true,
    crashes: 0,
    sleeps: 0,
  },
];

/** Those of `npm run soak -- model`. */
export const longMeetings: readonly NamedMeeting[] = [
  { name: 'two backups', clients: ['backup', 'backup', 'prune'], ...three, crashes: 0 },
  { name: 'two backups and a kill', clients: ['backup', 'backup', 'prune'], ...three, sleeps: 0 },
  { name: 'two prunes', clients: ['backup', 'prune', 'prune'], ...three, crashes: 0 },
  { name: 'another program', clients: ['backup', 'prune', 'restic'], ...three },
  { name: 'a forget and a kill', clients: ['backup', 'prune', 'forget'], isNeeded: true },
  { name: 'an instant prune and a kill', clients: ['backup', 'prune', 'instant'] },
  { name: 'a repair and a kill', clients: ['backup', 'prune', 'repair'] },
];

/** What each mistake leads to, in a small meeting in which it does. */
export const mistakes: readonly (readonly [Mistake, Meeting, RegExp])[] = [
  ['no proof before the snapshot', { clients: ['backup', 'prune'] }, /a snapshot refers to/],
  ['publish without telling', hasty, /what was deleted/],
  ['no grace period', { clients: ['backup', 'prune'], isWeak: true }, /what was deleted/],
  ['running operations are not waited for', { clients: ['backup', 'prune'] }, /never slept fails/],
  ['the bare begin of an operation counts', { clients: ['backup', 'prune'] }, /never slept fails/],
  ['what is marked is leaned on', { clients: ['backup', 'prune'], from: ['aged'] }, /fails/],
  ['deleted at once when marked', { clients: ['backup', 'prune'] }, /not there|refers to/],
  ['snapshots are not listed again', { clients: ['restic', 'prune'], from: ['aged'] }, /refers to/],
  [
    'a pack that was seen counts as there',
    { clients: ['prune', 'restic'], from: ['twice'], isNeeded: true, isSlow: true },
    /what was deleted/,
  ],
  [
    'packs go before the index lets go of them',
    { clients: ['prune'], from: ['aged'] },
    /pack that is not there/,
  ],
  [
    'a commit beside other programs',
    { clients: ['restic', 'prune'], from: ['aged'] },
    /refers to|exclude/,
  ],
  ['no second look', { clients: ['restic', 'prune'] }, /exclude|refers to/],
  ['who slept goes on at once', { clients: ['backup', 'prune'] }, /refers to|not there/],
  [
    'the lock is not asked for after a snapshot',
    { clients: ['backup', 'prune'], isLate: true },
    /refers to/,
  ],
  [
    'unlisted packs are not looked for',
    { clients: ['backup', 'prune'], isLate: true, rounds: 3 },
    /not there|refers to/,
  ],
  ['marks keep the time of before a sleep', { clients: ['backup', 'prune'] }, /never slept fails/],
  ['stale locks stay', { clients: ['backup', 'prune'] }, /never ends/],
];
