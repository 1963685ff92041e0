import type { ErrorCode } from '../../src/base/errors.ts';
import type { FileHandle } from '../../src/storage/backend.ts';
import type { Operation } from '../../src/storage/record.ts';
import type { EventQueue } from './event-queue.ts';
import type { Seeded } from './seeded.ts';

export interface StorageCall {
  readonly operation: Operation;
  readonly handle?: FileHandle;
}

/** How one call goes. */
export interface CallPlan {
  /** Until it has its effect. */
  readonly effectMs: number;
  /** From there until the caller knows. */
  readonly answerMs: number;
  /** It has its effect also if the caller is gone by then. */
  readonly arrivesAnyway: boolean;
  /** It fails without an effect. */
  readonly error: ErrorCode | undefined;
  /** It has its effect, and the caller is told that it failed. */
  readonly losesAnswer: boolean;
}

/** How likely each trouble of a call is. */
export interface Climate {
  readonly latencyMs: number;
  /** A call takes minutes. */
  readonly slow: number;
  /** It fails, and may be tried again. */
  readonly unavailable: number;
  readonly losesAnswer: number;
  /** Reading gives wrong bytes, once. */
  readonly garbles: number;
  /** The storage loses power when something was changed. */
  readonly powerCuts: number;
}

/** What does not work for a while. */
export type Trouble = 'outage' | 'full' | 'read-only' | 'denied';

const calm: Omit<Climate, 'latencyMs'> = {
  slow: 0,
  unavailable: 0,
  losesAnswer: 0,
  garbles: 0,
  powerCuts: 0,
};

const mutating: ReadonlySet<Operation> = new Set<Operation>(['put', 'remove', 'create']);

/** What the storage and the way to it do to calls: now and then to one, for a while to all. */
export class Weather {
  readonly #random: Seeded;
  #climate: Climate;
  #trouble: { readonly kind: Trouble; readonly untilMs: number } | undefined;
  readonly #queue: EventQueue;
  onPowerCut: (call: StorageCall) => void = () => {};

  constructor(queue: EventQueue, random: Seeded, climate: Climate) {
    this.#queue = queue;
    this.#random = random;
    this.#climate = climate;
  }

  begin(kind: Trouble, forMs: number): void {
    this.#trouble = { kind, untilMs: this.#queue.nowMs + forMs };
  }

  /** To be told of each call that had its effect. */
  hasHappened(call: StorageCall): void {
    if (mutating.has(call.operation) && this.#random.chance(this.#climate.powerCuts)) {
      this.onPowerCut(call);
    }
  }

  /** From now on everything works. */
  calmDown(): void {
    this.#trouble = undefined;
    this.#climate = { ...calm, latencyMs: this.#climate.latencyMs };
  }

  plan(call: StorageCall): CallPlan {
    const random = this.#random;
    const { latencyMs, slow } = this.#climate;
    const times = random.chance(slow) ? random.between(10, 2_000) : 1;
    const effectMs = latencyMs * random.between(0.1, 3) * times;
    return {
      effectMs,
      answerMs: effectMs * random.fraction(),
      arrivesAnyway: random.chance(0.5),
      error: this.#errorOf(call),
      losesAnswer: mutating.has(call.operation) && random.chance(this.#climate.losesAnswer),
    };
  }

  /** The bytes, or at times others of the same length. */
  garble(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (bytes.byteLength === 0 || !this.#random.chance(this.#climate.garbles)) return bytes;
    const at = this.#random.below(bytes.byteLength);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
    return bytes;
  }

  #errorOf({ operation }: StorageCall): ErrorCode | undefined {
    if (this.#random.chance(this.#climate.unavailable)) return 'BACKEND_UNAVAILABLE';
    if (this.#trouble && this.#trouble.untilMs < this.#queue.nowMs) this.#trouble = undefined;
    switch (this.#trouble?.kind) {
      case 'outage':
        return 'BACKEND_UNAVAILABLE';
      case 'denied':
        return 'PERMISSION_DENIED';
      case 'read-only':
        return mutating.has(operation) ? 'READ_ONLY' : undefined;
      case 'full':
        return operation === 'put' ? 'STORAGE_FULL' : undefined;
      case undefined:
        return undefined;
    }
  }
}
