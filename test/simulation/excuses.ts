import type { ErrorCode, HoldfastError } from '../../src/base/errors.ts';
import type { FileType } from '../../src/storage/backend.ts';

/**
 * What a process met that may end its work.
 *
 * - `killed`, `slept`, `clockJumped`: of itself and its machine
 * - `unavailable`, `answerLost`, `slow`, `outage`, `full`, `readOnly`, `denied`, `sticky`, `garbled`, `listingLacked`,
 *   `listingGhost`: of one of its own calls
 * - `otherLock`: it read the lock of another; `lockTaken`: another removed its own; `crowded`: behind listings that lag
 *   another worked that excludes it
 * - `rolledBack`: the storage went back
 * - `empty`: there was no snapshot while it ran
 * - `upgraded`: another upgraded the repository while it ran; `mended`: another mended damage that it may have read of before
 */
export type Met =
  | 'killed'
  | 'slept'
  | 'clockJumped'
  | 'unavailable'
  | 'answerLost'
  | 'slow'
  | 'outage'
  | 'full'
  | 'readOnly'
  | 'denied'
  | 'sticky'
  | 'garbled'
  | 'listingLacked'
  | 'listingGhost'
  | 'otherLock'
  | 'lockTaken'
  | 'crowded'
  | 'upgraded'
  | 'mended'
  | 'rolledBack'
  | 'empty';

/** Who ended with an error, and where. */
export interface Ended {
  /** The operation, as it is called in `clients.ts`. */
  readonly command: string;
  readonly met: ReadonlySet<Met>;
  /** Where it worked: two for a copy. */
  readonly places: readonly {
    readonly store: { isDamaged(type: FileType): boolean; readonly tornNames: readonly string[] };
    readonly oracle: { readonly missesSacrificed: boolean };
  }[];
}

/** Why an operation may end with an error. */
interface Excuse {
  readonly codes: readonly ErrorCode[];
  /** Default: all. */
  readonly commands?: readonly string[];
  /** The process itself met one of these. */
  readonly met?: readonly Met[];
  /** A file of one of these types was damaged where it worked, and nobody has mended that yet. */
  readonly damaged?: readonly FileType[];
  /** The error names a file of which a power cut left a part. */
  readonly isTorn?: true;
  /** Its message says this. Default: anything. */
  readonly says?: RegExp;
  /** A prune without room removed packs that nobody needs and index files list. */
  readonly isSacrificed?: true;
}

const publishing = ['backup', 'copy', 'rewrite', 'tag', 'recover', 'mend', 'mend whole'];
const pruning = ['prune', 'prune twice', 'instant prune', 'second prune'];
const foreign = ['foreign backup', 'foreign forget', 'foreign prune'];
/** What tells of wrong bytes or of files that are not there. */
const damages = [
  'UNPACKED_DAMAGED',
  'INDEX_DAMAGED',
  'PACK_DAMAGED',
  'BLOB_DAMAGED',
  'BLOB_NOT_FOUND',
  'TREE_DAMAGED',
  'SNAPSHOT_DAMAGED',
  'SNAPSHOT_NOT_FOUND',
  'FILE_NOT_FOUND',
  'RANGE_NOT_SATISFIABLE',
  'SEAL_BROKEN',
] as const satisfies readonly ErrorCode[];

/** Everything that is no failure of the program. */
const excuses: readonly Excuse[] = [
  { codes: ['CANCELLED'], met: ['killed'] },
  {
    codes: ['BACKEND_UNAVAILABLE'],
    met: ['unavailable', 'answerLost', 'slow', 'outage', 'slept'],
  },
  { codes: ['STORAGE_FULL'], met: ['full'] },
  { codes: ['READ_ONLY'], met: ['readOnly'] },
  { codes: ['PERMISSION_DENIED'], met: ['denied'] },
  { codes: ['REPOSITORY_LOCKED'], met: ['otherLock'] },
  // By the lock of its own first half, which could not be removed.
  {
    codes: ['REPOSITORY_LOCKED'],
    commands: ['prune twice'],
    met: ['unavailable', 'answerLost', 'slow', 'outage', 'readOnly', 'denied', 'sticky'],
  },
  // Renewals that fail for long are no better than a sleep.
  {
    codes: ['LOCK_LOST'],
    met: [
      'slept',
      'lockTaken',
      'clockJumped',
      'unavailable',
      'answerLost',
      'slow',
      'outage',
      'full',
      'readOnly',
      'denied',
      'rolledBack',
    ],
  },
  { codes: ['PRUNE_REFUSED'], commands: pruning, met: ['empty', 'listingLacked'] },
  // The storage says that it removed, and has it still.
  { codes: ['BACKEND_WRITE_FAILED'], met: ['sticky'] },
  // What was stored just now is gone again.
  { codes: ['BACKEND_WRITE_FAILED'], commands: ['backup'], met: ['rolledBack'] },
  // A forget that was not shown its lock took its new snapshot for one of the others.
  { codes: ['BACKEND_WRITE_FAILED'], commands: publishing, met: ['crowded'] },
  // Two prunes that were not shown each other's lock: one replaced the index file that the other had just stored.
  { codes: ['BACKEND_WRITE_FAILED'], commands: pruning, met: ['crowded'] },
  // A power cut brought its lock back, which others had taken for left: it believes what it listed before.
  { codes: ['FILE_NOT_FOUND'], commands: foreign, met: ['lockTaken'] },
  { codes: ['FILE_EXISTS', 'UNPACKED_DAMAGED', 'LOCK_DAMAGED'], isTorn: true },
  // What it had stored was damaged while it slept, before it could be sure of it.
  { codes: ['FILE_EXISTS'], commands: publishing, damaged: ['snapshot'] },
  // An answer was lost, and what it reads then is not what it stored. Holdfast reads again.
  {
    codes: ['FILE_EXISTS'],
    commands: foreign,
    met: ['garbled'],
  },
  // It was shown a snapshot that others had removed, and its data with it.
  { codes: ['REFERENCE_LOST'], commands: ['tag'], met: ['listingGhost', 'listingLacked'] },
  { codes: ['REFERENCE_LOST'], commands: publishing, met: ['lockTaken', 'rolledBack', 'crowded'] },
  {
    codes: ['REPOSITORY_LOCKED'],
    met: ['upgraded'],
    says: /^the repository was upgraded to version 2 while this command (ran|waited for it)$/,
  },
  // Another did the same while it slept.
  { codes: ['FORMAT_UNSUPPORTED'], commands: ['migrate'], met: ['upgraded'] },
  // What it read before it slept, another has mended since.
  { codes: damages, met: ['mended'] },
  // Its check finds those packs missing.
  { codes: ['REPOSITORY_DAMAGED'], commands: ['migrate'], isSacrificed: true },
  // What it reads goes away while the storage goes back.
  { codes: damages, commands: ['backup', 'restore'], met: ['rolledBack'] },
  { codes: damages, met: ['garbled', 'listingLacked', 'listingGhost', 'crowded'] },
  { codes: ['LOCK_DAMAGED', 'KEY_DAMAGED', 'CONFIG_DAMAGED'], met: ['garbled'] },
  // The listing lacked the key.
  { codes: ['PASSWORD_WRONG'], met: ['listingLacked', 'listingGhost', 'garbled'] },
  { codes: ['REPOSITORY_DAMAGED'], commands: ['migrate'], damaged: ['index', 'snapshot', 'pack'] },
  {
    codes: ['REPOSITORY_DAMAGED'],
    commands: ['migrate'],
    met: ['garbled', 'listingLacked', 'listingGhost', 'crowded'],
  },
  // Of what is left nothing is sound.
  {
    codes: ['RETENTION_REFUSED'],
    commands: ['forget', 'second forget'],
    damaged: ['index', 'pack', 'snapshot'],
  },
  {
    codes: ['RETENTION_REFUSED'],
    commands: ['forget', 'second forget'],
    met: ['garbled', 'listingLacked', 'listingGhost', 'crowded', 'unavailable', 'denied'],
  },
  // A repair that could not remove the old index file of a damaged pack leaves two that differ.
  { codes: ['INDEX_DAMAGED'], damaged: ['index', 'pack'] },
  { codes: ['SNAPSHOT_DAMAGED', 'SNAPSHOT_NOT_FOUND'], damaged: ['snapshot'] },
  { codes: ['UNPACKED_DAMAGED', 'FILE_NOT_FOUND'], damaged: ['index', 'snapshot', 'pack'] },
  {
    codes: [
      'PACK_DAMAGED',
      'BLOB_DAMAGED',
      'BLOB_NOT_FOUND',
      'TREE_DAMAGED',
      'REFERENCE_LOST',
      'RANGE_NOT_SATISFIABLE',
      'SEAL_BROKEN',
    ],
    damaged: ['pack', 'index'],
  },
];

/** Whether an error is one that the operation may end with, by what itself met and what is damaged where it worked. */
export function isExcused(error: HoldfastError, ended: Ended): boolean {
  return excuses.some((excuse) => fits(excuse, error, ended));
}

function fits(excuse: Excuse, error: HoldfastError, { command, met, places }: Ended): boolean {
  const { codes, commands, met: whats = [], damaged = [], isTorn, says, isSacrificed } = excuse;
  if (!codes.includes(error.code) || commands?.includes(command) === false) return false;
  if (says?.test(error.message) === false) return false;
  if (whats.some((what) => met.has(what))) return true;
  if (isSacrificed && places.some(({ oracle }) => oracle.missesSacrificed)) return true;
  if (places.some(({ store }) => damaged.some((type) => store.isDamaged(type)))) return true;
  const said = JSON.stringify(error.details);
  return (
    isTorn === true &&
    places.some(({ store }) => store.tornNames.some((name) => said.includes(name.slice(0, 10))))
  );
}

/** Whether an operation may find damage, or tell of files that it could not restore. */
export function mayFindDamage({ met, places }: Ended): boolean {
  const isMisled = (['garbled', 'listingLacked', 'listingGhost', 'crowded'] as const).some((what) =>
    met.has(what),
  );
  const types: readonly FileType[] = ['pack', 'index', 'snapshot'];
  return isMisled || places.some(({ store }) => types.some((type) => store.isDamaged(type)));
}
