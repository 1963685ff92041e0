import { z } from 'zod';

const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The longest length of time that is taken: ten years. */
const durationMsMax = 3650 * 86_400_000;

/**
 * A length of time such as `90m`, `6h`, `1d12h` or `2w`, in milliseconds: seconds, minutes, hours, days of 24 hours and weeks.
 *
 * @returns undefined for what is none
 */
export function parseLengthMs(text: string): number | undefined {
  if (!/^(\d{1,6}[smhdw])+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)([smhdw])/g)) {
    sum += Number(count) * (unitsMs[unit] ?? Number.NaN);
  }
  return sum <= durationMsMax ? sum : undefined;
}

/** The length of a text that a schema has taken. */
export function lengthMs(text: string): number {
  const ms = parseLengthMs(text);
  if (ms === undefined) throw new RangeError(`no length of time: ${JSON.stringify(text)}`);
  return ms;
}

/** A length of time as `parseLengthMs` reads it, within bounds. */
export function lengthText(bounds: {
  readonly minimum: string;
  readonly maximum: string;
}): z.ZodType<string> {
  const [minimumMs, maximumMs] = [lengthMs(bounds.minimum), lengthMs(bounds.maximum)];
  return z
    .string()
    .regex(
      /^(\d{1,6}[smhdw])+$/,
      'must be a length of time such as 15m, 6h, 1d or 2w (s, m, h, d, w)',
    )
    .refine((text) => {
      const ms = parseLengthMs(text) ?? Number.NaN;
      return !/^(\d{1,6}[smhdw])+$/.test(text) || (ms >= minimumMs && ms <= maximumMs);
    }, `must be between ${bounds.minimum} and ${bounds.maximum}`);
}
