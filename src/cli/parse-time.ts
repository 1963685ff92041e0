import type { Timestamp } from '../base/timestamp.ts';
import { localZone, parseTime } from '../repository/time-format.ts';
import { usage } from './parse.ts';

const isoForm =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?)?$/;
const dottedForm = /^(\d\d)\.(\d\d)\.(\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?$/;

/**
 * Reads a time that a person wrote: `2026-01-31`, `2026-01-31 18:05`, `2026-01-31 18:05:00`, the same with a zone such
 * as `+01:00`, `31.01.2026 18:05`, or RFC 3339. Without a zone it is local time.
 *
 * @param flag what to blame
 * @throws USAGE
 */
export function parsePersonTime(text: string, flag: string): Timestamp {
  const found = isoForm.exec(text) ?? reorder(dottedForm.exec(text));
  if (!found) {
    const time = tryParse(text);
    if (time) return time;
    throw usage(
      `invalid argument ${JSON.stringify(text)} for "${flag}": it is no time`,
      'Write it as 2026-01-31 or "2026-01-31 18:05:00".',
    );
  }
  const [, year, month, day, hour = '00', minute = '00', second = '00', zone] = found;
  const wall = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const offset = zone === undefined ? undefined : rfcOffset(zone);
  const time = tryParse(`${wall}${offset ?? 'Z'}`);
  if (!time)
    throw usage(`invalid argument ${JSON.stringify(text)} for "${flag}": there is no such time`);
  return offset === undefined ? localInstant(time.seconds) : time;
}

function reorder(match: RegExpExecArray | null): readonly (string | undefined)[] | undefined {
  if (!match) return undefined;
  const [all, day, month, year, ...rest] = match;
  return [all, year, month, day, ...rest, undefined];
}

function rfcOffset(zone: string): string {
  if (zone === 'Z' || zone === 'UTC') return 'Z';
  return zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
}

function tryParse(text: string): Timestamp | undefined {
  try {
    return parseTime(text);
  } catch {
    return undefined;
  }
}

/** The instant at which clocks here show what UTC shows at `wallSeconds`. */
function localInstant(wallSeconds: number): Timestamp {
  const guess = wallSeconds - localZone(wallSeconds) * 60;
  const offsetMinutes = localZone(guess);
  const seconds = wallSeconds - offsetMinutes * 60;
  return { seconds, nanoseconds: 0, offsetMinutes: localZone(seconds) };
}
