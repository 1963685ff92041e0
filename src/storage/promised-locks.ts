import type { Clock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { describeHandle, type FileHandle, type FileLock, type RetentionPeriod } from './backend.ts';
import { decodeRetentionMark, encodeRetentionMark, isAtLeast, lockFrom } from './retention-mark.ts';

/** What a store does to store one file with a lock. */
export interface LockedPut {
  /**
   * Makes the request.
   * @param how undefined lock: whatever the storage does by itself; `mark`: to be stored beside the file
   * @returns the version that was stored
   */
  readonly store: (how: PutExtras) => Promise<string | undefined>;
  /** Asks for the lock of that version. */
  readonly ask: (version: string | undefined) => Promise<FileLock | undefined>;
}

/** What goes along with a file. */
export interface PutExtras {
  readonly lock: FileLock | undefined;
  readonly mark: string | undefined;
  /** A lock may be put on the file, by us or by the storage. */
  readonly isLockable: boolean;
}

/** The locks that are promised for one repository, and whether they hold for what is stored. */
export class PromisedLocks {
  readonly #clock: Clock;
  promised: RetentionPeriod | undefined;
  /** These credentials may not lock by themselves; the storage does it for every file. */
  #isLeftToStorage = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes in the mark that came with the config. */
  learn(mark: string | undefined): void {
    this.promised = decodeRetentionMark(mark);
  }

  /**
   * Stores a file with the lock that is promised, and asks the storage whether it holds: some pass over what they do not
   * know. Locks of the repository are left out, since they are there for minutes.
   *
   * @throws VERIFY_FAILED if the file was stored, and is not locked; what `put` throws
   */
  async storing(handle: FileHandle, put: LockedPut): Promise<void> {
    const period = handle.type === 'lock' ? undefined : this.promised;
    if (!period) {
      await put.store({ lock: undefined, mark: undefined, isLockable: false });
      return;
    }
    const lock = lockFrom(this.#clock.wallMs(), period);
    const mark = handle.type === 'config' ? encodeRetentionMark(period) : undefined;
    const version = await this.#store(put, { lock, mark, isLockable: true });
    const found = await put.ask(version);
    // What the storage does by itself is as long as somebody has set it.
    if (found && (this.#isLeftToStorage || isAtLeast(found, lock))) return;
    throw new HoldfastError('VERIFY_FAILED', {
      message: 'the storage took a file, but did not lock it as promised',
      details: {
        file: describeHandle(handle),
        lockedUntil: found && new Date(found.untilMs).toISOString(),
      },
      hint: 'Look whether the storage has locks turned on, and whether the credentials may see them (with S3, s3:GetObjectRetention).',
    });
  }

  /** Who may write but not lock leaves it to storage that locks everything. */
  async #store(put: LockedPut, how: PutExtras): Promise<string | undefined> {
    if (this.#isLeftToStorage) return await put.store({ ...how, lock: undefined });
    try {
      return await put.store(how);
    } catch (error) {
      if (!isHoldfastError(error, 'PERMISSION_DENIED')) throw error;
      const version = await put.store({ ...how, lock: undefined });
      this.#isLeftToStorage = true;
      return version;
    }
  }
}
