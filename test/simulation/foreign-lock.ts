import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import type { Backend } from '../../src/storage/backend.ts';
import type { ForeignFiles } from './foreign-files.ts';
import type { SimulatedProcess } from './simulated-process.ts';

const staleMs = 30 * 60_000;
const refreshMs = 5 * 60_000;
const refreshedWithinMs = 22.5 * 60_000;
const settleMs = 200;
/** Listings of the locks until each that is listed could be read. */
const looksMax = 4;

interface LockDocument {
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
}

/**
 * A lock as restic holds one, written from the description of the format alone: no field of ours, no waiting, and
 * everything ends when the lock could not be refreshed in time or is gone.
 */
export class ForeignLock {
  readonly #files: ForeignFiles;
  readonly #process: SimulatedProcess;
  readonly #exclusive: boolean;
  readonly #own = new Set<string>();
  #current = '';
  #refreshedMs = 0;
  #isLost = false;
  #isRefreshing = false;
  #stop: () => void = () => {};

  private constructor(files: ForeignFiles, process: SimulatedProcess, exclusive: boolean) {
    this.#files = files;
    this.#process = process;
    this.#exclusive = exclusive;
  }

  static async take(
    files: ForeignFiles,
    process: SimulatedProcess,
    exclusive: boolean,
  ): Promise<ForeignLock> {
    const lock = new ForeignLock(files, process, exclusive);
    await lock.#assertNoOther();
    await lock.#write();
    try {
      await process.time.sleep(settleMs);
      await lock.#assertNoOther();
    } catch (error) {
      await lock.release();
      throw error;
    }
    const timer = process.time.every(refreshMs, () => void lock.#refresh());
    lock.#stop = () => timer.stop();
    return lock;
  }

  /** To be called before every change. @throws LOCK_LOST */
  async assertHeld(): Promise<void> {
    if (this.#process.time.wallMs() - this.#refreshedMs > refreshedWithinMs) await this.#recover();
    if (this.#isLost) throw new HoldfastError('LOCK_LOST');
  }

  /** Asked before every try of a change, as restic ends what it does as soon as it knows that its lock is lost. */
  admits(): Promise<void> | undefined {
    const isFresh = this.#process.time.wallMs() - this.#refreshedMs <= refreshedWithinMs;
    return isFresh && !this.#isLost ? undefined : this.assertHeld();
  }

  async release(): Promise<void> {
    this.#stop();
    for (const name of this.#own) await this.#remove(name).catch(() => undefined);
  }

  async #refresh(): Promise<void> {
    if (this.#isRefreshing || this.#isLost) return;
    if (this.#process.time.wallMs() - this.#refreshedMs > refreshedWithinMs) return;
    this.#isRefreshing = true;
    try {
      const old = this.#current;
      await this.#write();
      await this.#remove(old);
    } catch {
      // Tried again at the next refresh.
    } finally {
      this.#isRefreshing = false;
    }
  }

  /** After a sleep: goes on only if the lock is still there, and nobody came in between. */
  async #recover(): Promise<void> {
    try {
      const old = this.#current;
      await this.#files.backend.stat({ type: 'lock', name: old });
      await this.#write();
      await this.#process.time.sleep(settleMs);
      await this.#files.backend.stat({ type: 'lock', name: old });
      await this.#remove(old);
    } catch {
      this.#isLost = true;
    }
  }

  async #write(): Promise<void> {
    const { hostname, username, pid } = this.#process.owner;
    const wallMs = this.#process.time.wallMs();
    const time = new Date(wallMs).toISOString();
    const document: LockDocument = {
      time,
      exclusive: this.#exclusive,
      hostname,
      username,
      pid,
    };
    const name = await this.#files.save('lock', document, (id) => this.#own.add(id));
    this.#current = name;
    this.#refreshedMs = wallMs;
  }

  async #remove(name: string): Promise<void> {
    await removeFile(this.#files.backend, name);
    this.#own.delete(name);
  }

  /** Looks again where a lock was listed and is gone when it is read, as restic does: it may have been renewed. */
  async #assertNoOther(): Promise<void> {
    let isSeen = false;
    for (let looks = 0; looks < looksMax && !isSeen; looks++) isSeen = await this.#seesNoOther();
  }

  /** @returns false if a lock was gone before it could be read @throws REPOSITORY_LOCKED */
  async #seesNoOther(): Promise<boolean> {
    let isSeen = true;
    for (const name of await this.#files.list('lock')) {
      if (this.#own.has(name)) continue;
      const lock = await this.#files.tryLoad<LockDocument>('lock', name);
      if (!lock) isSeen = false;
      else if (this.#exclusive || lock.exclusive) throw new HoldfastError('REPOSITORY_LOCKED');
    }
    return isSeen;
  }
}

async function removeFile(backend: Backend, name: string): Promise<void> {
  try {
    await backend.remove({ type: 'lock', name });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
  }
}

/** What `restic unlock` does. */
export async function foreignUnlock(
  files: ForeignFiles,
  process: SimulatedProcess,
): Promise<number> {
  let count = 0;
  for (const name of await files.list('lock')) {
    const lock = await files.tryLoad<LockDocument>('lock', name);
    if (!lock) continue;
    const isOld = process.time.wallMs() - Date.parse(lock.time) > staleMs;
    const isDead =
      lock.hostname === process.machine.name && process.probe.processStart(lock.pid) === undefined;
    if (!isOld && !isDead) continue;
    await removeFile(files.backend, name);
    count++;
  }
  return count;
}
