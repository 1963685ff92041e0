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

/** What such a process does. */
export type RunTask = DutyTask | AttachTask;

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

/** A remark of a run, for its log. */
export interface RunLine {
  readonly level: 'note' | 'problem';
  readonly text: string;
}

/** What it answers; after `duty`, `attach` or `failed` it ends. */
export type RunAnswer =
  | { readonly type: 'ready' }
  | ({ readonly type: 'line' } & RunLine)
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'duty'; readonly report: DutyReport }
  | { readonly type: 'attach'; readonly report: AttachReport }
  | { readonly type: 'failed'; readonly error: SerializedError };
