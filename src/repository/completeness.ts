import type { Snapshot } from './snapshot-codec.ts';

/**
 * What a backup adds to the name of its program when something was not stored exactly as it was read. It stands in a field
 * that every program carries over when it changes tags, rewrites or copies, where a field of our own would be dropped.
 * @see docs/FORMAT.md#snapshots
 */
const incompleteMark = ' (incomplete)';

/** The program of an incomplete snapshot. */
export function markIncomplete(programVersion: string): string {
  return programVersion + incompleteMark;
}

/** True if the backup that made the snapshot could not store everything, and said so in it. Only Holdfast does. */
export function isIncomplete({ programVersion }: Snapshot): boolean {
  return programVersion?.endsWith(incompleteMark) ?? false;
}
