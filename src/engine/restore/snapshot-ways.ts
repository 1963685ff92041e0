import { pathText, splitSnapshotPath } from '../trees/snapshot-path.ts';

/** Snapshots of more paths than this are long lists of absolute ones: ends of them are not looked for. */
const relativePathsMax = 1000;

/**
 * Tells the folders that only lead to what was backed up, such as `/home` of a backup of `/home/anna`: the backup was asked
 * for nothing of them but the way.
 */
export class SnapshotWays {
  readonly #paths: readonly string[];
  readonly #above: readonly string[];
  #targets = new Set<string>();
  #ways: Set<string> | undefined;

  /** @param snapshot its paths, as recorded: absolute; and the folder of it that is restored */
  constructor(snapshot: {
    readonly paths: readonly string[];
    readonly subfolder: string | undefined;
  }) {
    this.#paths = snapshot.paths;
    this.#above = partsOf(Buffer.from(snapshot.subfolder ?? ''));
  }

  /** @param path below what is restored, starting with `/` */
  isOnlyWay(path: Uint8Array): boolean {
    const parts = [...this.#above, ...partsOf(path)];
    if (!this.#waysOf().has(parts.join('/'))) return false;
    return parts.every((_, i) => !this.#targets.has(parts.slice(0, i + 1).join('/')));
  }

  /** Made when it is first asked for: most restores never do. */
  #waysOf(): Set<string> {
    if (this.#ways) return this.#ways;
    const ways = new Set<string>();
    const targets = this.#paths.map((path) => partsOf(Buffer.from(path)));
    // A path that was given relative stands in the snapshot with its last components alone.
    const hasRelative = targets.length <= relativePathsMax;
    for (const parts of targets) {
      for (let start = 0; start < (hasRelative ? parts.length : 1); start++) {
        for (let end = start + 1; end < parts.length; end++) {
          ways.add(parts.slice(start, end).join('/'));
        }
      }
    }
    this.#targets = new Set(targets.map((parts) => parts.join('/')));
    this.#ways = ways;
    return ways;
  }
}

function partsOf(path: Uint8Array): string[] {
  return splitSnapshotPath(path).map(pathText);
}
