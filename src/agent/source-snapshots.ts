import type { SourceEntry } from '../contracts/source-entry.ts';
import { loadSnapshots, type StoredSnapshot, tellUnreadable } from '../repository/snapshots.ts';
import type { Session } from '../session/session.ts';
import { thisOwner } from '../session/this-process.ts';

/** The tag by which the snapshots of a source are known, also after its paths have changed. */
export function sourceTag(sourceName: string): string {
  return `source:${sourceName}`;
}

/** The host name of a source's snapshots. */
export function sourceHost(source: SourceEntry): string {
  return source.host ?? thisOwner().hostname;
}

/** All snapshots that can be read, the oldest first; the others are told as problems. */
export function allSnapshots({ repository, signal, monitor }: Session): Promise<StoredSnapshot[]> {
  return loadSnapshots(repository, { signal, onUnreadable: tellUnreadable(monitor) });
}

/** Those of one source: of its host, with its tag. */
export function snapshotsOf(
  snapshots: readonly StoredSnapshot[],
  { sourceName, source }: { readonly sourceName: string; readonly source: SourceEntry },
): StoredSnapshot[] {
  const [tag, host] = [sourceTag(sourceName), sourceHost(source)];
  return snapshots.filter(({ hostname, tags }) => hostname === host && tags?.includes(tag));
}
