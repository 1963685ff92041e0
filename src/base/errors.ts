import { harmlessLine } from './harmless-text.ts';

/** How an error may be retried: never, after a pause, or only if the caller knows the work is idempotent. */
export type RetryAdvice = 'never' | 'later' | 'maybe';

/** What a row of the error table says. */
export interface ErrorRow {
  /** What went wrong, in words for a person, without details. */
  readonly summary: string;
  /** What to do about it; a throw site may give a better one. */
  readonly hint?: string;
  readonly retry: RetryAdvice;
  /** What it says something of: one item of many, whose others can still be worked on, or the work as a whole. */
  readonly scope: 'item' | 'work';
  /** Process exit code of the command line; restic's meaning. */
  readonly exitCode: 1 | 3 | 10 | 11 | 12 | 130;
  /** Status of the HTTP API. */
  readonly httpStatus: number;
}

function row(
  summary: string,
  hint?: string,
  more: Partial<Omit<ErrorRow, 'summary' | 'hint'>> = {},
): ErrorRow {
  const base = {
    summary,
    retry: 'never',
    scope: 'item',
    exitCode: 1,
    httpStatus: 500,
    ...more,
  } as const;
  return hint === undefined ? base : { ...base, hint };
}

/** Every error code. */
export type ErrorCode =
  | 'ASSERTION_FAILED'
  | 'CANCELLED'
  | 'USAGE'
  | 'UNSUPPORTED'
  | 'LOCATION_INVALID'
  | 'REPOSITORY_NOT_FOUND'
  | 'REPOSITORY_EXISTS'
  | 'REPOSITORY_LOCKED'
  | 'LOCK_LOST'
  | 'PASSWORD_WRONG'
  | 'PASSWORD_MISSING'
  | 'KEY_DAMAGED'
  | 'KEY_LIMIT'
  | 'CONFIG_DAMAGED'
  | 'FORMAT_UNSUPPORTED'
  | 'REPOSITORY_DAMAGED'
  | 'FILE_NOT_FOUND'
  | 'FILE_EXISTS'
  | 'RANGE_NOT_SATISFIABLE'
  | 'BACKEND_UNAVAILABLE'
  | 'LOGIN_REFUSED'
  | 'PROTOCOL_BROKEN'
  | 'BACKEND_READ_FAILED'
  | 'BACKEND_WRITE_FAILED'
  | 'SERVER_NOT_TRUSTED'
  | 'SERVER_ANSWER_INVALID'
  | 'STORAGE_FULL'
  | 'PERMISSION_DENIED'
  | 'READ_ONLY'
  | 'CREDENTIALS_REFUSED'
  | 'CLOCK_SKEWED'
  | 'FILE_ARCHIVED'
  | 'UNPACKED_DAMAGED'
  | 'PACK_DAMAGED'
  | 'BLOB_DAMAGED'
  | 'BLOB_NOT_FOUND'
  | 'REFERENCE_LOST'
  | 'TREE_DAMAGED'
  | 'SNAPSHOT_DAMAGED'
  | 'INDEX_DAMAGED'
  | 'PARITY_DAMAGED'
  | 'LOCK_DAMAGED'
  | 'JSON_INVALID'
  | 'SEAL_BROKEN'
  | 'COMPRESSION_BROKEN'
  | 'VERIFY_FAILED'
  | 'SNAPSHOT_NOT_FOUND'
  | 'ID_AMBIGUOUS'
  | 'RETENTION_REFUSED'
  | 'PRUNE_REFUSED'
  | 'PATH_NOT_FOUND'
  | 'SOURCE_MISSING'
  | 'SOURCE_EMPTY'
  | 'SOURCE_FAILED'
  | 'SOURCE_HOLDS_REPOSITORY'
  | 'COMMAND_FAILED'
  | 'TARGET_FAILED'
  | 'PATTERN_INVALID'
  | 'WORKER_FAILED'
  | 'SYSTEM_CALL_FAILED'
  | 'REQUEST_INVALID'
  | 'NOT_AUTHENTICATED'
  | 'NOT_ALLOWED'
  | 'NOT_THERE'
  | 'STATE_CONFLICT'
  | 'REQUEST_TOO_LARGE'
  | 'TOO_MANY_TRIES'
  | 'STATE_FAILED'
  | 'SECRET_NOT_OPENED'
  | 'RUN_INTERRUPTED';

const keyFileHint =
  'Put this file back, from a copy of the repository or from the recovery kit, or use the password of another key.';

/** What each code means, in the one place that knows it. `docs/ERRORS.md` lists the same rows. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = {
  ASSERTION_FAILED: row(
    'an internal check failed',
    'This is a defect in Holdfast: please report it.',
    { scope: 'work' },
  ),
  CANCELLED: row('cancelled', undefined, { scope: 'work', exitCode: 130, httpStatus: 499 }),
  USAGE: row('wrong usage', undefined, { httpStatus: 400 }),
  UNSUPPORTED: row('not supported here', undefined, { httpStatus: 501 }),

  LOCATION_INVALID: row('the repository location is not valid', undefined, { httpStatus: 400 }),
  REPOSITORY_NOT_FOUND: row(
    'there is no repository at this location',
    'Check the location, or create one with "holdfast init".',
    { scope: 'work', exitCode: 10, httpStatus: 404 },
  ),
  REPOSITORY_EXISTS: row('a repository exists at this location already', undefined, {
    httpStatus: 409,
  }),
  REPOSITORY_LOCKED: row(
    'the repository is locked',
    'Wait for the other process, use --retry-lock, or run "holdfast unlock" if its owner is dead.',
    { scope: 'work', exitCode: 11, httpStatus: 409, retry: 'later' },
  ),
  LOCK_LOST: row('the lock was lost while working', 'Run the command again.', {
    scope: 'work',
    exitCode: 11,
    httpStatus: 409,
  }),
  PASSWORD_WRONG: row(
    'wrong password or no key found',
    'Look at what --password-file, --password-command or RESTIC_PASSWORD gives. Any password of the repository will do, such as the one on its recovery kit.',
    { scope: 'work', exitCode: 12, httpStatus: 403 },
  ),
  PASSWORD_MISSING: row(
    'no password was given',
    'Use --password-file, --password-command or RESTIC_PASSWORD, or run on a terminal.',
    { httpStatus: 400 },
  ),
  KEY_DAMAGED: row('a key file is damaged', keyFileHint),
  KEY_LIMIT: row('a key file asks for more work than is safe', keyFileHint),
  CONFIG_DAMAGED: row(
    'the repository config is damaged',
    'Put the file "config" back, from a copy of the repository or from the recovery kit.',
  ),
  FORMAT_UNSUPPORTED: row('the repository has a format version that is not supported'),
  REPOSITORY_DAMAGED: row(
    'the repository has errors',
    'Run "holdfast check" and repair what it finds, then run the command again.',
  ),

  FILE_NOT_FOUND: row('a file is missing', undefined, { httpStatus: 404 }),
  FILE_EXISTS: row('a file exists already', undefined, { httpStatus: 409 }),
  RANGE_NOT_SATISFIABLE: row('a file is shorter than it should be', undefined, { httpStatus: 416 }),
  BACKEND_UNAVAILABLE: row('the storage does not answer', undefined, {
    scope: 'work',
    retry: 'later',
    httpStatus: 503,
  }),
  LOGIN_REFUSED: row('the storage refused the login', undefined, {
    scope: 'work',
    httpStatus: 403,
  }),
  PROTOCOL_BROKEN: row('the storage answers against its protocol', undefined, {
    scope: 'work',
    httpStatus: 502,
  }),
  BACKEND_READ_FAILED: row('the storage failed to read', undefined, { retry: 'later' }),
  BACKEND_WRITE_FAILED: row('the storage failed to write', undefined, { retry: 'later' }),
  SERVER_NOT_TRUSTED: row(
    'the server could not be proven to be the one that is meant',
    'If its certificate is of an authority of your own, name that with --cacert FILE.',
    { scope: 'work', httpStatus: 502 },
  ),
  SERVER_ANSWER_INVALID: row(
    'the server answers what no storage of this kind answers',
    'Look whether the location names the server that is meant, and what stands between.',
    { scope: 'work', httpStatus: 502 },
  ),
  STORAGE_FULL: row('the storage is full', 'Free space there, then run the command again.', {
    httpStatus: 507,
  }),
  PERMISSION_DENIED: row(
    'permission denied',
    'Run it as a user who may, or change the permissions of what is named.',
    { httpStatus: 403 },
  ),
  READ_ONLY: row('the storage is read-only', 'Make it writable, or name another place.', {
    httpStatus: 403,
  }),

  CREDENTIALS_REFUSED: row(
    'the storage refuses the credentials',
    "Look at the keys, user names or tokens that the environment and the files of the storage's own tools give.",
    { scope: 'work', httpStatus: 403 },
  ),
  CLOCK_SKEWED: row(
    "the clock of this machine differs too much from the storage's",
    'Set the clock; requests are signed with the time.',
    { scope: 'work' },
  ),
  FILE_ARCHIVED: row(
    'a file stands in an archive, from where it cannot be read at once',
    'Have the storage bring it back, then run the command again.',
    { httpStatus: 409 },
  ),

  UNPACKED_DAMAGED: row('a repository file is damaged', 'Run "holdfast check".'),
  PACK_DAMAGED: row('a pack is damaged', 'Run "holdfast check --read-data".'),
  BLOB_DAMAGED: row('a blob is damaged', 'Run "holdfast check --read-data".'),
  BLOB_NOT_FOUND: row('a blob is not in the index', 'Run "holdfast check".'),
  REFERENCE_LOST: row(
    'data that a new snapshot needs was removed meanwhile',
    'No snapshot was stored. Run the command again.',
    { scope: 'work', httpStatus: 409, retry: 'later' },
  ),
  TREE_DAMAGED: row('a tree is damaged', 'Run "holdfast check".'),
  SNAPSHOT_DAMAGED: row('a snapshot is damaged', 'Run "holdfast check".'),
  INDEX_DAMAGED: row('an index file is damaged', 'Run "holdfast check".'),
  PARITY_DAMAGED: row(
    'the parity of a pack is damaged',
    'Run "holdfast parity PERCENT": it makes damaged parity anew.',
  ),
  LOCK_DAMAGED: row('a lock file is damaged'),
  JSON_INVALID: row('a document is not valid JSON'),
  SEAL_BROKEN: row('stored data does not authenticate'),
  COMPRESSION_BROKEN: row('stored data does not decompress'),
  VERIFY_FAILED: row(
    'data read back differs from data written',
    'Check memory and disk of this machine; nothing that refers to the data was stored.',
  ),

  SNAPSHOT_NOT_FOUND: row('no such snapshot', 'List them with "holdfast snapshots".', {
    httpStatus: 404,
  }),
  ID_AMBIGUOUS: row('an ID prefix fits more than one', 'Give more digits.', { httpStatus: 400 }),
  RETENTION_REFUSED: row('the policy would remove too much', undefined, { httpStatus: 409 }),
  PRUNE_REFUSED: row(
    'no snapshot was found, so all data would be removed',
    'Nothing was changed. If snapshots are missing, bring the folder "snapshots" back from a copy. If all data shall go, such as what a first backup left that failed, run "holdfast prune --unsafe-allow-remove-all".',
    { scope: 'work', httpStatus: 409 },
  ),
  PATH_NOT_FOUND: row('no such path in the snapshot', undefined, { httpStatus: 404 }),

  SOURCE_MISSING: row('a source does not exist'),
  SOURCE_EMPTY: row('a source is empty where it was not before'),
  SOURCE_FAILED: row('a source could not be read'),
  SOURCE_HOLDS_REPOSITORY: row('a source contains the repository or its cache'),
  COMMAND_FAILED: row('a command failed'),
  TARGET_FAILED: row('a target could not be written'),
  PATTERN_INVALID: row('a pattern is not valid', undefined, { httpStatus: 400 }),
  WORKER_FAILED: row('a worker thread failed', undefined, { scope: 'work' }),
  SYSTEM_CALL_FAILED: row('a system call failed'),

  REQUEST_INVALID: row('the request is not valid', 'Nothing was changed.', { httpStatus: 400 }),
  NOT_AUTHENTICATED: row('who asks is not known', 'Sign in, or send a token.', { httpStatus: 401 }),
  NOT_ALLOWED: row('who asks may not do this', undefined, { httpStatus: 403 }),
  NOT_THERE: row('there is nothing of this name', undefined, { httpStatus: 404 }),
  STATE_CONFLICT: row('this does not go with what is there', undefined, { httpStatus: 409 }),
  REQUEST_TOO_LARGE: row('the request is larger than it may be', undefined, { httpStatus: 413 }),
  TOO_MANY_TRIES: row('too many wrong tries', 'Wait, then try again.', {
    httpStatus: 429,
    retry: 'later',
  }),
  STATE_FAILED: row(
    "the server's database cannot be used",
    'Look whether it is there, and whether this user may read and write it.',
    { scope: 'work', httpStatus: 503, retry: 'later' },
  ),
  SECRET_NOT_OPENED: row(
    'a stored secret cannot be opened',
    'Put the key file of this server back, or set the secret anew.',
  ),
  RUN_INTERRUPTED: row('a run was interrupted', 'What it had stored is used by the next one.', {
    retry: 'later',
  }),
};

/** A value that may stand in an error: ids, sizes, names, redacted locations; never a secret. */
export type ErrorDetail = string | number | bigint | boolean | undefined;

/**
 * What an error says besides its code; an absent message or hint is that of the code's row in `errorTable`. Nothing
 * in it may be a secret.
 */
export interface HoldfastErrorOptions {
  /** One sentence that replaces the row's summary. */
  readonly message?: string;
  readonly details?: Readonly<Record<string, ErrorDetail>>;
  readonly hint?: string;
  readonly cause?: unknown;
  /** How long the storage asks to be left alone before the next try, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** The one error class. Kind, retry, exit code and HTTP status follow from `code`. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, ErrorDetail>>;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, options: HoldfastErrorOptions = {}) {
    const entry = errorTable[code];
    super(
      options.message ?? entry.summary,
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = 'HoldfastError';
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint ?? entry.hint;
    this.retryAfterMs = options.retryAfterMs;
  }

  get row(): ErrorRow {
    return errorTable[this.code];
  }
}

/** True for a HoldfastError, with one of `codes` if any are given. */
export function isHoldfastError(value: unknown, ...codes: ErrorCode[]): value is HoldfastError {
  return value instanceof HoldfastError && (codes.length === 0 || codes.includes(value.code));
}

/**
 * True for what ends the work at hand: an error that is not ours, or one of the scope `work`. All else is the trouble of
 * one item, such as a file, a blob or a snapshot: tell it, and go on with the others.
 */
export function endsWork(error: unknown): boolean {
  return !(error instanceof HoldfastError) || error.row.scope === 'work';
}

/** The POSIX code (`ENOENT`) of a system error, or undefined. */
export function systemCode(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('code' in value)) return undefined;
  return typeof value.code === 'string' ? value.code : undefined;
}

/**
 * Writes an error as one line for a person: the sentence, the details, and the causes that add something.
 * Control characters are escaped, so a file name cannot forge output.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return harmlessLine(String(error));
  const parts = [error.message];
  if (error instanceof HoldfastError) {
    const details = Object.entries(error.details).filter(([, value]) => value !== undefined);
    if (details.length > 0) parts.push(`(${details.map(([k, v]) => `${k}: ${v}`).join(', ')})`);
  }
  let text = parts.join(' ');
  if (error.cause instanceof Error && !text.includes(error.cause.message)) {
    text += `: ${describeError(error.cause)}`;
  }
  return harmlessLine(text);
}
