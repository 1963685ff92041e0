import { lengthMs } from '../contracts/durations.ts';
import type { Policy } from '../contracts/policy.ts';
import type { Rhythm } from '../contracts/rhythm.ts';
import { jitterMs } from './jitter.ts';
import { type Slots, slotsOf } from './slots.ts';
import { type OpenTimes, openTimesOf } from './windows.ts';
import { machineZone } from './zone.ts';

/** When one duty runs: its slots, how much later it starts, and when it may. */
export interface Schedule {
  readonly slots: Slots;
  readonly jitterMs: number;
  readonly open: OpenTimes;
  readonly zone: string;
}

/** What is to be done about a duty now. All times in milliseconds since 1970. */
export type Dueness =
  /** The slot is not served yet, and work may start. Of slots that were missed only the last is left. */
  | { readonly state: 'due'; readonly slotMs: number }
  /** As due, but nothing may start before `untilMs`; undefined: never, as far as one can see. */
  | { readonly state: 'closed'; readonly slotMs: number; readonly untilMs: number | undefined }
  /** Nothing to do before `nextMs`; undefined: never again. */
  | { readonly state: 'served'; readonly nextMs: number | undefined };

/** How long after its second missed start a duty is overdue: a run takes its time. */
export const overdueGraceMs: number = 3_600_000;

/**
 * The schedule of a duty.
 *
 * @param key names the duty, for its jitter
 * @throws RangeError for a cron expression that is none
 */
export function scheduleOf(policy: Policy, rhythm: Rhythm, key: string): Schedule {
  const zone = policy['time-zone'] ?? machineZone();
  const { jitter } = policy;
  return {
    slots: slotsOf(rhythm, zone),
    jitterMs: jitter === undefined ? 0 : jitterMs(key, lengthMs(jitter)),
    open: openTimesOf(policy, zone),
    zone,
  };
}

/**
 * Whether a duty is due. Exactly one run serves a slot: whoever runs it notes the slot, and hands it in here as `servedMs`. A
 * machine that was off runs the last slot that it missed, and none before.
 * @param servedMs the slot of the last run that need not be repeated; undefined if there was none
 */
export function duenessOf(
  schedule: Schedule,
  servedMs: number | undefined,
  nowMs: number,
): Dueness {
  const { slots, open } = schedule;
  const slotMs = slots.last(nowMs - schedule.jitterMs);
  if (slotMs === undefined || isServed(schedule, { servedMs, slotMs, nowMs })) {
    return { state: 'served', nextMs: plannedStarts(schedule, nowMs, 1)[0] };
  }
  if (open.isOpen(nowMs)) return { state: 'due', slotMs };
  return { state: 'closed', slotMs, untilMs: open.opensAt(nowMs) };
}

/** A slot that lies further ahead than the next one was noted by a clock that was wrong, and counts for nothing. */
function isServed(
  { slots, jitterMs: delayMs }: Schedule,
  at: { readonly servedMs: number | undefined; readonly slotMs: number; readonly nowMs: number },
): boolean {
  if (at.servedMs === undefined || at.servedMs < at.slotMs) return false;
  return at.servedMs <= (slots.next(at.nowMs - delayMs) ?? at.slotMs);
}

/**
 * The next times at which the duty starts, if nothing is missed before: the slots, with jitter, moved into the windows. Those of
 * several slots that wait for the same window are one.
 * @returns times after `afterMs`, at most `count`
 */
export function plannedStarts(schedule: Schedule, afterMs: number, count: number): number[] {
  const { slots, open, jitterMs: delayMs } = schedule;
  const starts: number[] = [];
  // A slot of before may wait for a window that opens after.
  const before = slots.last(afterMs - delayMs);
  let slotMs = before ?? slots.next(afterMs - delayMs);
  while (slotMs !== undefined && starts.length < count) {
    const startMs = open.opensAt(slotMs + delayMs);
    if (startMs === undefined) break;
    if (startMs > afterMs && startMs !== starts.at(-1)) starts.push(startMs);
    slotMs = slots.next(Math.max(slotMs, startMs - delayMs));
  }
  return starts;
}

/**
 * When a duty becomes overdue that succeeded last at `lastMs`: after `afterMs` if its policy says so, otherwise an hour after the
 * second start since; undefined if it will not run twice any more.
 * @param lastMs the last success, or since when the duty is there
 */
export function overdueAt(
  schedule: Schedule,
  lastMs: number,
  afterMs: number | undefined,
): number | undefined {
  if (afterMs !== undefined) return lastMs + afterMs;
  const second = plannedStarts(schedule, lastMs, 2)[1];
  return second === undefined ? undefined : second + overdueGraceMs;
}
