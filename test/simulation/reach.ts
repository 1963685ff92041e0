/**
 * What must happen in a simulation that is worth something, each with what it is. A run of 300 seeds in which one of them
 * never happens fails: who changes how clients behave must not lose what they came to.
 */
export const reachable = {
  marked: 'a prune marked packs',
  deleted: 'a later prune deleted marked packs',
  deletedBeside: 'a prune deleted marked packs while others worked',
  cleaned: 'in the end a prune deleted what was marked a day before',
  unmarked: 'a mark was dropped, and its pack stays',
  avoided: 'a backup stored anew what marked packs hold',
  provenAnew: 'the proof before a snapshot stored data anew',
  referenceLost: 'the proof before a snapshot found data gone, and there was none',
  repacked: 'a prune stored blobs of half-used packs anew',
  commitBlocked: 'others kept a prune from deleting',
  instantDeleted: 'an instant prune deleted packs',
  foreignUnseen: 'a listing hid a snapshot of the other program from a prune',
  foreignDeleted: 'the other program pruned packs away',
  lockTaken: 'the lock of a process that lives was removed',
  lockCleared: 'the lock of a dead process was removed',
  sleptPast: 'a process slept past its lock',
  lockLost: 'an operation ended since its lock was lost',
  died: 'a process was killed at a call',
  diedWriting: 'what a dead process had sent was stored after its death',
  powerUndone: 'a power cut undid removals',
  powerTorn: 'a power cut left a part of a file',
  answerLost: 'a change was made and reported as failed',
  garbled: 'wrong bytes were read once',
  misdirected: 'the bytes of another file were read once',
  cutShort: 'a part of a file was read as the whole once',
  listingLacked: 'a listing lacked a file that was there',
  listingGhost: 'a listing had a file that was gone',
  clockJumped: 'a clock jumped by more than a lock lives',
  outage: 'the storage did not answer for a while',
  full: 'the storage was full',
  readOnly: 'the storage took no changes',
  denied: 'the storage refused everything',
  sticky: 'a removal was reported, and not made',
  rolledBack: 'the storage went back to an earlier state',
  copied: 'snapshots were copied to a second repository',
  rewritten: 'snapshots were rewritten',
  tagged: 'tags were changed',
  recovered: 'a snapshot was made of trees that nothing referred to',
  migrated: 'a repository became one of version 2',
  keyRemoved: 'a key was removed',
  parityMade: 'packs were given parity',
  rotted: 'stored bytes were damaged so that a snapshot needs what is lost',
  rotFound: 'a check found that damage',
  rotMet: 'a restore met that damage and said so',
  rotHealed: 'parity healed a damaged pack',
  rotRepaired: 'a snapshot was repaired without what was lost',
} as const;

/** Something that must happen. */
export type Reached = keyof typeof reachable;

/** The names in `reachable`. */
export const reachableNames: readonly Reached[] = Object.keys(reachable) as Reached[];

/** What may be absent in 300 seeds: it needs a long sleep, or another program, at one of few moments. */
export const rarelyReached: ReadonlySet<Reached> = new Set<Reached>([
  'referenceLost',
  'commitBlocked',
  'foreignDeleted',
  'foreignUnseen',
]);

/** In how many of `runs` seeds each happened, as lines for people. */
export function reachTable(
  counts: Readonly<Partial<Record<Reached, number>>>,
  runs: number,
): string {
  const rows = reachableNames.map((name) => {
    const count = counts[name] ?? 0;
    const share = ((100 * count) / Math.max(1, runs)).toFixed(1).padStart(5);
    return `${share} %  ${String(count).padStart(7)}  ${reachable[name]}`;
  });
  return [`of ${runs} seeds`, ...rows].join('\n');
}
