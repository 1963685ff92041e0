import { cancelled } from '../base/abort.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { parsePolynomial } from '../kernels/polynomial.ts';
import type { Backend, FileHandle } from '../storage/backend.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { noIdentity, type ProcessIdentity } from './lock-codec.ts';
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
