import { type CalendarSpan, parseSpan } from '../engine/retention/calendar-span.ts';
import type { RetentionPolicy } from '../engine/retention/policy.ts';
import type { FlagValues } from './command.ts';
import { flagLabel, usage } from './parse.ts';
import { splitTags } from './select-snapshots.ts';

/** Flags that say which snapshots are kept. */
export const retentionFlags = {
  last: {
    kind: 'integer',
    name: 'keep-last',
    short: 'l',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: "keep the newest n snapshots ('unlimited' keeps all)",
  },
  hourly: {
    kind: 'integer',
    name: 'keep-hourly',
    short: 'H',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: 'keep the newest snapshot of each of the last n hours that have one',
  },
  daily: {
    kind: 'integer',
    name: 'keep-daily',
    short: 'd',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: 'keep the newest snapshot of each of the last n days that have one',
  },
  weekly: {
    kind: 'integer',
    name: 'keep-weekly',
    short: 'w',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: 'keep the newest snapshot of each of the last n weeks that have one',
  },
  monthly: {
    kind: 'integer',
    name: 'keep-monthly',
    short: 'm',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: 'keep the newest snapshot of each of the last n months that have one',
  },
  yearly: {
    kind: 'integer',
    name: 'keep-yearly',
    short: 'y',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    unlimited: true,
    description: 'keep the newest snapshot of each of the last n years that have one',
  },
  within: {
    kind: 'text',
    name: 'keep-within',
    placeholder: 'duration',
    description: 'keep snapshots that are newer than this, such as 1y5m7d2h, before the newest one',
  },
  withinHourly: {
    kind: 'text',
    name: 'keep-within-hourly',
    placeholder: 'duration',
    description: 'keep the newest snapshot of each hour in this time before the newest one',
  },
  withinDaily: {
    kind: 'text',
    name: 'keep-within-daily',
    placeholder: 'duration',
    description: 'keep the newest snapshot of each day in this time before the newest one',
  },
  withinWeekly: {
    kind: 'text',
    name: 'keep-within-weekly',
    placeholder: 'duration',
    description: 'keep the newest snapshot of each week in this time before the newest one',
  },
  withinMonthly: {
    kind: 'text',
    name: 'keep-within-monthly',
    placeholder: 'duration',
    description: 'keep the newest snapshot of each month in this time before the newest one',
  },
  withinYearly: {
    kind: 'text',
    name: 'keep-within-yearly',
    placeholder: 'duration',
    description: 'keep the newest snapshot of each year in this time before the newest one',
  },
  keepTags: {
    kind: 'texts',
    name: 'keep-tag',
    placeholder: 'taglist',
    description:
      'keep snapshots with all of these tags, separated by comma (can be given several times)',
  },
} as const;

/** The `--keep-*` flags. */
export type RetentionFlags = typeof retentionFlags;

type SpanName = Extract<keyof RetentionFlags, `within${string}`>;

/** The policy that `--keep-*` flags describe. @throws USAGE */
export function policyOf(values: FlagValues<RetentionFlags>): RetentionPolicy {
  const span = (name: SpanName): CalendarSpan => {
    const text = values[name] ?? '';
    const parsed = parseSpan(text);
    if ('span' in parsed) return parsed.span;
    const label = flagLabel(retentionFlags[name]);
    throw usage(`invalid argument ${JSON.stringify(text)} for "${label}": ${parsed.problem}`);
  };
  return {
    last: values.last ?? 0,
    counts: {
      hourly: values.hourly ?? 0,
      daily: values.daily ?? 0,
      weekly: values.weekly ?? 0,
      monthly: values.monthly ?? 0,
      yearly: values.yearly ?? 0,
    },
    within: span('within'),
    withinPeriods: {
      hourly: span('withinHourly'),
      daily: span('withinDaily'),
      weekly: span('withinWeekly'),
      monthly: span('withinMonthly'),
      yearly: span('withinYearly'),
    },
    tags: values.keepTags.map(splitTags),
  };
}
