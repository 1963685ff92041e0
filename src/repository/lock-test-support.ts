import { cancelled } from '../base/abort.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Monitor } from '../base/monitor.ts';
import { systemRandom } from '../base/random.ts';
import { parsePolynomial } from '../kernels/polynomial.ts';
import type { Backend, FileHandle } from '../storage/backend.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { encodeLock, noIdentity, type ProcessIdentity } from './lock-codec.ts';
import { acquireLock, type HeldLock, type LockOptions } from './locks.ts';
import type { ProcessProbe } from './lock-judge.ts';
import { Repository } from './repository.ts';

/** For tests of locks: a clock that is moved by hand, a scripted storage, and machines that are made up. */

export const minute: number = 60_000;
export const hour: number = 60 * minute;

/** A clock that stands until it is moved. */
export class ManualClock implements Clock {
  wall = 1_800_000_000_000;
  monotonic = 1000;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  wallNs = (): bigint => BigInt(this.wall) * 1_000_000n;
  wallMs = (): number => this.wall;
  monotonicMs = (): number => this.monotonic;
  nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const timer = { at: this.monotonic + ms, run: resolve };
      this.#timers.add(timer);
      signal?.addEventListener('abort', () => {
        this.#timers.delete(timer);
        reject(cancelled(signal));
      });
    });
  }

  every(ms: number, action: () => void): Timer {
    const timer = {
      at: this.monotonic + ms,
      run: (): void => {
        timer.at += ms;
        this.#timers.add(timer);
        action();
      },
    };
    this.#timers.add(timer);
    return { stop: () => this.#timers.delete(timer) };
  }

  /** Runs what is due within `ms`, in order, and what follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.monotonic + ms;
    await this.#flush();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.#move(Math.max(0, next.at - this.monotonic));
      next.run();
      await this.#flush();
    }
    this.#move(end - this.monotonic);
  }

  /** The machine sleeps: only the wall clock goes on. */
  suspend(ms: number): void {
    this.wall += ms;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  #move(ms: number): void {
    this.monotonic += ms;
    this.wall += ms;
  }

  async #flush(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.nextTurn();
  }
}

/** Shares its files with others and fails on demand. */
export class ScriptedBackend extends MemoryBackend {
  /** Throws, waits or does nothing. */
  before: (call: string, handle: FileHandle) => void | Promise<void> = () => {};
  override async put(...[handle, parts, options]: Parameters<MemoryBackend['put']>): Promise<void> {
    await this.before('put', handle);
    return super.put(handle, parts, options);
  }
  override async remove(...[handle, options]: Parameters<MemoryBackend['remove']>): Promise<void> {
    await this.before('remove', handle);
    return super.remove(handle, options);
  }
  override async stat(
    ...[handle, options]: Parameters<MemoryBackend['stat']>
  ): ReturnType<MemoryBackend['stat']> {
    await this.before('stat', handle);
    return super.stat(handle, options);
  }
}

const masterKey = {
  encrypt: new Uint8Array(32).fill(1),
  macK: new Uint8Array(16).fill(2),
  macR: new Uint8Array(16).fill(3),
};
const config = {
  version: 2,
  id: '11'.repeat(32),
  polynomial: parsePolynomial('31a1ec5d60e3c9'),
} as const;

/** A repository without keys, on a storage as it is. */
export function clientOf(clock: Clock, inner: Backend, noLock = false): Repository {
  const environment = { clock, random: systemRandom };
  const options = { environment, password: new Uint8Array(), noLock };
  return new Repository({ backend: inner, config, keyId: '33'.repeat(32), masterKey, options });
}

/** A process of a machine, as `probeOf` sees it. */
export interface MachineState {
  readonly hostname: string;
  /** Start of the processes that run, by number. */
  readonly running: ReadonlyMap<number, string>;
  readonly identity?: Partial<ProcessIdentity>;
  readonly upSeconds?: number;
}

export function probeOf(machine: MachineState): ProcessProbe {
  return {
    hostname: machine.hostname,
    identity: { ...noIdentity, ...machine.identity },
    processStart: (pid) => machine.running.get(pid),
    machineUpSeconds: () => machine.upSeconds ?? 1e6,
  };
}

/** A made-up lock file of another program. */
export interface ForeignLock {
  readonly pid: number;
  readonly exclusive?: boolean;
  readonly ageMs?: number;
  readonly hostname?: string;
}

/** A storage, a clock, and clients that want locks. */
export class LockBed {
  readonly clock = new ManualClock();
  readonly files: MemoryFiles = new Map();
  readonly backend = new ScriptedBackend(this.files);
  readonly notes: string[] = [];
  /** Processes below 100 run on the machine alpha, of which nothing else is known. */
  readonly probe: ProcessProbe = probeOf({
    hostname: 'alpha',
    running: new Map(Array.from({ length: 99 }, (_, i) => [i + 1, ''])),
  });

  open(inner: Backend = new ScriptedBackend(this.files), noLock = false): Repository {
    return clientOf(this.clock, inner, noLock);
  }

  wanted(pid: number, more: Partial<LockOptions> = {}): LockOptions {
    const monitor: Monitor = { problem: () => {}, note: (text) => this.notes.push(text) };
    return {
      kind: 'shared',
      operation: 'test',
      owner: { hostname: 'alpha', username: 'anna', pid, uid: 1000, gid: 0 },
      probe: this.probe,
      monitor,
      ...more,
    };
  }

  /** Acquires while the clock goes on as needed. */
  async acquire(repository: Repository, options: LockOptions): Promise<HeldLock> {
    const result = acquireLock(repository, options);
    result.catch(() => undefined);
    await this.clock.advance(200);
    return result;
  }

  /** Stores a lock file. @returns its name */
  storeLock(lock: ForeignLock): Promise<string> {
    const seconds = (this.clock.wall - (lock.ageMs ?? 0)) / 1000;
    const record = {
      time: { seconds, nanoseconds: 0, offsetMinutes: 60 },
      exclusive: lock.exclusive ?? false,
      hostname: lock.hostname ?? 'alpha',
      username: 'anna',
      pid: lock.pid,
    };
    return this.open().saveUnpacked('lock', encodeLock(record));
  }

  lockNames(): string[] {
    return [...this.files.keys()].filter((key) => key.startsWith('lock/')).map((k) => k.slice(5));
  }
}
