import { z } from 'zod';
import { lengthText } from './durations.ts';
import { clockText } from './texts.ts';

/** The days of a week, Monday first. */
export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** A day of a week. */
export type Weekday = (typeof weekdays)[number];

/** A day of a month: its number, or the last one. Of a month that is too short the last day stands in. */
export type MonthDay = number | 'last';

/**
 * When something is due; exactly one of the fields is there. Times of day are those of the policy's time zone.
 * @see docs/ESTATE.md#when
 */
export interface Rhythm {
  readonly every?: string | undefined;
  readonly daily?: readonly string[] | undefined;
  readonly weekly?: { readonly on: readonly Weekday[]; readonly at: readonly string[] } | undefined;
  readonly monthly?:
    | { readonly on: readonly MonthDay[]; readonly at: readonly string[] }
    | undefined;
  readonly yearly?: { readonly on: readonly string[]; readonly at: readonly string[] } | undefined;
  readonly cron?: string | undefined;
}

/** Names of the fields of a rhythm. */
export const rhythmKinds = ['every', 'daily', 'weekly', 'monthly', 'yearly', 'cron'] as const;

const timesOfDay = z
  .array(clockText)
  .min(1)
  .max(96)
  .meta({ description: 'times of day, such as ["02:30", "14:30"]' });

const monthDay: z.ZodType<MonthDay> = z.union(
  [z.int().min(1).max(31), z.literal('last')],
  'must be a day from 1 to 31, or last',
);

const yearDay = z
  .string()
  .regex(
    /^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
    'must be a month and a day such as "03-31", in quotes',
  );

/** Fields of a cron expression: minute, hour, day of the month, month, day of the week. */
const cronField = '[A-Za-z0-9*,/#LW?-]{1,100}';

/** When something is due. */
export const rhythmSchema: z.ZodType<Rhythm> = z
  .strictObject({
    every: lengthText({ minimum: '5m', maximum: '366d' })
      .optional()
      .meta({ description: 'at least so often, at even distances: 6h, 1d' }),
    daily: timesOfDay.optional().meta({ description: 'each day at these times' }),
    weekly: z
      .strictObject({
        on: z
          .array(z.enum(weekdays))
          .min(1)
          .max(7)
          .meta({ description: 'days of the week: mon, tue, wed, thu, fri, sat, sun' }),
        at: timesOfDay,
      })
      .optional()
      .meta({ description: 'on these days of each week' }),
    monthly: z
      .strictObject({
        on: z
          .array(monthDay)
          .min(1)
          .max(31)
          .meta({ description: 'days of the month, 1 to 31, or last' }),
        at: timesOfDay,
      })
      .optional()
      .meta({ description: 'on these days of each month; of a shorter month on its last day' }),
    yearly: z
      .strictObject({
        on: z
          .array(yearDay)
          .min(1)
          .max(100)
          .meta({ description: 'months and days, such as ["03-31", "12-31"]' }),
        at: timesOfDay,
      })
      .optional()
      .meta({ description: 'on these days of each year, such as the ends of quarters' }),
    cron: z
      .string()
      .max(300)
      .regex(
        new RegExp(`^${cronField}( +${cronField}){4}$`),
        'must be a cron expression of five fields, such as "30 2 * * mon-fri"',
      )
      .optional()
      .meta({ description: 'a cron expression of five fields, such as "30 2 * * mon-fri"' }),
  })
  .refine(
    (rhythm) => rhythmKinds.filter((kind) => rhythm[kind] !== undefined).length === 1,
    `needs exactly one of ${rhythmKinds.join(', ')}`,
  );
