import type { Problem } from '../../base/monitor.ts';
import type { SourceEntry, SourceProblem } from '../../sources/source.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Counters, type Change } from './counters.ts';
import type { BackupItem, BackupMonitor } from './options.ts';

/** Items named as being worked on. */
const currentItemsMax = 2;

const actions = { new: 'new', changed: 'modified', unmodified: 'unchanged' } as const;

/** Text of a path for messages; bytes that are not UTF-8 become U+FFFD. */
export function pathText(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('utf8');
}

/** Collects what a backup has to say: numbers, problems, progress. */
export class BackupReport {
  readonly counters: Counters = new Counters();
  readonly problems: Problem[] = [];
  readonly #monitor: BackupMonitor;
  readonly #current: string[] = [];
  #readingBytes = 0;
  #hasLost = false;

  constructor(monitor: BackupMonitor) {
    this.#monitor = monitor;
  }

  /** Remembers what is worked on. */
  working(path: Uint8Array): void {
    this.#current.push(pathText(path));
    if (this.#current.length > currentItemsMax) this.#current.shift();
  }

  problem(path: Uint8Array, error: unknown, during: Problem['during']): void {
    const problem = { item: pathText(path), error, during };
    this.problems.push(problem);
    this.#monitor.problem(problem);
  }

  sourceProblem({ path, error, during }: SourceProblem): void {
    this.problem(path, error, during);
  }

  vanished(path: Uint8Array): void {
    const message = 'it vanished while it was being backed up';
    this.problem(path, new HoldfastError('SOURCE_FAILED', { message }), 'archival');
  }

  unstorableAttribute(path: Uint8Array): void {
    const message =
      'an extended attribute is left out: its name is not UTF-8, which the repository format cannot hold';
    this.problem(path, new HoldfastError('SOURCE_FAILED', { message }), 'archival');
  }

  /** A file is as the parent snapshot has it, but its data is lost. The first one is a problem of the repository. */
  lost(path: Uint8Array): void {
    this.note(`${pathText(path)}: its data is missing in the repository: reading the file`);
    if (this.#hasLost) return;
    this.#hasLost = true;
    const message =
      'data that the parent snapshot refers to is missing: files that need it are read again';
    const error = new HoldfastError('BLOB_NOT_FOUND', { message });
    this.#monitor.problem({ item: '', during: 'scan', error });
  }

  note(text: string): void {
    this.#monitor.note(text);
  }

  file(
    entry: SourceEntry,
    change: Change,
    sizes: {
      readonly sizeBytes: number;
      readonly plainBytes: number;
      readonly storedBytes: number;
    },
  ): void {
    this.counters.countFile(change, sizes.sizeBytes);
    this.#item(entry, change, {
      dataSizeBytes: sizes.plainBytes,
      dataStoredBytes: sizes.storedBytes,
    });
  }

  /** An entry that is as the parent snapshot has it; directories are counted when they are complete. */
  unchanged(entry: SourceEntry): void {
    const { kind, sizeBytes } = entry.status;
    if (kind === 'directory') return;
    this.counters.countFile('unmodified', kind === 'file' ? sizeBytes : 0);
    this.#item(entry, 'unmodified', {});
  }

  /** A link, device or pipe: counted as a file without bytes. */
  special(entry: SourceEntry, change: Change): void {
    this.counters.countFile(change, 0);
    this.#item(entry, change, {});
  }

  /** Bytes of a large file as they are read; taken back when the file is counted whole. */
  reading(sizeBytes: number): void {
    this.#readingBytes += sizeBytes;
  }

  /** @param entry absent for a made-up directory */
  directory(
    entry: SourceEntry | undefined,
    change: Change,
    sizes: { readonly metadataSizeBytes: number },
  ): void {
    this.counters.directories[change]++;
    if (entry) this.#item(entry, change, sizes);
  }

  progress(): void {
    const { counters } = this;
    this.#monitor.progress({
      filesDone: counters.filesProcessed,
      bytesDone: counters.processedBytes + this.#readingBytes,
      errorCount: this.problems.length,
      currentItems: this.#current,
    });
  }

  #item(entry: SourceEntry, change: Change, sizes: Partial<BackupItem>): void {
    this.#monitor.item?.({
      dataSizeBytes: 0,
      dataStoredBytes: 0,
      metadataSizeBytes: 0,
      metadataStoredBytes: 0,
      ...sizes,
      action: actions[change],
      path: entry.path,
      isDirectory: entry.status.kind === 'directory',
    });
  }
}
