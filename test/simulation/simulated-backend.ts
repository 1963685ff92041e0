import { cancelled } from '../../src/base/abort.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
} from '../../src/storage/backend.ts';
import { describeHandle } from '../../src/storage/backend.ts';
import type { ClientTime } from './client-time.ts';
import type { Met } from './excuses.ts';
import type { EventQueue } from './event-queue.ts';
import type { Oracle } from './oracle.ts';
import type { Reached } from './reach.ts';
import type { SimulatedStore } from './simulated-store.ts';
import type { CallPlan, StorageCall, Weather } from './weather.ts';

/** Whose calls these are. */
export interface Caller {
  readonly name: string;
  readonly time: ClientTime;
  /** Hears of each call before it is made, and may kill or pause the caller. */
  onCall(call: StorageCall): void;
  /** True if something happens to the caller while the call that was made last is on its way: `onDoom` then. */
  isDoomed(): boolean;
  onDoom(call: StorageCall): void;
  /** As `onCall`, after the call had its effect and before it is answered. */
  onEffect(call: StorageCall): void;
  /** A file is about to be gone. */
  onRemove(handle: FileHandle, oracle: Oracle): void;
  /** The config is about to be replaced. */
  onUpgrade(): void;
  /** Remembers what may end its work. */
  meet(what: Met): void;
}

interface Parts {
  readonly store: SimulatedStore;
  readonly queue: EventQueue;
  readonly weather: Weather;
  readonly oracle: Oracle;
  readonly caller: Caller;
  readonly reach: (what: Reached) => void;
}

/**
 * The way of one process to a simulated storage: calls take time, fail as the weather has it, and may have their effect
 * though the process died meanwhile.
 */
export class SimulatedBackend implements Backend {
  readonly location: string;
  readonly connectionCount = 4;
  readonly listsAtOnce: boolean;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.location = parts.store.name;
    this.listsAtOnce = parts.store.listsAtOnce;
  }

  create(options?: CallOptions): Promise<void> {
    return this.#call({ operation: 'create' }, options, () => undefined);
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const { store, caller } = this.#parts;
    // The caller may use its memory anew when the call has failed, and the effect may come later.
    const bytes = new Uint8Array(Buffer.concat(parts));
    const how = { replace: options?.replace === true, by: caller.name };
    const unfinished = { handle, bytes };
    const effect = (): void => {
      store.unfinished.delete(unfinished);
      if (handle.type === 'config') caller.onUpgrade();
      store.put(handle, [bytes], how);
    };
    store.unfinished.add(unfinished);
    try {
      await this.#call({ operation: 'put', handle }, options, effect);
    } finally {
      store.unfinished.delete(unfinished);
    }
  }

  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { store, weather, caller } = this.#parts;
    return this.#call({ operation: 'get', handle }, options, () => {
      const bytes = store.get(handle);
      if (handle.type === 'lock' && store.lockOwner(handle.name) !== caller.name) {
        caller.meet('otherLock');
      }
      const { start, end } = range ?? { start: 0, end: bytes.byteLength };
      if (end > bytes.byteLength) throw new HoldfastError('RANGE_NOT_SATISFIABLE');
      const part = bytes.slice(start, end);
      const other = (): Uint8Array<ArrayBuffer> | undefined => store.partOfAnother(handle, range);
      const given = weather.garble(part, { isWhole: range === undefined, other });
      if (given !== part) caller.meet('garbled');
      return given;
    });
  }

  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    const { store } = this.#parts;
    return this.#call({ operation: 'stat', handle }, options, () => {
      return { name: handle.name, sizeBytes: store.get(handle).byteLength };
    });
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    const { store, caller, oracle } = this.#parts;
    const call = { operation: 'list', handle: { type, name: '' } } as const;
    const notice = (what: 'listingLacked' | 'listingGhost', name: string): void => {
      caller.meet(what);
      if (what !== 'listingLacked') return;
      const holder = type === 'lock' ? store.lockOwner(name) : undefined;
      if (holder !== undefined) oracle.hid(holder, caller.name);
      if (type === 'snapshot') oracle.hid(name, caller.name);
    };
    yield* await this.#call(call, options, () => store.list(type, notice));
  }

  remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    const { store, caller, weather, oracle, reach } = this.#parts;
    return this.#call({ operation: 'remove', handle }, options, () => {
      // It says that it did.
      if (weather.keepsRemoved && store.has(handle)) {
        if (handle.type === 'lock') store.disown(handle.name);
        caller.meet('sticky');
        return reach('sticky');
      }
      caller.onRemove(handle, oracle);
      store.remove(handle, caller.name);
    });
  }

  async close(): Promise<void> {}

  async #call<T>(call: StorageCall, options: CallOptions | undefined, effect: () => T): Promise<T> {
    const { caller, weather, queue } = this.#parts;
    const { time } = caller;
    const signal = options?.signal;
    if (signal?.aborted) throw cancelled(signal);
    if (time.isAlive) caller.onCall(call);
    const plan = weather.plan(call);
    if (plan.isSlow) caller.meet('slow');
    let result: { readonly value: T } | { readonly error: unknown } | undefined;
    let isGivenUp = false;
    await time
      .wait((done) => {
        if (caller.isDoomed()) {
          queue.after(plan.effectMs / 2, () => {
            if (time.isAlive) caller.onDoom(call);
            return true;
          });
        }
        queue.after(plan.effectMs, () => {
          // What was on its way when the caller gave up or died may arrive or not.
          if (isGivenUp && !plan.arrivesAnyway) return false;
          result = this.#effect(call, plan.failure, effect);
          if (time.isAlive) caller.onEffect(call);
          time.deliver(plan.answerMs, done);
          return true;
        });
      }, signal)
      .catch((error: unknown) => {
        isGivenUp = true;
        throw error;
      });
    if (!result) throw new HoldfastError('BACKEND_UNAVAILABLE');
    if ('error' in result) throw result.error;
    if (plan.losesAnswer) {
      this.#parts.reach('answerLost');
      caller.meet('answerLost');
      throw failure('BACKEND_UNAVAILABLE', call);
    }
    return result.value;
  }

  #effect<T>(
    call: StorageCall,
    planned: CallPlan['failure'],
    effect: () => T,
  ): { readonly value: T } | { readonly error: unknown } {
    if (planned) {
      this.#parts.caller.meet(planned.met);
      return { error: failure(planned.code, call) };
    }
    try {
      const value = effect();
      const { weather, caller, reach } = this.#parts;
      if (call.operation === 'put' && !caller.time.isAlive) reach('diedWriting');
      weather.hasHappened(call);
      return { value };
    } catch (caught) {
      if (!(caught instanceof HoldfastError)) return { error: caught };
      return { error: failure(caught.code, call) };
    }
  }
}

function failure(code: HoldfastError['code'], { operation, handle }: StorageCall): HoldfastError {
  const call = handle ? `${operation} ${describeHandle(handle)}` : operation;
  return new HoldfastError(code, { details: { call } });
}
