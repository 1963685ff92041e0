import { compareTimestamps } from '../../base/timestamp.ts';
import type { Id } from '../../repository/id.ts';
import type { Snapshot, StoredSnapshot } from '../../repository/snapshots.ts';

/** Snapshots of a repository by what they were first stored as: copies and retagged ones keep that id. */
export class CopyList {
  readonly #byFirstId = new Map<Id, StoredSnapshot[]>();

  constructor(snapshots: readonly StoredSnapshot[]) {
    for (const snapshot of snapshots) this.add(snapshot);
  }

  add(snapshot: StoredSnapshot): void {
    for (const id of new Set([snapshot.id, snapshot.original])) {
      if (id === undefined) continue;
      const known = this.#byFirstId.get(id);
      if (known) known.push(snapshot);
      else this.#byFirstId.set(id, [snapshot]);
    }
  }

  /** The snapshot that says the same of the same source. */
  find(snapshot: StoredSnapshot): StoredSnapshot | undefined {
    const known = this.#byFirstId.get(snapshot.original ?? snapshot.id) ?? [];
    return known.find((other) => sayTheSame(other, snapshot));
  }
}

/** What is stored for a snapshot in another repository: there its parent means nothing. */
export function copyOf({ id, ...snapshot }: StoredSnapshot): Snapshot {
  return { ...snapshot, parent: undefined, original: snapshot.original ?? id };
}

/** As restic 0.19.1 compares: all but what programs and repositories add. */
function sayTheSame(a: Snapshot, b: Snapshot): boolean {
  return (
    compareTimestamps(a.time, b.time) === 0 &&
    a.tree === b.tree &&
    (a.hostname ?? '') === (b.hostname ?? '') &&
    (a.username ?? '') === (b.username ?? '') &&
    (a.uid ?? 0) === (b.uid ?? 0) &&
    (a.gid ?? 0) === (b.gid ?? 0) &&
    areEqual(a.paths, b.paths) &&
    areEqual(a.tags ?? [], b.tags ?? []) &&
    areEqual(a.excludes ?? [], b.excludes ?? [])
  );
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
