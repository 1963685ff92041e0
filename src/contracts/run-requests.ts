import { z } from 'zod';
import { pageFields, type PageQuery, queryNumber } from './paging.ts';
import { nameText } from './texts.ts';

/** States of runs. */
export const runStates = ['queued', 'running', 'ended'] as const;

/** A state of a run. */
export type RunState = (typeof runStates)[number];

/**
 * How runs end: as their step did (`success` to `waiting`), because somebody wanted it, without a word since their server ended, or
 * before they began because they were not needed any more.
 */
export const runOutcomes = [
  'success',
  'incomplete',
  'failed',
  'waiting',
  'cancelled',
  'interrupted',
  'superseded',
] as const;

/** How a run ended. */
export type RunOutcome = (typeof runOutcomes)[number];

/** Which runs are listed. */
export interface RunQuery extends PageQuery {
  readonly state?: RunState | undefined;
  readonly outcome?: RunOutcome | undefined;
  readonly source?: string | undefined;
  readonly duty?: string | undefined;
}

const dutyId = z.string().min(1).max(300);

/** Which runs are listed. */
export const runQuery: z.ZodType<RunQuery> = z.strictObject({
  ...pageFields,
  state: z.enum(runStates).optional(),
  outcome: z.enum(runOutcomes).optional(),
  source: nameText.optional(),
  duty: dutyId.optional(),
});

/** What is to be run now. */
export interface RunRequest {
  readonly duty: string;
}

/** What is to be run now. */
export const runRequestSchema: z.ZodType<RunRequest> = z.strictObject({
  duty: dutyId.meta({ description: 'the id of a duty, such as "back up documents"' }),
});

/** The id of a run, in a path. */
export interface RunPath {
  readonly id: string;
}

/** The id of a run, in a path. */
export const runPath: z.ZodType<RunPath> = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/, 'must be the id of a run'),
});

/** Which part of a log is asked for. */
export interface LogQuery {
  readonly limit?: number | undefined;
  readonly after?: number | undefined;
}

/** Which part of a log is asked for. */
export const logQuery: z.ZodType<LogQuery> = z.strictObject({
  limit: queryNumber({ minimum: 1, maximum: 1000 }).optional(),
  after: queryNumber({ minimum: 0, maximum: 10_000_000 })
    .optional()
    .meta({ description: 'the number of the last line that is known' }),
});

/** Which alerts are listed. */
export interface AlertQuery extends PageQuery {
  readonly state?: 'open' | 'resolved' | undefined;
}

/** Which alerts are listed. */
export const alertQuery: z.ZodType<AlertQuery> = z.strictObject({
  ...pageFields,
  state: z.enum(['open', 'resolved']).optional(),
});
