import { shortId } from '../repository/id.ts';
import { encodeSnapshot, type StoredSnapshot } from '../repository/snapshots.ts';

/** The JSON of a snapshot record. */
export function snapshotRecordJson(snapshot: StoredSnapshot): string {
  return Buffer.from(encodeSnapshot(snapshot)).toString('utf8');
}

/**
 * A snapshot as JSON output shows it: its record, then `id` and `short_id`.
 * @param more further fields, as JSON that begins with a comma
 */
export function snapshotJson(snapshot: StoredSnapshot, more = ''): string {
  const record = snapshotRecordJson(snapshot).slice(0, -1);
  return `${record},"id":"${snapshot.id}","short_id":"${shortId(snapshot.id)}"${more}}`;
}
