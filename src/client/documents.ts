// Generated from the schemas of the server: npm run client

/** What is wrong with a request (RFC 9457). */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** of docs/ERRORS.md */
  readonly code: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly errors?: readonly {
    readonly field: string;
    readonly message: string;
  }[];
  readonly 'request-id': string;
}

/** A part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** the cursor of the next page, if there is one */
  readonly next?: string;
}

/** What is told by getSession. */
export interface Session {
  readonly user: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  readonly scopes: readonly ('read' | 'run' | 'manage' | 'admin')[];
  /** sent as X-Holdfast-CSRF with what changes something */
  readonly 'csrf-token'?: string;
}

/** What is told by getUsers. */
export interface User {
  readonly name: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  readonly disabled: boolean;
  /** RFC 3339, UTC */
  readonly created: string;
}

/** What is told by getTokens. */
export interface Token {
  readonly id: string;
  readonly user: string;
  readonly label: string;
  readonly scopes: readonly ('read' | 'run' | 'manage' | 'admin')[];
  /** RFC 3339, UTC */
  readonly created: string;
  /** RFC 3339, UTC */
  readonly expires: string;
  /** RFC 3339, UTC */
  readonly used?: string;
}

/** What is told by getAudit. */
export interface AuditRecord {
  readonly number: number;
  /** RFC 3339, UTC */
  readonly at: string;
  readonly actor: string;
  readonly address: string;
  readonly action: string;
  readonly object: string;
  readonly decision: 'done' | 'refused';
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** of this record and the hash of the one before */
  readonly hash: string;
}

/** What is told by getRepositories. */
export interface Repository {
  readonly name: string;
  /** as it was given */
  readonly entry: Readonly<Record<string, unknown>>;
  /** RFC 3339, UTC */
  readonly created: string;
  /** RFC 3339, UTC */
  readonly changed: string;
  readonly 'repository-id': string;
  /** names of the secrets that are kept */
  readonly secrets: readonly string[];
  readonly problem?: string;
}

/** What is told by getPolicies. */
export interface Policy {
  readonly name: string;
  /** as it was given */
  readonly entry: Readonly<Record<string, unknown>>;
  /** RFC 3339, UTC */
  readonly created: string;
  /** RFC 3339, UTC */
  readonly changed: string;
  /** what it means, in plain words */
  readonly sentences: readonly string[];
}

/** What is told by getSources. */
export interface Source {
  readonly name: string;
  /** as it was given */
  readonly entry: Readonly<Record<string, unknown>>;
  /** RFC 3339, UTC */
  readonly created: string;
  /** RFC 3339, UTC */
  readonly changed: string;
}

/** What is told by getDuties. */
export interface Duty {
  readonly id: string;
  readonly kind: string;
  readonly source?: string;
  readonly policy: string;
  readonly repository: string;
  /** closed: it is due, but its policy lets nothing start now */
  readonly state: 'due' | 'closed' | 'served';
  /** when it starts next */
  readonly next?: string;
  /** RFC 3339, UTC */
  readonly 'last-success'?: string;
  readonly 'last-failure'?: {
    /** RFC 3339, UTC */
    readonly at: string;
    readonly message: string;
  };
  /** RFC 3339, UTC */
  readonly 'overdue-since'?: string;
}

/** What is told by getRuns. */
export interface Run {
  readonly id: string;
  readonly duty: string;
  readonly kind: string;
  readonly source?: string;
  readonly repository: string;
  /** what a restore restores */
  readonly restore?: {
    /** its id, or the beginning of it */
    readonly snapshot: string;
    /** a folder in the snapshot; the whole snapshot where nothing is said */
    readonly path?: string;
    /** a folder of the machine of the server that is not there yet */
    readonly target: string;
  };
  /** the planned time that it serves */
  readonly slot: string;
  /** why it ran */
  readonly reason: 'schedule' | 'retry' | 'person';
  readonly 'started-by': string;
  readonly attempt: number;
  readonly state: 'queued' | 'running' | 'ended';
  readonly outcome?:
    | 'success'
    | 'incomplete'
    | 'failed'
    | 'waiting'
    | 'cancelled'
    | 'interrupted'
    | 'superseded';
  /** RFC 3339, UTC */
  readonly queued: string;
  /** RFC 3339, UTC */
  readonly started?: string;
  /** RFC 3339, UTC */
  readonly ended?: string;
  readonly summary?: string;
  readonly progress?: {
    readonly 'files-done': number;
    readonly 'files-total'?: number;
    readonly 'bytes-done': number;
    readonly 'bytes-total'?: number;
    readonly 'current-items': readonly string[];
  };
  /** the first of problem-count */
  readonly problems?: readonly string[];
  readonly 'problem-count': number;
  readonly 'snapshot-id'?: string;
  readonly 'error-code'?: string;
  readonly 'cancelled-by'?: string;
}

/** What is told by getRunsIdLog. */
export interface LogLine {
  readonly number: number;
  /** RFC 3339, UTC */
  readonly at: string;
  readonly level: string;
  readonly text: string;
}

/** What is told by getAlerts. */
export interface Alert {
  readonly id: string;
  readonly kind: 'overdue';
  /** what it is about: the id of a duty */
  readonly object: string;
  readonly message: string;
  /** RFC 3339, UTC */
  readonly first: string;
  /** RFC 3339, UTC */
  readonly last: string;
  /** RFC 3339, UTC */
  readonly resolved?: string;
}

/** What is told by getRepositoriesNameSnapshots. */
export interface Snapshot {
  readonly id: string;
  /** RFC 3339, UTC */
  readonly time: string;
  readonly host?: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /** false: its backup could not store everything */
  readonly complete: boolean;
  readonly files?: number;
  readonly bytes?: number;
}

/** What postRepositories takes. */
export interface RepositoryEntry {
  /** what it is, for people */
  readonly description?: string;
  /** where it is: /srv/backup, sftp:host:/path, s3:… */
  readonly location: string;
  readonly compression?: 'auto' | 'off' | 'fastest' | 'better' | 'max';
  readonly 'limit-upload'?: string;
  readonly 'limit-download'?: string;
  /** a disk that is away at times: runs wait for it until they are overdue */
  readonly removable?: boolean;
}

/** What postPolicies takes. */
export interface PolicyEntry {
  /** what it is for */
  readonly description?: string;
  /** time zone of all times; default: the machine's */
  readonly 'time-zone'?: string;
  /** the repository that gets the snapshots */
  readonly repository: string;
  /** how fresh the newest snapshot must be */
  readonly backup: {
    /** at least so often, at even distances: 6h, 1d */
    readonly every?: string;
    /** each day at these times */
    readonly daily?: readonly string[];
    /** on these days of each week */
    readonly weekly?: {
      /** days of the week: mon, tue, wed, thu, fri, sat, sun */
      readonly on: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
      /** times of day, such as ["02:30", "14:30"] */
      readonly at: readonly string[];
    };
    /** on these days of each month; of a shorter month on its last day */
    readonly monthly?: {
      /** days of the month, 1 to 31, or last */
      readonly on: readonly (number | 'last')[];
      /** times of day, such as ["02:30", "14:30"] */
      readonly at: readonly string[];
    };
    /** on these days of each year, such as the ends of quarters */
    readonly yearly?: {
      /** months and days, such as ["03-31", "12-31"] */
      readonly on: readonly string[];
      /** times of day, such as ["02:30", "14:30"] */
      readonly at: readonly string[];
    };
    /** a cron expression of five fields, such as "30 2 * * mon-fri" */
    readonly cron?: string;
  };
  /** alert when the newest snapshot is older than this; default: when two runs in a row brought none */
  readonly 'overdue-after'?: string;
  /** start up to so much later, each source by a time of its own that stays the same */
  readonly jitter?: string;
  /** start only in these times, such as "mon-fri 22:00-06:00" */
  readonly windows?: readonly string[];
  /** start nothing in these times */
  readonly 'not-during'?: readonly string[];
  /** start nothing on these days, such as "12-24..12-26" of each year */
  readonly blackout?: readonly string[];
  /** which snapshots stay; default: all */
  readonly retention?: {
    /** keep the newest n snapshots */
    readonly 'keep-last'?: number;
    /** keep the newest snapshot of each of the last n hours that have one */
    readonly 'keep-hourly'?: number;
    /** keep the newest snapshot of each of the last n days that have one */
    readonly 'keep-daily'?: number;
    /** keep the newest snapshot of each of the last n weeks that have one */
    readonly 'keep-weekly'?: number;
    /** keep the newest snapshot of each of the last n months that have one */
    readonly 'keep-monthly'?: number;
    /** keep the newest snapshot of each of the last n years that have one */
    readonly 'keep-yearly'?: number;
    /** keep snapshots that are newer than this, such as 30d, before the newest one */
    readonly 'keep-within'?: string;
    /** keep the newest snapshot of each hour in this time before the newest one */
    readonly 'keep-within-hourly'?: string;
    /** keep the newest snapshot of each day in this time before the newest one */
    readonly 'keep-within-daily'?: string;
    /** keep the newest snapshot of each week in this time before the newest one */
    readonly 'keep-within-weekly'?: string;
    /** keep the newest snapshot of each month in this time before the newest one */
    readonly 'keep-within-monthly'?: string;
    /** keep the newest snapshot of each year in this time before the newest one */
    readonly 'keep-within-yearly'?: string;
    /** keep snapshots that have all tags of one of these lists */
    readonly 'keep-tag'?: readonly (readonly string[])[];
    /** so many of the newest sound snapshots stay whatever the rest says; default 1 */
    readonly minimum?: number;
    /** snapshots with one of these tags stay; default: hold */
    readonly 'hold-tags'?: readonly string[];
  };
  /** copies in other repositories */
  readonly copies?: readonly {
    /** the repository that gets the copies */
    readonly repository: string;
    /** default: after each backup */
    readonly when?: {
      /** at least so often, at even distances: 6h, 1d */
      readonly every?: string;
      /** each day at these times */
      readonly daily?: readonly string[];
      /** on these days of each week */
      readonly weekly?: {
        /** days of the week: mon, tue, wed, thu, fri, sat, sun */
        readonly on: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each month; of a shorter month on its last day */
      readonly monthly?: {
        /** days of the month, 1 to 31, or last */
        readonly on: readonly (number | 'last')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each year, such as the ends of quarters */
      readonly yearly?: {
        /** months and days, such as ["03-31", "12-31"] */
        readonly on: readonly string[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** a cron expression of five fields, such as "30 2 * * mon-fri" */
      readonly cron?: string;
    };
    /** which copies stay; default: all */
    readonly retention?: {
      /** keep the newest n snapshots */
      readonly 'keep-last'?: number;
      /** keep the newest snapshot of each of the last n hours that have one */
      readonly 'keep-hourly'?: number;
      /** keep the newest snapshot of each of the last n days that have one */
      readonly 'keep-daily'?: number;
      /** keep the newest snapshot of each of the last n weeks that have one */
      readonly 'keep-weekly'?: number;
      /** keep the newest snapshot of each of the last n months that have one */
      readonly 'keep-monthly'?: number;
      /** keep the newest snapshot of each of the last n years that have one */
      readonly 'keep-yearly'?: number;
      /** keep snapshots that are newer than this, such as 30d, before the newest one */
      readonly 'keep-within'?: string;
      /** keep the newest snapshot of each hour in this time before the newest one */
      readonly 'keep-within-hourly'?: string;
      /** keep the newest snapshot of each day in this time before the newest one */
      readonly 'keep-within-daily'?: string;
      /** keep the newest snapshot of each week in this time before the newest one */
      readonly 'keep-within-weekly'?: string;
      /** keep the newest snapshot of each month in this time before the newest one */
      readonly 'keep-within-monthly'?: string;
      /** keep the newest snapshot of each year in this time before the newest one */
      readonly 'keep-within-yearly'?: string;
      /** keep snapshots that have all tags of one of these lists */
      readonly 'keep-tag'?: readonly (readonly string[])[];
      /** so many of the newest sound snapshots stay whatever the rest says; default 1 */
      readonly minimum?: number;
      /** snapshots with one of these tags stay; default: hold */
      readonly 'hold-tags'?: readonly string[];
    };
    /** alert when the last copy is older than this; default: when two runs in a row brought none */
    readonly 'overdue-after'?: string;
  }[];
  /** when space is freed that no snapshot uses; default: never */
  readonly prune?: {
    /** when */
    readonly when: {
      /** at least so often, at even distances: 6h, 1d */
      readonly every?: string;
      /** each day at these times */
      readonly daily?: readonly string[];
      /** on these days of each week */
      readonly weekly?: {
        /** days of the week: mon, tue, wed, thu, fri, sat, sun */
        readonly on: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each month; of a shorter month on its last day */
      readonly monthly?: {
        /** days of the month, 1 to 31, or last */
        readonly on: readonly (number | 'last')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each year, such as the ends of quarters */
      readonly yearly?: {
        /** months and days, such as ["03-31", "12-31"] */
        readonly on: readonly string[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** a cron expression of five fields, such as "30 2 * * mon-fri" */
      readonly cron?: string;
    };
    /** let this much unused data stay; default 5% */
    readonly 'max-unused'?: string;
    /** store at most so much data anew in one run */
    readonly 'max-repack-size'?: string;
    /** delete only what was marked so long ago; default 1d */
    readonly 'keep-delete'?: string;
    /** alert when the last prune is older than this; default: when two runs in a row brought none */
    readonly 'overdue-after'?: string;
  };
  /** read stored data back, all of it in turn; default: never */
  readonly verify?: {
    /** all that is stored is read back within this time */
    readonly within: string;
    /** when a share is read; default: each day */
    readonly when?: {
      /** at least so often, at even distances: 6h, 1d */
      readonly every?: string;
      /** each day at these times */
      readonly daily?: readonly string[];
      /** on these days of each week */
      readonly weekly?: {
        /** days of the week: mon, tue, wed, thu, fri, sat, sun */
        readonly on: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each month; of a shorter month on its last day */
      readonly monthly?: {
        /** days of the month, 1 to 31, or last */
        readonly on: readonly (number | 'last')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each year, such as the ends of quarters */
      readonly yearly?: {
        /** months and days, such as ["03-31", "12-31"] */
        readonly on: readonly string[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** a cron expression of five fields, such as "30 2 * * mon-fri" */
      readonly cron?: string;
    };
  };
  /** restore and compare, to prove that it works; default: never */
  readonly drill?: {
    /** when */
    readonly when: {
      /** at least so often, at even distances: 6h, 1d */
      readonly every?: string;
      /** each day at these times */
      readonly daily?: readonly string[];
      /** on these days of each week */
      readonly weekly?: {
        /** days of the week: mon, tue, wed, thu, fri, sat, sun */
        readonly on: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each month; of a shorter month on its last day */
      readonly monthly?: {
        /** days of the month, 1 to 31, or last */
        readonly on: readonly (number | 'last')[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** on these days of each year, such as the ends of quarters */
      readonly yearly?: {
        /** months and days, such as ["03-31", "12-31"] */
        readonly on: readonly string[];
        /** times of day, such as ["02:30", "14:30"] */
        readonly at: readonly string[];
      };
      /** a cron expression of five fields, such as "30 2 * * mon-fri" */
      readonly cron?: string;
    };
    /** some files, others each time, or the whole snapshot; default: sample */
    readonly what?: 'sample' | 'all';
    /** how many files a sample has; default 50 */
    readonly files?: number;
    /** what the files of a sample take at most; default 1G */
    readonly 'size-max'?: string;
    /** a folder in which one for the restored files is made and removed again; default: the system's for temporary files */
    readonly scratch?: string;
    /** alert when the last drill is older than this; default: when two runs in a row brought none */
    readonly 'overdue-after'?: string;
  };
  /** how what may pass is tried again; default: twice, after 1m and 2m */
  readonly retries?: {
    /** tries after the first */
    readonly times: number;
    /** pause before the second try; each later one is twice as long */
    readonly wait: string;
  };
  /** wait so long for a lock that somebody else holds; default 5m */
  readonly 'retry-lock'?: string;
  /** upload at most so fast: "2M", or a timetable "08:00,512 19:00,10M 23:00,off" */
  readonly 'limit-upload'?: string;
  /** download at most so fast, as limit-upload */
  readonly 'limit-download'?: string;
}

/** What postSources takes. */
export type SourceEntry =
  | {
      /** files and folders */
      readonly kind: 'files';
      /** what is backed up */
      readonly paths: readonly string[];
      /** leave out what matches a pattern */
      readonly exclude?: readonly string[];
      /** the same, but upper and lower case do not matter */
      readonly iexclude?: readonly string[];
      /** read exclude patterns from files */
      readonly 'exclude-file'?: readonly string[];
      /** the same, but upper and lower case do not matter */
      readonly 'iexclude-file'?: readonly string[];
      /** leave out the content of folders that a CACHEDIR.TAG file marks */
      readonly 'exclude-caches'?: boolean;
      /** leave out the content of folders with this file: filename[:header] */
      readonly 'exclude-if-present'?: readonly string[];
      /** leave out files larger than this */
      readonly 'exclude-larger-than'?: string;
      /** do not cross into other file systems */
      readonly 'one-file-system'?: boolean;
      /** what it is, for people */
      readonly description?: string;
      /** the policy that says what must be true of it */
      readonly policy: string;
      /** host name of its snapshots; default: the machine's */
      readonly host?: string;
      /** tags of its snapshots */
      readonly tags?: readonly string[];
      /** programs to run around a backup, by their names */
      readonly hooks?: {
        /** run before a backup; if one fails nothing is backed up */
        readonly before?: readonly string[];
        /** run after each backup, also after one that failed */
        readonly after?: readonly string[];
        /** run when any step of this source failed */
        readonly 'on-failure'?: readonly string[];
      };
    }
  | {
      /** what a program prints, as one file */
      readonly kind: 'stdin-command';
      /** the program and its arguments; no shell is used */
      readonly command: readonly string[];
      /** name of that file in the snapshot */
      readonly 'stdin-filename': string;
      /** what it is, for people */
      readonly description?: string;
      /** the policy that says what must be true of it */
      readonly policy: string;
      /** host name of its snapshots; default: the machine's */
      readonly host?: string;
      /** tags of its snapshots */
      readonly tags?: readonly string[];
      /** programs to run around a backup, by their names */
      readonly hooks?: {
        /** run before a backup; if one fails nothing is backed up */
        readonly before?: readonly string[];
        /** run after each backup, also after one that failed */
        readonly after?: readonly string[];
        /** run when any step of this source failed */
        readonly 'on-failure'?: readonly string[];
      };
    };
