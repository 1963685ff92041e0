import { pathText } from '../trees/snapshot-path.ts';
import { concatBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Problem } from '../../base/monitor.ts';
import type { SourceEntry, SourceProblem } from '../../sources/source.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Counters, type Change } from './counters.ts';
import type { BackupItem, BackupMonitor } from './options.ts';
import type { TreeFrame } from './tree-frame.ts';

/** Items named as being worked on. */
const currentItemsMax = 2;

const slash = Uint8Array.of(0x2f);
const actions = { new: 'new', changed: 'modified', unmodified: 'unchanged' } as const;

/** An entry, and the directory that holds it. */
export interface FilePlace {
  readonly entry: SourceEntry;
  readonly frame: TreeFrame;
}

/** Collects what a backup has to say: numbers, problems, progress. */
export class BackupReport {
  readonly counters: Counters = new Counters();
  readonly problems: Problem[] = [];
  readonly #monitor: BackupMonitor;
  readonly #clock: Clock;
  readonly #current: string[] = [];
  readonly #startedMs = new WeakMap<SourceEntry | TreeFrame, number>();
  #readingBytes = 0;
  #hasLost = false;

  constructor(monitor: BackupMonitor, clock: Clock) {
    this.#monitor = monitor;
    this.#clock = clock;
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

  /** Work on an entry, or on a directory with all below it, begins: its item will tell how long that took. */
  begin(work: SourceEntry | TreeFrame): void {
    if (this.wantsItems) this.#startedMs.set(work, this.#clock.monotonicMs());
  }

  /** A regular file: links, devices and pipes are not counted, and are no items. */
  file(
    { entry, frame }: FilePlace,
    change: Change,
    sizes: {
      readonly sizeBytes: number;
      readonly plainBytes: number;
      readonly storedBytes: number;
    },
  ): void {
    this.counters.countFile(change, sizes.sizeBytes);
    if (!this.wantsItems) return;
    this.#item(change, {
      path: pathIn(frame, entry.name),
      isDirectory: false,
      durationMs: this.#durationOf(entry),
      dataSizeBytes: sizes.plainBytes,
      dataStoredBytes: sizes.storedBytes,
    });
  }

  /** An entry that is as the parent snapshot has it; directories are counted when they are complete. */
  unchanged(entry: SourceEntry, frame: TreeFrame): void {
    const { kind, sizeBytes } = entry.status;
    if (kind !== 'file') return;
    this.counters.countFile('unmodified', sizeBytes);
    if (!this.wantsItems) return;
    this.#item('unmodified', { path: pathIn(frame, entry.name), isDirectory: false });
  }

  /** Bytes of a large file as they are read; taken back when the file is counted whole. */
  reading(sizeBytes: number): void {
    this.#readingBytes += sizeBytes;
  }

  directory(change: Change): void {
    this.counters.directories[change]++;
  }

  /** A directory is stored, its own tree included. */
  directoryItem(
    frame: TreeFrame,
    change: Change,
    sizes: { readonly metadataSizeBytes: number; readonly metadataStoredBytes: number },
  ): void {
    const { entry, parent } = frame;
    if (!entry || !parent) return;
    const durationMs = change === 'unmodified' ? 0 : this.#durationOf(frame);
    const path = pathIn(parent, entry.name);
    this.#item(change, { ...sizes, path, isDirectory: true, durationMs });
  }

  /** True if somebody hears of single items. */
  get wantsItems(): boolean {
    return this.#monitor.item !== undefined;
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

  #durationOf(work: SourceEntry | TreeFrame): number {
    const startedMs = this.#startedMs.get(work);
    return startedMs === undefined ? 0 : this.#clock.monotonicMs() - startedMs;
  }

  #item(
    change: Change,
    item: Pick<BackupItem, 'path' | 'isDirectory'> & Partial<BackupItem>,
  ): void {
    this.#monitor.item?.({
      durationMs: 0,
      dataSizeBytes: 0,
      dataStoredBytes: 0,
      metadataSizeBytes: 0,
      metadataStoredBytes: 0,
      ...item,
      action: actions[change],
    });
  }
}

/** The path of an entry in the snapshot. */
function pathIn(frame: TreeFrame, name: Uint8Array): Uint8Array {
  const parts = [name, slash];
  for (let at: TreeFrame | undefined = frame; at?.entry; at = at.parent) {
    // A part of a directory has the directory's own entry, and is below it.
    if (!at.part) parts.push(at.entry.name, slash);
  }
  return concatBytes(parts.toReversed());
}
