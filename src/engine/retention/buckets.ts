import type { Timestamp } from '../../base/timestamp.ts';
import { civilFromDay, dayFromCivil } from '../../repository/time-format.ts';

/** The periods of which a policy keeps one snapshot each, from short to long. */
export const periods = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** A period of a policy: one of `periods`. */
export type Period = (typeof periods)[number];

const secondsPerDay = 86_400;
const secondsPerHour = 3600;

/**
 * Number of the period that a time lies in, by the offset that it was written with: equal for two times exactly if they
 * are in the same hour, day, week (of ISO 8601), month or year.
 */
export function periodOf(time: Timestamp, period: Period): number {
  const wall = time.seconds + (time.offsetMinutes ?? 0) * 60;
  if (period === 'hourly') return Math.floor(wall / secondsPerHour);
  const day = Math.floor(wall / secondsPerDay);
  if (period === 'daily') return day;
  // The 1st of January 1970 was a Thursday: three days later a week begins.
  if (period === 'weekly') return Math.floor((day + 3) / 7);
  const { year, month } = civilFromDay(day);
  return period === 'yearly' ? year : dayFromCivil(year, month, 1);
}
