import { type ErrorDetail, HoldfastError } from '../base/errors.ts';
import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
  Retention,
  Versions,
  ThawingFile,
  ThawTerms,
} from '../storage/backend.ts';

/**
 * Asked before every change of the repository. Undefined: go on at once. A promise: wait for it; if it rejects, the
 * change is not made and its error is thrown.
 * @param surely asks the storage for the lock, whatever the clocks say
 */
export type WriteGuard = (surely: boolean) => Promise<void> | undefined;

/** Looks, after an absence, whether what a piece of work relies on is still so. Must not change the repository. */
export type AbsenceCheck = (signal: AbortSignal) => Promise<void>;

/**
 * Times in which the lock of the running work was not certain, such as a sleep of the machine: others may have taken
 * the work for gone, and removed what it was about to refer to.
 */
export class Absences {
  readonly #checks = new Set<AbsenceCheck>();
  #count = 0;

  /** How many there were; counted before anything may be changed again. */
  get count(): number {
    return this.#count;
  }

  /**
   * Calls `check` after every absence from now on, before changes go on. If it throws, the changes that wait are not made,
   * and its error is thrown to who wanted them. Returns what ends that.
   */
  addCheck(check: AbsenceCheck): () => void {
    this.#checks.add(check);
    return () => this.#checks.delete(check);
  }

  /** Counts an absence that is over, and runs all checks. @throws the error of the first that throws */
  async check(signal: AbortSignal): Promise<void> {
    this.#count++;
    const results = await Promise.allSettled([...this.#checks].map((check) => check(signal)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

/** What to say of a file that was stored and is gone after an absence. */
export function removedAsLeft(
  details: Readonly<Record<string, ErrorDetail>>,
  cause: HoldfastError,
): HoldfastError {
  return new HoldfastError('LOCK_LOST', {
    message:
      'while this computer slept, data that was stored just before was removed as left behind',
    details,
    cause,
  });
}

/** What to say of something that cannot be read after an absence. */
export function movedMeanwhile(cause: unknown): HoldfastError {
  return new HoldfastError('LOCK_LOST', {
    message: 'while this computer slept, others moved or removed data that was still to be read',
    cause,
  });
}

/**
 * Holds changes of a repository back until every guard agrees, so that no code that writes can forget its lock. They are
 * asked again before every try of a change: it may have waited for the storage through a night.
 * Reading, and the locks themselves, pass freely.
 */
export class GuardedBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly localPath: string | undefined;
  readonly listsAtOnce: boolean;
  readonly versions: Versions | undefined;
  readonly retention: Retention | undefined;
  readonly removeLeftovers?: (options?: CallOptions) => Promise<number>;
  readonly mayRemove?: (options?: CallOptions) => Promise<boolean>;
  readonly #inner: Backend;
  readonly #guards = new Set<WriteGuard>();
  /** The first wait that a guard wants; undefined if all agree at this moment. */
  readonly #ask = (): Promise<void> | undefined => {
    for (const guard of this.#guards) {
      const wait = guard(false);
      if (wait) return wait;
    }
    return undefined;
  };

  constructor(inner: Backend) {
    this.#inner = inner;
    this.location = inner.location;
    this.connectionCount = inner.connectionCount;
    this.localPath = inner.localPath;
    this.listsAtOnce = inner.listsAtOnce === true;
    this.versions = inner.versions;
    this.retention = inner.retention;
    if (inner.removeLeftovers) {
      this.removeLeftovers = inner.removeLeftovers.bind(inner);
    }
    const mayRemove = inner.mayRemove?.bind(inner);
    if (mayRemove) this.mayRemove = mayRemove;
  }

  get thawing(): ThawTerms | undefined {
    return this.#inner.thawing;
  }

  /** Asks `guard` from now on. Returns what ends that. */
  addGuard(guard: WriteGuard): () => void {
    this.#guards.add(guard);
    return () => this.#guards.delete(guard);
  }

  create(options?: CallOptions): Promise<void> {
    return this.#inner.create(options);
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    if (handle.type === 'lock') return this.#inner.put(handle, parts, options);
    await this.pass();
    return this.#inner.put(handle, parts, { ...options, admit: this.#ask });
  }

  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#inner.get(handle, range, options);
  }

  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.#inner.stat(handle, options);
  }

  list(type: FileType, options?: CallOptions): AsyncIterable<FileStat> {
    return this.#inner.list(type, options);
  }

  /** Changes nothing of the repository. */
  async thaw(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined> {
    return await this.#inner.thaw?.(handle, options);
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    if (handle.type === 'lock') return this.#inner.remove(handle, options);
    await this.pass();
    return this.#inner.remove(handle, { ...options, admit: this.#ask });
  }

  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    if (!this.#inner.removeSeveral) return [];
    if (type !== 'lock') await this.pass();
    const admit = type === 'lock' ? undefined : this.#ask;
    return this.#inner.removeSeveral(type, names, { ...options, admit });
  }

  /** As `remove`, without asking. */
  removeUnguarded(handle: FileHandle, options?: CallOptions): Promise<void> {
    return this.#inner.remove(handle, options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** As `pass`, and asks the storage for the locks. @throws as `pass` */
  async passSurely(): Promise<void> {
    for (const guard of this.#guards) await guard(true);
    await this.pass();
  }

  /** Waits until every guard agrees that changes may be made. @throws the error of one that does not */
  async pass(): Promise<void> {
    for (let wait = this.#ask(); wait; wait = this.#ask()) await wait;
  }
}
