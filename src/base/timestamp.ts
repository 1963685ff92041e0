/** An instant to the nanosecond: `seconds` since 1970 UTC (floored), `nanoseconds` in [0, 10^9). */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Offset in minutes east of UTC that the instant was written with, where it matters (snapshots). */
  readonly offsetMinutes?: number;
}

/** Negative, zero or positive; compares instants, whatever their offsets. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** The instant so many nanoseconds after (negative: before) 1970 UTC, exactly; the inverse of `timestampToNs`. */
export function timestampFromNs(ns: bigint): Timestamp {
  const seconds = ns >= 0n ? ns / 1_000_000_000n : -((-ns + 999_999_999n) / 1_000_000_000n);
  return { seconds: Number(seconds), nanoseconds: Number(ns - seconds * 1_000_000_000n) };
}

/** Nanoseconds since 1970 UTC, exactly; negative before. `offsetMinutes` does not count. */
export function timestampToNs(time: Timestamp): bigint {
  return BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds);
}
