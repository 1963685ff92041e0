import { z } from 'zod';
import { type RestoreRequest, restoreRequestSchema } from './snapshot-requests.ts';
import { type RunOutcome, runOutcomes, type RunState, runStates } from './run-requests.ts';

/** A moment as text, RFC 3339 in UTC. */
const time: z.ZodType<string> = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

interface NamedView {
  readonly name: string;
  readonly entry: Readonly<Record<string, unknown>>;
  readonly created: string;
  readonly changed: string;
}

const named = {
  name: z.string(),
  entry: z.record(z.string(), z.unknown()).meta({ description: 'as it was given' }),
  created: time,
  changed: time,
};

/** What is told of a repository; of its secrets only their names. */
export interface RepositoryView extends NamedView {
  readonly 'repository-id': string;
  readonly secrets: readonly string[];
  readonly problem?: string | undefined;
}

/** What is told of a repository. */
export const repositoryView: z.ZodType<RepositoryView> = z.object({
  ...named,
  'repository-id': z.string(),
  secrets: z.array(z.string()).meta({ description: 'names of the secrets that are kept' }),
  problem: z.string().optional(),
});

/** What is told of a policy: its entry, and what that means. */
export interface PolicyView extends NamedView {
  readonly sentences: readonly string[];
}

/** What is told of a policy. */
export const policyView: z.ZodType<PolicyView> = z.object({
  ...named,
  sentences: z.array(z.string()).meta({ description: 'what it means, in plain words' }),
});

/** What is told of a source. */
export type SourceView = NamedView;

/** What is told of a source. */
export const sourceView: z.ZodType<SourceView> = z.object(named);

/** A duty: what must be done again and again. */
export interface DutyView {
  readonly id: string;
  readonly kind: string;
  readonly source?: string | undefined;
  readonly policy: string;
  readonly repository: string;
  readonly state: 'due' | 'closed' | 'served';
  readonly next?: string | undefined;
  readonly 'last-success'?: string | undefined;
  readonly 'last-failure'?: { readonly at: string; readonly message: string } | undefined;
  readonly 'overdue-since'?: string | undefined;
}

/** A duty. */
export const dutyView: z.ZodType<DutyView> = z.object({
  id: z.string(),
  kind: z.string(),
  source: z.string().optional(),
  policy: z.string(),
  repository: z.string(),
  state: z
    .enum(['due', 'closed', 'served'])
    .meta({ description: 'closed: it is due, but its policy lets nothing start now' }),
  next: time.optional().meta({ description: 'when it starts next' }),
  'last-success': time.optional(),
  'last-failure': z.object({ at: time, message: z.string() }).optional(),
  'overdue-since': time.optional(),
});

/** How far a run is. */
export interface ProgressView {
  readonly 'files-done': number;
  readonly 'files-total'?: number | undefined;
  readonly 'bytes-done': number;
  readonly 'bytes-total'?: number | undefined;
  readonly 'current-items': readonly string[];
}

/** What is told of a run. */
export interface RunView {
  readonly id: string;
  readonly duty: string;
  readonly kind: string;
  readonly source?: string | undefined;
  readonly repository: string;
  readonly restore?: RestoreRequest | undefined;
  readonly slot: string;
  readonly reason: 'schedule' | 'retry' | 'person';
  readonly 'started-by': string;
  readonly attempt: number;
  readonly state: RunState;
  readonly outcome?: RunOutcome | undefined;
  readonly queued: string;
  readonly started?: string | undefined;
  readonly ended?: string | undefined;
  readonly summary?: string | undefined;
  readonly progress?: ProgressView | undefined;
  readonly problems?: readonly string[] | undefined;
  readonly 'problem-count': number;
  readonly 'snapshot-id'?: string | undefined;
  readonly 'error-code'?: string | undefined;
  readonly 'cancelled-by'?: string | undefined;
}

const progress: z.ZodType<ProgressView> = z.object({
  'files-done': z.number(),
  'files-total': z.number().optional(),
  'bytes-done': z.number(),
  'bytes-total': z.number().optional(),
  'current-items': z.array(z.string()),
});

/** What is told of a run. */
export const runView: z.ZodType<RunView> = z.object({
  id: z.string(),
  duty: z.string(),
  kind: z.string(),
  source: z.string().optional(),
  repository: z.string(),
  restore: restoreRequestSchema.optional().meta({ description: 'what a restore restores' }),
  slot: time.meta({ description: 'the planned time that it serves' }),
  reason: z.enum(['schedule', 'retry', 'person']).meta({ description: 'why it ran' }),
  'started-by': z.string(),
  attempt: z.int(),
  state: z.enum(runStates),
  outcome: z.enum(runOutcomes).optional(),
  queued: time,
  started: time.optional(),
  ended: time.optional(),
  summary: z.string().optional(),
  progress: progress.optional(),
  problems: z.array(z.string()).optional().meta({ description: 'the first of problem-count' }),
  'problem-count': z.int(),
  'snapshot-id': z.string().optional(),
  'error-code': z.string().optional(),
  'cancelled-by': z.string().optional(),
});

/** A line of the log of a run. */
export interface LogLineView {
  readonly number: number;
  readonly at: string;
  readonly level: string;
  readonly text: string;
}

/** A line of the log of a run. */
export const logLineView: z.ZodType<LogLineView> = z.object({
  number: z.int(),
  at: time,
  level: z.string(),
  text: z.string(),
});

/** Something that is wrong until it is right again. */
export interface AlertView {
  readonly id: string;
  readonly kind: 'overdue';
  readonly object: string;
  readonly message: string;
  readonly first: string;
  readonly last: string;
  readonly resolved?: string | undefined;
}

/** Something that is wrong until it is right again. */
export const alertView: z.ZodType<AlertView> = z.object({
  id: z.string(),
  kind: z.enum(['overdue']),
  object: z.string().meta({ description: 'what it is about: the id of a duty' }),
  message: z.string(),
  first: time,
  last: time,
  resolved: time.optional(),
});
