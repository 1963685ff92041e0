import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Environment } from '../../src/base/environment.ts';
import { describeError } from '../../src/base/errors.ts';
import type { Problem } from '../../src/base/monitor.ts';
import { systemRandom } from '../../src/base/random.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { loadIndexFiles, type LoadedIndex } from '../../src/repository/index-load.ts';
import {
  acquireLock,
  type HeldLock,
  type LockOwner,
  type ProcessProbe,
} from '../../src/repository/locks.ts';
import type { LockKind } from '../../src/repository/lock-codec.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { password } from '../tools/engine.ts';

/** Small, so that little content makes several packs. */
export const packSizeBytes = 24 << 10;

const host = 'host';
const living = new Set<number>();
const startOf = (pid: number): string => `start.${pid}`;
let lastPid = 100_000;

/** Hears what operations tell. */
export class HeardMonitor {
  readonly problems: Problem[] = [];
  readonly notes: string[] = [];

  problem(problem: Problem): void {
    this.problems.push(problem);
  }

  note(text: string): void {
    this.notes.push(text);
  }

  complaints(): string[] {
    return this.problems.map(({ item, error }) => `${item}: ${describeError(error)}`);
  }

  phase(): void {}
  progress(): void {}
  counted(): void {}
}

/** Waits from here on are limits of how long something may take, and nothing that is waited for. */
const limitMsMin = 60_000;

/** How much faster waits go. */
export const speed = 1000;

/** The time of one client: its waits take a moment, but count in full; its calendar may be wrong. */
export class ClientClock implements Clock {
  /** By how much the wall clock is wrong. */
  skewMs = 0;
  #waitedMs = 0;
  #appointment: { readonly dueMs: number; readonly action: () => Promise<void> } | undefined;
  #meeting: Promise<void> | undefined;

  wallMs(): number {
    return systemClock.wallMs() + this.skewMs + this.#waitedMs;
  }

  wallNs(): bigint {
    return systemClock.wallNs() + BigInt(Math.round((this.skewMs + this.#waitedMs) * 1e6));
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#waitedMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const endMs = this.monotonicMs() + ms;
    await systemClock.sleep(ms < limitMsMin ? ms / speed : ms, signal);
    // Waits beside each other pass together.
    this.#waitedMs += Math.max(0, endMs - this.monotonicMs());
    await this.#meet();
  }

  /** Does something, once, within the wait in which so much more time has passed; who waits goes on when it is done. */
  after(ms: number, action: () => Promise<void>): void {
    this.#appointment = { dueMs: this.monotonicMs() + ms, action };
  }

  async #meet(): Promise<void> {
    const appointment = this.#appointment;
    if (appointment && this.monotonicMs() >= appointment.dueMs) {
      this.#appointment = undefined;
      this.#meeting = appointment.action();
    }
    await this.#meeting;
  }

  nextTurn(): Promise<void> {
    return systemClock.nextTurn();
  }

  every(ms: number, action: () => void): ReturnType<Clock['every']> {
    return systemClock.every(ms, action);
  }
}

/** One start of the program, as others on its machine see it: over once `exit` was called, its locks left if it left them. */
export class Client {
  readonly clock: ClientClock = new ClientClock();
  readonly monitor: HeardMonitor = new HeardMonitor();
  readonly pid: number = ++lastPid;
  readonly environment: Environment;

  constructor() {
    living.add(this.pid);
    this.environment = { clock: this.clock, random: systemRandom, isSingleThreaded: true };
  }

  exit(): void {
    living.delete(this.pid);
  }

  get owner(): LockOwner {
    return { hostname: host, username: 'user', pid: this.pid };
  }

  get probe(): ProcessProbe {
    return {
      hostname: host,
      identity: { machine: host, boot: host, space: host, start: startOf(this.pid) },
      processStart: (pid) => (living.has(pid) ? startOf(pid) : undefined),
      machineUpSeconds: () => 1e9,
    };
  }
}

/** An opened repository with its lock. */
export interface ClientSession {
  readonly repository: Repository;
  readonly lock: HeldLock;
  readonly signal: AbortSignal;
  readonly loadWholeIndex: () => Promise<LoadedIndex>;
  readonly loadIndex: () => Promise<IndexedRepository>;
  readonly takeLock: (kind: LockKind, beside?: HeldLock) => Promise<HeldLock>;
}

/** Opens a repository, locks it, works, and lets go of it: in the order of the command line's session. */
export async function withSession<T>(
  client: Client,
  { backend, lock: kind }: { readonly backend: Backend; readonly lock: LockKind },
  work: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const { environment, monitor, owner, probe } = client;
  const words = { environment, password: Buffer.from(password), packSizeBytes };
  const repository = await openRepository(backend, words);
  const takeLock = (of: LockKind, beside?: HeldLock): Promise<HeldLock> =>
    acquireLock(repository, {
      kind: of,
      operation: 'test',
      owner,
      probe,
      beside,
      settleLater: of === 'shared' || of === 'prune',
      monitor,
    });
  const lock = await takeLock(kind);
  const { signal } = lock;
  const loadWholeIndex = (): Promise<LoadedIndex> => loadIndexFiles(repository, { signal });
  try {
    return await work({
      repository,
      lock,
      signal,
      loadWholeIndex,
      loadIndex: async () => {
        const loaded = await loadWholeIndex();
        return new IndexedRepository(repository, loaded.index, loaded);
      },
      takeLock,
    });
  } finally {
    await lock.release();
  }
}
