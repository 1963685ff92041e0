import { pathText } from '../trees/snapshot-path.ts';
import type { Problem } from '../../base/monitor.ts';
import type { RestoreItem, RestoreMonitor } from './options.ts';
import { isDamage } from '../damage-if-held.ts';
import type { PlannedFile } from './plan.ts';

/** Problems that are kept for the result: a restore by the wrong user may have one for each item. */
const problemsKeptMax = 10_000;

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
  privilegedFiles = 0;
  /** Files that threads are at. */
  readonly atWork: Set<PlannedFile> = new Set<PlannedFile>();
  /** Written into files that are not whole yet. */
  #bytesWriting = 0;
  /** The first ones; all were told as they came. */
  readonly problems: Problem[] = [];
  problemCount = 0;
  /** The first problem that tells of damage of what is stored. */
  damage: unknown;
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
    this.problemCount++;
    if (this.damage === undefined && isDamage(error)) this.damage = error;
    if (this.problems.length < problemsKeptMax) this.problems.push(problem);
    this.#monitor.problem(problem);
  }

  /** A file was right already, or is left as it is. */
  skipFile(sizeBytes: number): void {
    this.filesSkipped++;
    this.filesTotal--;
    this.bytesSkipped += sizeBytes;
    this.bytesTotal -= sizeBytes;
  }

  /** An item is as it should be now; of its content `keptBytes` were there already. */
  restoreFile(writtenBytes: number, keptBytes: number): void {
    this.filesRestored++;
    this.bytesRestored += writtenBytes;
    this.#bytesWriting = Math.max(0, this.#bytesWriting - writtenBytes);
    this.bytesSkipped += keptBytes;
    this.bytesTotal -= keptBytes;
  }

  /** Bytes were written into a file that is not whole yet. */
  write(sizeBytes: number): void {
    this.#bytesWriting += sizeBytes;
  }

  /** No file is being written any more. */
  endWriting(): void {
    this.#bytesWriting = 0;
  }

  /** A file has got setuid or setgid. */
  privileged(path: Uint8Array): void {
    this.privilegedFiles++;
    this.#monitor.privileged?.(path);
  }

  note(text: string): void {
    this.#monitor.note(text);
  }

  item(action: RestoreItem['action'], path: Uint8Array, sizeBytes: number): void {
    this.#monitor.item?.({ action, path, sizeBytes, isDirectory: false });
  }

  directory(action: RestoreItem['action'], path: Uint8Array): void {
    this.#monitor.item?.({ action, path, sizeBytes: 0, isDirectory: true });
  }

  /** True if somebody listens to single items. */
  get wantsItems(): boolean {
    return this.#monitor.item !== undefined;
  }

  progress(): void {
    const { files, bytes } = this.#expected;
    this.#monitor.progress({
      filesDone: this.filesRestored,
      filesTotal: Math.max(this.filesTotal, (files ?? 0) - this.filesSkipped),
      bytesDone: this.bytesRestored + this.#bytesWriting,
      bytesTotal: Math.max(this.bytesTotal, (bytes ?? 0) - this.bytesSkipped),
      filesSkipped: this.filesSkipped,
      bytesSkipped: this.bytesSkipped,
      filesDeleted: this.filesDeleted,
      errorCount: this.problemCount,
      currentItems: Array.from(this.atWork, ({ directory, node }) =>
        pathText(directory.pathOf(node.name)),
      ),
    });
  }
}
