import type { Problem } from '../../base/monitor.ts';
import { pathText } from '../backup/report.ts';
import type { RestoreItem, RestoreMonitor } from './options.ts';

/** Numbers and problems of a running restore. Sizes in bytes. */
export class RestoreTally {
  filesTotal = 0;
  filesRestored = 0;
  filesSkipped = 0;
  filesDeleted = 0;
  bytesTotal = 0;
  bytesRestored = 0;
  bytesSkipped = 0;
  filesVerified = 0;
  readonly problems: Problem[] = [];
  readonly #monitor: RestoreMonitor;
  readonly #expected: { readonly files?: number | undefined; readonly bytes?: number | undefined };

  /** @param expected totals, where they are known before */
  constructor(
    monitor: RestoreMonitor,
    expected: { readonly files?: number | undefined; readonly bytes?: number | undefined },
  ) {
    this.#monitor = monitor;
    this.#expected = expected;
  }

  problem(path: Uint8Array, error: unknown): void {
    const problem = { item: pathText(path), error, during: 'restore' } as const;
    this.problems.push(problem);
    this.#monitor.problem(problem);
  }

  note(text: string): void {
    this.#monitor.note(text);
  }

  item(action: RestoreItem['action'], path: Uint8Array, sizeBytes: number): void {
    this.#monitor.item?.({ action, path, sizeBytes });
  }

  /** True if somebody listens to single items. */
  get wantsItems(): boolean {
    return this.#monitor.item !== undefined;
  }

  progress(): void {
    const { files, bytes } = this.#expected;
    this.#monitor.progress({
      filesDone: this.filesRestored,
      filesTotal: Math.max(this.filesTotal, files ?? 0),
      bytesDone: this.bytesRestored,
      bytesTotal: Math.max(this.bytesTotal, bytes ?? 0),
      filesSkipped: this.filesSkipped,
      bytesSkipped: this.bytesSkipped,
      filesDeleted: this.filesDeleted,
      errorCount: this.problems.length,
      currentItems: [],
    });
  }
}
