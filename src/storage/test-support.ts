import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { cancelled, throwIfAborted } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import type { Environment } from '../base/environment.ts';
import type { Random } from '../base/random.ts';

/** A clock on which sleep takes no time but moves the time. */
export class JumpingClock implements Clock {
  nowMs = 1_700_000_000_000;
  /** How long was slept, call by call. */
  readonly sleptMs: number[] = [];

  wallNs(): bigint {
    return BigInt(this.nowMs) * 1_000_000n;
  }

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    this.sleptMs.push(ms);
    this.nowMs += ms;
    await Promise.resolve();
    if (signal?.aborted) throw cancelled(signal);
  }

  async nextTurn(): Promise<void> {
    await Promise.resolve();
  }

  every(): { stop(): void } {
    return { stop: () => {} };
  }
}

/** A clock on which every wait is a long one, so that what does not work is tried twice. */
export class ImpatientClock extends JumpingClock {
  override sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(900_000, signal);
  }
}

/** Numbers that repeat for each run: xorshift32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0 || 1;
  return {
    fill(target) {
      for (let i = 0; i < target.byteLength; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        target[i] = state & 0xff;
      }
      return target;
    },
  };
}

/** An environment without waiting and without chance. */
export function testEnvironment(): Environment & { readonly clock: JumpingClock } {
  return { clock: new JumpingClock(), random: seededRandom(1) };
}

export interface TemporaryFolder {
  readonly path: string;
  readonly remove: () => void;
}

/** A folder of its own for a test, in memory where there is such a place: a sync to a disk costs milliseconds. */
export function temporaryFolder(): TemporaryFolder {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(path.join(base, 'holdfast-storage-'));
  return { path: folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
