import type { Clock } from '../../base/clock.ts';
import type { Source, SourceEntry, SourceListing } from '../../sources/source.ts';

/** What there is to do. */
export interface ScanTotals {
  readonly fileCount: number;
  readonly sizeBytes: number;
}

/** Share of the time that counting may take from the backup itself. */
const workMs = 5;
const pauseMs = 25;

/**
 * Counts the files of a source beside the backup, so that progress has an end. Takes little time at once.
 *
 * @param source an own instance: a source is walked once
 * @param onCount told now and then, and at the end
 * @returns the totals; undefined if it was stopped. Problems are left to the backup itself
 */
export async function scanSource(
  source: Source,
  how: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    onCount(totals: ScanTotals): void;
  },
): Promise<ScanTotals | undefined> {
  const { clock, signal } = how;
  const totals = { fileCount: 0, sizeBytes: 0 };
  const close = (): void => source.close?.();
  signal.addEventListener('abort', close, { once: true });
  const waiting: (SourceEntry | (() => SourceListing))[] = [];
  const take = ({ entries, rest }: SourceListing): void => {
    if (rest) waiting.push(rest);
    for (const entry of entries) {
      if (entry.status.kind === 'directory') waiting.push(entry);
      else if (entry.status.kind === 'file') {
        totals.fileCount++;
        totals.sizeBytes += entry.status.sizeBytes;
      }
    }
  };
  try {
    take(source.root());
    let turnStartMs = clock.monotonicMs();
    for (let folder = waiting.pop(); folder; folder = waiting.pop()) {
      if (signal.aborted) return undefined;
      if (typeof folder === 'function') take(folder());
      else {
        await source.probe?.(folder);
        take(source.list(folder));
      }
      if (clock.monotonicMs() - turnStartMs < workMs) continue;
      how.onCount({ ...totals });
      await clock.sleep(pauseMs, signal);
      turnStartMs = clock.monotonicMs();
    }
  } catch {
    // Stopped, or a problem that the backup meets and reports.
    return undefined;
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
  how.onCount(totals);
  return totals;
}
