import type { ErrorCode } from '../../src/base/errors.ts';
import type { FileHandle } from '../../src/storage/backend.ts';
import type { Operation } from '../../src/storage/record.ts';
import type { EventQueue } from './event-queue.ts';
import type { Met } from './excuses.ts';
import type { Reached } from './reach.ts';
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
  /** It fails without an effect, and why. */
  readonly failure: { readonly code: ErrorCode; readonly met: Met } | undefined;
  /** It takes minutes. */
  readonly isSlow: boolean;
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
export type Trouble = 'outage' | 'full' | 'read-only' | 'denied' | 'sticky';

const calm: Omit<Climate, 'latencyMs'> = {
  slow: 0,
  unavailable: 0,
  losesAnswer: 0,
  garbles: 0,
  powerCuts: 0,
};

/** What calls fail with in a trouble, and which do not. */
const troubles: Readonly<
  Record<
    Exclude<Trouble, 'sticky'>,
    {
      readonly code: ErrorCode;
      readonly reached: Reached & Met;
      readonly spares: (operation: Operation) => boolean;
    }
  >
> = {
  outage: { code: 'BACKEND_UNAVAILABLE', reached: 'outage', spares: () => false },
  denied: { code: 'PERMISSION_DENIED', reached: 'denied', spares: () => false },
  'read-only': { code: 'READ_ONLY', reached: 'readOnly', spares: (call) => !mutating.has(call) },
  full: { code: 'STORAGE_FULL', reached: 'full', spares: (call) => call !== 'put' },
};

const mutating: ReadonlySet<Operation> = new Set<Operation>(['put', 'remove', 'create']);

/** What the storage and the way to it do to calls: now and then to one, for a while to all. */
export class Weather {
  readonly #random: Seeded;
  #climate: Climate;
  #trouble: { readonly kind: Trouble; readonly untilMs: number } | undefined;
  readonly #queue: EventQueue;
  readonly #reach: (what: Reached) => void;
  onPowerCut: (call: StorageCall) => void = () => {};

  constructor(parts: {
    readonly queue: EventQueue;
    readonly random: Seeded;
    readonly climate: Climate;
    readonly reach: (what: Reached) => void;
  }) {
    this.#queue = parts.queue;
    this.#random = parts.random;
    this.#climate = parts.climate;
    this.#reach = parts.reach;
  }

  /** Removals are reported and not made. */
  get keepsRemoved(): boolean {
    return this.#now() === 'sticky';
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
    const isSlow = random.chance(slow);
    const times = isSlow ? random.between(10, 2_000) : 1;
    const effectMs = latencyMs * random.between(0.1, 3) * times;
    return {
      effectMs,
      answerMs: effectMs * random.fraction(),
      arrivesAnyway: random.chance(0.5),
      failure: this.#failureOf(call),
      isSlow,
      losesAnswer: mutating.has(call.operation) && random.chance(this.#climate.losesAnswer),
    };
  }

  /**
   * Gives other bytes than were asked for, at times: with a bit flipped, cut short, or those of another file. Which of
   * them follows from the bit, so that what else a seed brings does not depend on it.
   *
   * @param isWhole nobody can tell from what was asked for how many bytes there must be
   * @param other the same part of another file, if there is one
   * @returns the same bytes when nothing happened
   */
  garble(
    bytes: Uint8Array<ArrayBuffer>,
    {
      isWhole,
      other,
    }: { readonly isWhole: boolean; readonly other: () => Uint8Array<ArrayBuffer> | undefined },
  ): Uint8Array<ArrayBuffer> {
    if (bytes.byteLength === 0 || !this.#random.chance(this.#climate.garbles)) return bytes;
    this.#reach('garbled');
    const at = this.#random.below(bytes.byteLength);
    const bit = this.#random.below(8);
    const misdirected = bit < 3 ? other() : undefined;
    if (misdirected) {
      this.#reach('misdirected');
      return misdirected;
    }
    if (bit === 3 && isWhole) {
      this.#reach('cutShort');
      return bytes.slice(0, at);
    }
    const wrong = bytes.slice();
    wrong[at] = (wrong[at] ?? 0) ^ (1 << bit);
    return wrong;
  }

  #now(): Trouble | undefined {
    if (this.#trouble && this.#trouble.untilMs < this.#queue.nowMs) this.#trouble = undefined;
    return this.#trouble?.kind;
  }

  #failureOf({ operation }: StorageCall): CallPlan['failure'] {
    if (this.#random.chance(this.#climate.unavailable)) {
      return { code: 'BACKEND_UNAVAILABLE', met: 'unavailable' };
    }
    const trouble = this.#now();
    if (trouble === undefined || trouble === 'sticky') return undefined;
    const { code, reached, spares } = troubles[trouble];
    if (spares(operation)) return undefined;
    this.#reach(reached);
    return { code, met: reached };
  }
}
