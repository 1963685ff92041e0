import { unreachable } from '../base/assert.ts';
import { parseDurationMs } from '../base/duration.ts';
import type { Flag, IntegerFlag } from './command.ts';

/** A value, or what is wrong with the text. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

const trueTexts = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const falseTexts = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

/** Reads true or false by the words of Go's `strconv.ParseBool`, which restic's flags take. */
export function parseBoolean(text: string): Parsed<boolean> {
  if (trueTexts.includes(text)) return { value: true };
  if (falseTexts.includes(text)) return { value: false };
  return { problem: 'must be true or false' };
}

/** Reads a whole number of at most 15 digits in `[minimum, maximum]`, with or without a sign. */
export function parseInteger(text: string, minimum: number, maximum: number): Parsed<number> {
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) return { problem: 'must be a whole number' };
  if (value < minimum || value > maximum) {
    if (maximum >= Number.MAX_SAFE_INTEGER) return { problem: `must be at least ${minimum}` };
    return { problem: `must be between ${minimum} and ${maximum}` };
  }
  return { value };
}

/** A whole number, or `unlimited`. */
function parseLimit(text: string, flag: IntegerFlag): Parsed<number> {
  if (text === 'unlimited') return { value: Number.POSITIVE_INFINITY };
  const parsed = parseInteger(text, Number.MIN_SAFE_INTEGER, flag.maximum);
  const isNegative = 'value' in parsed && parsed.value < flag.minimum;
  return isNegative ? { problem: "must not be negative, use 'unlimited' instead" } : parsed;
}

/** As `parseDurationMs`. */
export function parseDuration(text: string): Parsed<number> {
  const value = parseDurationMs(text);
  return value === undefined
    ? { problem: 'must be a duration such as 90s, 5m or 1h30m' }
    : { value };
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** A size with restic's suffixes, 1024-based: `500`, `10k`, `2M`, `1G`. In bytes. */
export function parseSize(text: string): Parsed<number> {
  const match = /^(\d{1,15})([bkmgt]?)$/i.exec(text);
  const value = match ? Number(match[1]) * (sizeUnits[match[2]?.toLowerCase() ?? ''] ?? 0) : -1;
  if (value < 0) return { problem: 'must be a size such as 500, 10k, 2M or 1G' };
  if (value > Number.MAX_SAFE_INTEGER) return { problem: 'is too large' };
  return { value };
}

function parseChoice(text: string, choices: readonly string[]): Parsed<string> {
  if (choices.includes(text)) return { value: text };
  return { problem: `must be one of (${choices.join('|')})` };
}

/** Reads the text of one value of `flag`. */
export function parseFlagText(flag: Flag, text: string): Parsed<boolean | number | string> {
  switch (flag.kind) {
    case 'boolean':
      return parseBoolean(text);
    case 'count':
      return parseInteger(text, 0, 1000);
    case 'text':
    case 'texts':
      return { value: text };
    case 'integer':
      if (flag.takesZero && text === '0') return { value: 0 };
      return flag.unlimited
        ? parseLimit(text, flag)
        : parseInteger(text, flag.minimum, flag.maximum);
    case 'duration':
      return parseDuration(text);
    case 'size':
      return parseSize(text);
    case 'choice':
      return parseChoice(text, flag.choices);
    default:
      return unreachable(flag);
  }
}
