import type { Progress } from '../../base/monitor.ts';
import { shortId } from '../../repository/id.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';

/** Who wants to know how far a rewrite is. */
export interface RewriteProgressMonitor {
  /** Counts snapshots as files. The one that is worked on, with the folder that it is at, is its only item. */
  progress?(progress: Progress): void;
}

/** Counts the snapshots of a rewrite. */
export class RewriteProgress {
  readonly #monitor: RewriteProgressMonitor;
  readonly #totalCount: number;
  #doneCount = 0;
  #errorCount = 0;

  constructor(totalCount: number, monitor: RewriteProgressMonitor) {
    this.#totalCount = totalCount;
    this.#monitor = monitor;
  }

  /** A folder of a snapshot is begun. */
  enter({ id }: StoredSnapshot, path: Uint8Array): void {
    if (!this.#monitor.progress) return;
    this.#tell([`${shortId(id)}:${Buffer.from(path).toString('utf8') || '/'}`]);
  }

  /** A snapshot is done with. */
  finish(hasFailed: boolean): void {
    this.#doneCount++;
    if (hasFailed) this.#errorCount++;
    this.#tell([]);
  }

  #tell(currentItems: readonly string[]): void {
    this.#monitor.progress?.({
      filesDone: this.#doneCount,
      filesTotal: this.#totalCount,
      bytesDone: 0,
      errorCount: this.#errorCount,
      currentItems,
    });
  }
}
