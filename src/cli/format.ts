import type { Timestamp } from '../base/timestamp.ts';
import { shortId } from '../repository/id.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { formatTime, localZone } from '../repository/time-format.ts';
import { safeText } from './safe-text.ts';

/** `2026-01-31 18:05:00`, in the zone of this machine. */
export function formatLocalTime({ seconds, nanoseconds }: Timestamp): string {
  return formatTime({ seconds, nanoseconds }, localZone).slice(0, 19).replace('T', ' ');
}

/** A time as Go prints it: `2026-01-31 18:05:00.25 +0100 CET`, with the offset in place of an unknown zone name. */
export function formatStoredTime(time: Timestamp): string {
  const text = formatTime(time, localZone);
  const [date = '', rest = ''] = text.split('T');
  const zoneAt = rest.search(/[Z+-]/);
  const zone = rest.slice(zoneAt);
  const offset = zone === 'Z' ? '+0000' : zone.replace(':', '');
  return `${date} ${rest.slice(0, zoneAt)} ${offset} ${zone === 'Z' ? 'UTC' : offset}`;
}

/** `1:05` or `2:00:07`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = String(whole % 60).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${rest}`;
}

/** `99.50%`. */
export function formatPercent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : Math.min(100, (100 * part) / whole)).toFixed(2)}%`;
}

/** A duration as flags take it: `24h`, `1h30m`, `45s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const text = parts.map(([count, unit]) => (count > 0 ? `${count}${unit}` : '')).join('');
  return text === '' ? '0s' : text;
}

/** As restic heads what it says of a snapshot, with an empty line before it. */
export function headOfSnapshot(snapshot: StoredSnapshot): string {
  const { id, paths, time, username = '', hostname = '' } = snapshot;
  const who = safeText(`${username}@${hostname}`);
  const what = paths.map((path) => safeText(path)).join(' ');
  return `\nsnapshot ${shortId(id)} of [${what}] at ${formatStoredTime(time)} by ${who}`;
}
