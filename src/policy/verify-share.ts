/** Parts that a repository is cut into at most: the first byte of a pack's id tells its part. */
const partCountMax = 256;

/** What of a repository was read back when; part 1 comes first. */
export interface VerifyProgress {
  readonly total: number;
  /** The part that is read next, from 1. */
  readonly next: number;
  /** When each part was read whole and found sound, in milliseconds since 1970; 0 for never. */
  readonly readMs: readonly number[];
}

/** Where a verify begins. */
export function freshVerify(total: number): VerifyProgress {
  return { total, next: 1, readMs: Array.from({ length: total }, () => 0) };
}

/** Into how many parts what is to be read `withinMs` is cut for runs that are `gapMs` apart; one run is left to spare. */
export function partCount(withinMs: number, gapMs: number): number {
  return Math.max(1, Math.min(partCountMax, Math.floor(withinMs / gapMs) - 1));
}

/**
 * The parts to read now, in the fixed order: the next one, and those after it that would be too old before the next run.
 *
 * @param sinceMs since when the duty is there, for parts that were never read
 * @returns numbers from 1, at least one
 */
export function partsToRead(
  { total, next, readMs }: VerifyProgress,
  rule: { readonly withinMs: number; readonly gapMs: number },
  times: { readonly nowMs: number; readonly sinceMs: number },
): number[] {
  const order = Array.from({ length: total }, (_, i) => ((next - 1 + i) % total) + 1);
  const neededBy = (part: number): number =>
    (readMs[part - 1] || times.sinceMs) + rule.withinMs - times.nowMs;
  let count = 1;
  // Whoever is behind at the end of the order has to read what is before it, too, each in its run.
  for (const [i, part] of order.entries()) {
    // Rounded, for no run comes at the same second as the last; and the last of them is to spare: one may be missed.
    const runsLeft = Math.max(0, Math.round(neededBy(part) / rule.gapMs) - 1);
    count = Math.max(count, Math.ceil((i + 1) / (runsLeft + 1)));
  }
  return order.slice(0, count);
}

/** What is known after these parts were read and found sound. */
export function afterRead(
  progress: VerifyProgress,
  parts: readonly number[],
  nowMs: number,
): VerifyProgress {
  const readMs = progress.readMs.map((ms, i) => (parts.includes(i + 1) ? nowMs : ms));
  const last = parts.at(-1) ?? progress.next - 1;
  return { ...progress, readMs, next: (last % progress.total) + 1 };
}

/** When the oldest part was read, or `sinceMs` if one never was; all of the repository is as fresh as that. */
export function oldestReadMs({ readMs }: VerifyProgress, sinceMs: number): number {
  return Math.min(...readMs.map((ms) => ms || sinceMs));
}
