import type { Kysely, Transaction } from 'kysely';

/** Something of the estate that has a name of its own: a repository, a policy, a source. Times are milliseconds since 1970. */
export interface NamedRow {
  readonly name: string;
  /** JSON of what the API takes and gives; never a secret. */
  readonly entry: string;
  readonly created_ms: number;
  readonly changed_ms: number;
}

/** A repository. */
export interface RepositoryRow extends NamedRow {
  /** Sealed JSON of its password and the variables of its store. */
  readonly secrets: string;
  /** The id in its config: which repository it really is. */
  readonly repository_id: string;
}

/** What is remembered of a duty from one run to the next. */
export interface DutyRow {
  readonly id: string;
  /** JSON of a `DutyRecord`. */
  readonly record: string;
}

/** A run of one duty. */
export interface RunRow {
  /** Sorts by time. */
  readonly id: string;
  /** The id of its duty; of a restore, which serves none, what it is. */
  readonly duty: string;
  readonly kind: string;
  readonly source: string | null;
  readonly repository: string;
  /** Names of all repositories that it works on, as JSON. */
  readonly resources: string;
  /** What somebody asked for, as JSON, where that is more than a duty. */
  readonly request: string | null;
  /** Lower ones start first. */
  readonly priority: number;
  readonly slot_ms: number;
  /** `schedule`, `person`, `retry`. */
  readonly reason: string;
  /** Who asked for it: `user:anna`, `token:ID`, `schedule`. */
  readonly started_by: string;
  readonly attempt: number;
  readonly state: 'queued' | 'running' | 'ended';
  readonly outcome: string | null;
  readonly queued_ms: number;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
  /** One line. */
  readonly summary: string | null;
  /** JSON. */
  readonly progress: string | null;
  /** JSON: the first of `problem_count`. */
  readonly problems: string | null;
  readonly problem_count: number;
  readonly snapshot_id: string | null;
  readonly error_code: string | null;
  readonly cancel_ms: number | null;
  readonly cancelled_by: string | null;
  /** Whose lease it runs under, and its fencing token. */
  readonly server: string | null;
  readonly fence: number | null;
  /** Counts changes, for who follows it. */
  readonly revision: number;
}

/** A line of the log of a run. */
export interface RunLogRow {
  readonly run: string;
  readonly seq: number;
  readonly at_ms: number;
  readonly level: string;
  readonly text: string;
}

/** That a slot of a duty has a run: the primary key is what makes it one. */
export interface SlotRow {
  readonly duty: string;
  readonly slot_ms: number;
  readonly attempt: number;
  readonly run: string;
}

/** A repository that a run works on now: no other may. */
export interface BusyRow {
  readonly resource: string;
  readonly run: string;
}

/** A server that shares the work. */
export interface LeaseRow {
  readonly name: string;
  readonly holder: string;
  /** Grows with each holder. What was begun under a lower one counts no more. */
  readonly token: number;
  /** By the database's clock. */
  readonly expires_ms: number;
}

/** Something that is wrong until it is right again. */
export interface AlertRow {
  readonly id: string;
  readonly kind: string;
  /** What it is about: the id of a duty. */
  readonly object: string;
  readonly message: string;
  readonly first_ms: number;
  readonly last_ms: number;
  readonly resolved_ms: number | null;
}

/** A person. */
export interface UserRow {
  readonly name: string;
  readonly role: string;
  readonly password: string;
  readonly is_disabled: number;
  readonly created_ms: number;
}

/** A browser that is signed in. */
export interface SessionRow {
  /** SHA-256 of the id in the cookie. */
  readonly hash: string;
  readonly user: string;
  readonly created_ms: number;
  readonly used_ms: number;
}

/** A token for programs. */
export interface TokenRow {
  readonly id: string;
  /** SHA-256 of the token. */
  readonly hash: string;
  readonly user: string;
  readonly label: string;
  /** JSON. */
  readonly scopes: string;
  readonly created_ms: number;
  readonly expires_ms: number;
  readonly used_ms: number | null;
}

/** What was done, by whom; each row has the hash of the one before. */
export interface AuditRow {
  readonly seq: number;
  readonly at_ms: number;
  readonly actor: string;
  readonly address: string;
  readonly action: string;
  readonly object: string;
  readonly decision: string;
  /** JSON, without secrets. */
  readonly details: string;
  readonly previous: string;
  readonly hash: string;
}

/** Single values, such as the revision of the estate. */
export interface SettingRow {
  readonly name: string;
  readonly value: string;
}

/** A request that may come twice, and what it was answered. */
export interface IdempotencyRow {
  readonly key: string;
  readonly actor: string;
  /** SHA-256 of what was asked. */
  readonly request: string;
  readonly status: number | null;
  readonly answer: string | null;
  readonly created_ms: number;
}

/** Every table of the server's state. */
export interface Tables {
  readonly repositories: RepositoryRow;
  readonly policies: NamedRow;
  readonly sources: NamedRow;
  readonly duties: DutyRow;
  readonly runs: RunRow;
  readonly run_logs: RunLogRow;
  readonly slots: SlotRow;
  readonly busy: BusyRow;
  readonly leases: LeaseRow;
  readonly alerts: AlertRow;
  readonly users: UserRow;
  readonly sessions: SessionRow;
  readonly tokens: TokenRow;
  readonly audit: AuditRow;
  readonly settings: SettingRow;
  readonly idempotency: IdempotencyRow;
}

/** Queries, in a transaction or not. */
export type Queries = Kysely<Tables> | Transaction<Tables>;
