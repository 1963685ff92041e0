import type { Policy, Retention } from '../contracts/policy.ts';
import type { MonthDay, Rhythm, Weekday } from '../contracts/rhythm.ts';

const dayNames: Readonly<Record<Weekday, string>> = {
  mon: 'Monday',
  tue: 'Tuesday',
  wed: 'Wednesday',
  thu: 'Thursday',
  fri: 'Friday',
  sat: 'Saturday',
  sun: 'Sunday',
};

/** What a policy means, in plain sentences, the most important first. */
export function policySentences(policy: Policy): string[] {
  const { repository, copies = [], prune, verify, drill } = policy;
  const sentences = [
    `Backs up ${rhythmText(policy.backup)} to ${repository}${openText(policy)}.`,
    overdueText('A source', policy['overdue-after']),
    `${keepsText(policy.retention)} in ${repository}.`,
  ];
  for (const { repository: place, when, retention } of copies) {
    const often = when ? rhythmText(when) : 'after each backup';
    sentences.push(`Copies snapshots to ${place} ${often}. ${keepsText(retention)} there.`);
  }
  if (prune) sentences.push(`Frees space that no snapshot uses ${rhythmText(prune.when)}.`);
  else if (policy.retention) sentences.push('Frees no space: it has no "prune".');
  if (verify) {
    const often = verify.when ? rhythmText(verify.when) : 'each day';
    sentences.push(
      `Reads all that is stored back within ${lengthWords(verify.within)}, a share ${often}.`,
    );
  } else sentences.push('Reads nothing back: it has no "verify".');
  if (drill) {
    const what = drill.what === 'all' ? 'the newest snapshot' : `${drill.files ?? 50} files`;
    sentences.push(`Restores ${what} to prove that it works ${rhythmText(drill.when)}.`);
  } else sentences.push('Proves no restore: it has no "drill".');
  return sentences;
}

function overdueText(what: string, after: string | undefined): string {
  return after === undefined
    ? `${what} is overdue when two runs in a row brought no snapshot.`
    : `${what} is overdue when its newest snapshot is older than ${lengthWords(after)}.`;
}

function openText(policy: Policy): string {
  const parts = [
    policy.windows && `only ${policy.windows.join(' or ')}`,
    policy['not-during']?.length && `not ${policy['not-during'].join(' or ')}`,
    policy.blackout?.length && `not on ${policy.blackout.join(', ')}`,
    policy.jitter && `up to ${lengthWords(policy.jitter)} later`,
  ].filter((part) => typeof part === 'string' && part !== '');
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** When a rhythm runs: `each day at 02:30`. */
export function rhythmText(rhythm: Rhythm): string {
  const { every, daily, weekly, monthly, yearly, cron } = rhythm;
  if (every !== undefined) return `every ${lengthWords(every)}`;
  if (daily) return `each day at ${listText(daily)}`;
  if (weekly) {
    return `each ${listText(weekly.on.map((day) => dayNames[day]))} at ${listText(weekly.at)}`;
  }
  if (monthly) {
    return `on the ${listText(monthly.on.map(dayText))} of each month at ${listText(monthly.at)}`;
  }
  if (yearly) return `on ${listText(yearly.on)} of each year at ${listText(yearly.at)}`;
  return `by the cron expression "${cron ?? ''}"`;
}

function dayText(day: MonthDay): string {
  if (day === 'last') return 'last day';
  const ending = { 1: 'st', 2: 'nd', 3: 'rd' }[day % 10] ?? 'th';
  return `${day}${day >= 11 && day <= 13 ? 'th' : ending}`;
}

const periodNames = {
  hourly: 'hour',
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
  yearly: 'year',
} as const;

function keepsText(retention: Retention | undefined): string {
  if (retention === undefined) return 'Keeps all snapshots';
  const periods = Object.keys(periodNames) as (keyof typeof periodNames)[];
  const last = retention['keep-last'];
  const counts = periods.flatMap((period) => {
    const count = retention[`keep-${period}`];
    return count === undefined ? [] : [`${count} ${period}`];
  });
  const spans = periods.flatMap((period) => {
    const span = retention[`keep-within-${period}`];
    return span === undefined ? [] : [`one a ${periodNames[period]} of the last ${span}`];
  });
  const counted = [...(last === undefined ? [] : [`the last ${last}`]), ...counts];
  const within = retention['keep-within'];
  const parts = [
    ...(counted.length > 0 ? [`${listText(counted)} snapshots`] : []),
    ...(within === undefined ? [] : [`all of the last ${within}`]),
    ...spans,
    ...(retention['keep-tag'] ?? []).map((tags) => `all with the tags ${tags.join(' and ')}`),
    ...(retention['hold-tags'] ?? ['hold']).map((tag) => `those that the tag "${tag}" holds`),
    `at least ${retention.minimum ?? 1} of them sound`,
  ];
  return `Keeps ${parts.join(', ')},`;
}

const unitNames: Readonly<Record<string, string>> = {
  s: 'second',
  m: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
};

/** A length of time in words: `1d12h` is `1 day 12 hours`. */
export function lengthWords(text: string): string {
  return [...text.matchAll(/(\d+)([smhdw])/g)]
    .map(([, count = '', unit = '']) => `${count} ${unitNames[unit]}${count === '1' ? '' : 's'}`)
    .join(' ');
}

function listText(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
