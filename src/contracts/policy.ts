import { z } from 'zod';
import { lengthText } from './durations.ts';
import { type Rhythm, rhythmSchema } from './rhythm.ts';
import { absolutePath, lineText, nameText, sizeText, tagText } from './texts.ts';

/** Which snapshots stay, in the words of `holdfast forget`. @see docs/ESTATE.md#retention */
export interface Retention {
  readonly 'keep-last'?: number | undefined;
  readonly 'keep-hourly'?: number | undefined;
  readonly 'keep-daily'?: number | undefined;
  readonly 'keep-weekly'?: number | undefined;
  readonly 'keep-monthly'?: number | undefined;
  readonly 'keep-yearly'?: number | undefined;
  readonly 'keep-within'?: string | undefined;
  readonly 'keep-within-hourly'?: string | undefined;
  readonly 'keep-within-daily'?: string | undefined;
  readonly 'keep-within-weekly'?: string | undefined;
  readonly 'keep-within-monthly'?: string | undefined;
  readonly 'keep-within-yearly'?: string | undefined;
  /** Lists of tags: what has all of one list is kept. */
  readonly 'keep-tag'?: readonly (readonly string[])[] | undefined;
  /** So many of the newest sound snapshots stay whatever the rest says; default 1. */
  readonly minimum?: number | undefined;
  /** Snapshots with one of these tags are held; default `hold`. */
  readonly 'hold-tags'?: readonly string[] | undefined;
}

/** A copy in a second repository. */
export interface CopyRule {
  readonly repository: string;
  /** Default: after each backup. */
  readonly when?: Rhythm | undefined;
  /** Default: everything is kept. */
  readonly retention?: Retention | undefined;
  readonly 'overdue-after'?: string | undefined;
}

/** When space is freed that no snapshot uses, and how thoroughly. */
export interface PruneRule {
  readonly when: Rhythm;
  readonly 'max-unused'?: string | undefined;
  readonly 'max-repack-size'?: string | undefined;
  /** Default: 24h. */
  readonly 'keep-delete'?: string | undefined;
  readonly 'overdue-after'?: string | undefined;
}

/** All that is stored is read back within this time, share by share. */
export interface VerifyRule {
  readonly within: string;
  /** When a share is read; default: each day. */
  readonly when?: Rhythm | undefined;
}

/** A restore that is done to prove that it works. */
export interface DrillRule {
  readonly when: Rhythm;
  /** `sample`: some files, others each time; `all`: the whole snapshot. Default `sample`. */
  readonly what?: 'sample' | 'all' | undefined;
  /** Of a sample; default 50. */
  readonly files?: number | undefined;
  /** Of a sample; default 1G. */
  readonly 'size-max'?: string | undefined;
  /** Where a folder for the restored files is made and removed again; default: the system's for temporary files. */
  readonly scratch?: string | undefined;
  readonly 'overdue-after'?: string | undefined;
}

/** How a step is tried again that failed for a reason that may pass. */
export interface RetryRule {
  /** Tries after the first; default 2. */
  readonly times: number;
  /** Pause before the second try; each later one is twice as long. Default 1m. */
  readonly wait: string;
}

/** What must be true of a source. @see docs/ESTATE.md#policies */
export interface Policy {
  readonly description?: string | undefined;
  readonly 'time-zone'?: string | undefined;
  readonly repository: string;
  readonly backup: Rhythm;
  /** When the newest snapshot is too old; default: when two runs in a row brought none. */
  readonly 'overdue-after'?: string | undefined;
  readonly jitter?: string | undefined;
  readonly windows?: readonly string[] | undefined;
  readonly 'not-during'?: readonly string[] | undefined;
  readonly blackout?: readonly string[] | undefined;
  /** Default: everything is kept. */
  readonly retention?: Retention | undefined;
  readonly copies?: readonly CopyRule[] | undefined;
  readonly prune?: PruneRule | undefined;
  readonly verify?: VerifyRule | undefined;
  readonly drill?: DrillRule | undefined;
  readonly retries?: RetryRule | undefined;
  /** How long to wait for a lock that somebody else holds; default 5m. */
  readonly 'retry-lock'?: string | undefined;
  readonly 'limit-upload'?: string | undefined;
  readonly 'limit-download'?: string | undefined;
}

const count = z.int().min(1).max(1_000_000);

const span = z
  .string()
  .regex(
    /^(\d{1,5}[ymdh]){1,4}$/,
    'must be a time in years, months, days and hours, such as 1y6m7d12h',
  );

/** Fields of a retention that keep something by themselves. */
const keepFields = [
  'keep-last',
  'keep-hourly',
  'keep-daily',
  'keep-weekly',
  'keep-monthly',
  'keep-yearly',
  'keep-within',
  'keep-within-hourly',
  'keep-within-daily',
  'keep-within-weekly',
  'keep-within-monthly',
  'keep-within-yearly',
  'keep-tag',
] as const;

const keepCount = (what: string): z.ZodType<number | undefined> =>
  count.optional().meta({ description: `keep the newest snapshot of each of the last n ${what}` });

const keepSpan = (what: string): z.ZodType<string | undefined> =>
  span.optional().meta({
    description: `keep the newest snapshot of each ${what} in this time before the newest one`,
  });

/** Which snapshots stay. */
export const retentionSchema: z.ZodType<Retention> = z
  .strictObject({
    'keep-last': count.optional().meta({ description: 'keep the newest n snapshots' }),
    'keep-hourly': keepCount('hours that have one'),
    'keep-daily': keepCount('days that have one'),
    'keep-weekly': keepCount('weeks that have one'),
    'keep-monthly': keepCount('months that have one'),
    'keep-yearly': keepCount('years that have one'),
    'keep-within': span.optional().meta({
      description: 'keep snapshots that are newer than this, such as 30d, before the newest one',
    }),
    'keep-within-hourly': keepSpan('hour'),
    'keep-within-daily': keepSpan('day'),
    'keep-within-weekly': keepSpan('week'),
    'keep-within-monthly': keepSpan('month'),
    'keep-within-yearly': keepSpan('year'),
    'keep-tag': z
      .array(z.array(tagText).min(1).max(20))
      .max(100)
      .optional()
      .meta({ description: 'keep snapshots that have all tags of one of these lists' }),
    minimum: count.optional().meta({
      description: 'so many of the newest sound snapshots stay whatever the rest says; default 1',
    }),
    'hold-tags': z
      .array(tagText)
      .max(20)
      .optional()
      .meta({ description: 'snapshots with one of these tags stay; default: hold' }),
  })
  .refine(
    (retention) => keepFields.some((field) => retention[field] !== undefined),
    'needs at least one rule that keeps something, such as keep-daily',
  );

const dayPart = '(?:mon|tue|wed|thu|fri|sat|sun)(?:-(?:mon|tue|wed|thu|fri|sat|sun))?';
const clockPart = '(?:[01]\\d|2[0-3]):[0-5]\\d';

const windowText = z
  .string()
  .max(200)
  .regex(
    new RegExp(
      `^(?:(?:${dayPart})(?:,${dayPart})*)?(?:(?:^| )${clockPart}-(?:${clockPart}|24:00))?$`,
    ),
    'must be days, a time, or both, such as "22:00-06:00" or "mon-fri 22:00-06:00"',
  )
  .min(1);

const dateText = '(?:\\d{4}-)?(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])';

const blackoutText = z
  .string()
  .regex(
    new RegExp(`^${dateText}(?:\\.\\.${dateText})?$`),
    'must be a date or two, such as "12-24..12-26" or "2027-01-01"',
  );

const overdueAfter = (what: string): z.ZodType<string | undefined> =>
  lengthText({ minimum: '10m', maximum: '1000d' })
    .optional()
    .meta({
      description: `alert when ${what}; default: when two runs in a row brought none`,
    });

const copyRule: z.ZodType<CopyRule> = z.strictObject({
  repository: nameText.meta({ description: 'the repository that gets the copies' }),
  when: rhythmSchema.optional().meta({ description: 'default: after each backup' }),
  retention: retentionSchema.optional().meta({
    description: 'which copies stay; default: all',
  }),
  'overdue-after': overdueAfter('the last copy is older than this'),
});

const pruneRule: z.ZodType<PruneRule> = z.strictObject({
  when: rhythmSchema.meta({ description: 'when' }),
  'max-unused': z
    .string()
    .regex(
      /^(unlimited|\d{1,2}(\.\d{1,3})?%|\d{1,15}[bBkKmMgGtT]?)$/,
      'must be a size such as "200M", a share such as "5%", or unlimited',
    )
    .optional()
    .meta({ description: 'let this much unused data stay; default 5%' }),
  'max-repack-size': sizeText
    .optional()
    .meta({ description: 'store at most so much data anew in one run' }),
  'keep-delete': lengthText({ minimum: '1h', maximum: '365d' })
    .optional()
    .meta({ description: 'delete only what was marked so long ago; default 1d' }),
  'overdue-after': overdueAfter('the last prune is older than this'),
});

const verifyRule: z.ZodType<VerifyRule> = z.strictObject({
  within: lengthText({ minimum: '1d', maximum: '1000d' }).meta({
    description: 'all that is stored is read back within this time',
  }),
  when: rhythmSchema.optional().meta({ description: 'when a share is read; default: each day' }),
});

const drillRule: z.ZodType<DrillRule> = z.strictObject({
  when: rhythmSchema.meta({ description: 'when' }),
  what: z
    .enum(['sample', 'all'])
    .optional()
    .meta({ description: 'some files, others each time, or the whole snapshot; default: sample' }),
  files: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: 'how many files a sample has; default 50' }),
  'size-max': sizeText
    .optional()
    .meta({ description: 'what the files of a sample take at most; default 1G' }),
  scratch: absolutePath.optional().meta({
    description:
      "a folder in which one for the restored files is made and removed again; default: the system's for temporary files",
  }),
  'overdue-after': overdueAfter('the last drill is older than this'),
});

const rateText = z
  .string()
  .min(1)
  .max(2000)
  .regex(/^[A-Za-z0-9:,. -]*$/, 'must be a rate such as "2M", or a timetable');

/** True for a time zone that this machine knows. */
function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** What must be true of a source. */
export const policySchema: z.ZodType<Policy> = z.strictObject({
  description: lineText.optional().meta({ description: 'what it is for' }),
  'time-zone': z
    .string()
    .max(100)
    .refine(isTimeZone, 'must be a time zone such as Europe/Berlin')
    .optional()
    .meta({ description: "time zone of all times; default: the machine's" }),
  repository: nameText.meta({ description: 'the repository that gets the snapshots' }),
  backup: rhythmSchema.meta({ description: 'how fresh the newest snapshot must be' }),
  'overdue-after': overdueAfter('the newest snapshot is older than this'),
  jitter: lengthText({ minimum: '1s', maximum: '1d' }).optional().meta({
    description: 'start up to so much later, each source by a time of its own that stays the same',
  }),
  windows: z
    .array(windowText)
    .min(1)
    .max(50)
    .optional()
    .meta({ description: 'start only in these times, such as "mon-fri 22:00-06:00"' }),
  'not-during': z
    .array(windowText)
    .max(50)
    .optional()
    .meta({ description: 'start nothing in these times' }),
  blackout: z
    .array(blackoutText)
    .max(500)
    .optional()
    .meta({ description: 'start nothing on these days, such as "12-24..12-26" of each year' }),
  retention: retentionSchema.optional().meta({ description: 'which snapshots stay; default: all' }),
  copies: z
    .array(copyRule)
    .max(20)
    .optional()
    .meta({ description: 'copies in other repositories' }),
  prune: pruneRule
    .optional()
    .meta({ description: 'when space is freed that no snapshot uses; default: never' }),
  verify: verifyRule
    .optional()
    .meta({ description: 'read stored data back, all of it in turn; default: never' }),
  drill: drillRule
    .optional()
    .meta({ description: 'restore and compare, to prove that it works; default: never' }),
  retries: z
    .strictObject({
      times: z.int().min(0).max(20).meta({ description: 'tries after the first' }),
      wait: lengthText({ minimum: '1s', maximum: '1d' }).meta({
        description: 'pause before the second try; each later one is twice as long',
      }),
    })
    .optional()
    .meta({ description: 'how what may pass is tried again; default: twice, after 1m and 2m' }),
  'retry-lock': lengthText({ minimum: '1s', maximum: '7d' })
    .optional()
    .meta({ description: 'wait so long for a lock that somebody else holds; default 5m' }),
  'limit-upload': rateText.optional().meta({
    description: 'upload at most so fast: "2M", or a timetable "08:00,512 19:00,10M 23:00,off"',
  }),
  'limit-download': rateText
    .optional()
    .meta({ description: 'download at most so fast, as limit-upload' }),
});
