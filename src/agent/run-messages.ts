import type { Progress } from '../base/monitor.ts';
import type { SerializedError } from '../base/serialized-errors.ts';
import type { Estate } from '../contracts/estate.ts';
import type { RepositoryEntry } from '../contracts/repository-entry.ts';
import type { DutyRecord } from './memory.ts';
import type { Outcome } from './step-result.ts';

/** What every process that works for a server is told. Secrets come this way alone: never by arguments or its environment. */
interface TaskBase {
  /** What stores, secrets and hooks see as the environment of the process. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The folder of local caches. */
  readonly cachePath: string;
  readonly programVersion: string;
}

/** One duty, once. */
export interface DutyTask extends TaskBase {
  readonly kind: 'duty';
  /** What of the estate the duty needs. */
  readonly estate: Estate;
  readonly dutyId: string;
  readonly slotMs: number;
  readonly record: DutyRecord | undefined;
}

/** Opens a repository to see whether that works; makes it if it may and there is none. */
export interface AttachTask extends TaskBase {
  readonly kind: 'attach';
  readonly name: string;
  readonly entry: RepositoryEntry;
  readonly mayCreate: boolean;
}

/** Lists snapshots of a repository, the newest first. */
export interface SnapshotsTask extends TaskBase {
  readonly kind: 'snapshots';
  readonly name: string;
  readonly entry: RepositoryEntry;
  /** Those of one source alone. */
  readonly source: string | undefined;
  /** The `key` of the last one of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** Restores a snapshot to a folder that is not there yet. */
export interface RestoreTask extends TaskBase {
  readonly kind: 'restore';
  readonly name: string;
  readonly entry: RepositoryEntry;
  /** Its id, or the beginning of it. */
  readonly snapshotId: string;
  /** A folder in the snapshot; undefined: the whole. */
  readonly path: string | undefined;
  readonly target: string;
}

/** What such a process does. */
export type RunTask = DutyTask | AttachTask | SnapshotsTask | RestoreTask;

/** What it is told. */
export type RunRequest =
  | { readonly type: 'start'; readonly task: RunTask }
  | { readonly type: 'cancel' };

/** What a duty came to, as it crosses to another process. */
export interface DutyReport {
  readonly outcome: Outcome;
  readonly durationMs: number;
  readonly attempts: number;
  readonly summary: string;
  readonly problems: readonly string[];
  readonly problemCount: number;
  readonly output: string | undefined;
  readonly snapshotId: string | undefined;
  readonly errorCode: string | undefined;
  readonly record: DutyRecord | undefined;
}

/** What opening a repository told. */
export interface AttachReport {
  readonly repositoryId: string;
  readonly isNew: boolean;
}

/** What is told of a snapshot. */
export interface SnapshotFacts {
  /** Sorts by time. */
  readonly key: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly hostname: string | undefined;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly isComplete: boolean;
  readonly fileCount: number | undefined;
  readonly sizeBytes: number | undefined;
}

/** A page of snapshots. */
export interface SnapshotsReport {
  readonly snapshots: readonly SnapshotFacts[];
}

/** What a restore came to. */
export interface RestoreReport {
  readonly summary: string;
  readonly snapshotId: string;
  readonly problems: readonly string[];
  readonly problemCount: number;
}

/** A remark of a run, for its log. */
export interface RunLine {
  readonly level: 'note' | 'problem';
  readonly text: string;
}

/** What it answers; after any but the first three it ends. */
export type RunAnswer =
  | { readonly type: 'ready' }
  | ({ readonly type: 'line' } & RunLine)
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'duty'; readonly report: DutyReport }
  | { readonly type: 'attach'; readonly report: AttachReport }
  | { readonly type: 'snapshots'; readonly report: SnapshotsReport }
  | { readonly type: 'restore'; readonly report: RestoreReport }
  | { readonly type: 'failed'; readonly error: SerializedError };
