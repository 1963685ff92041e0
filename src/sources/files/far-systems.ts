import { cancelled, throwIfAborted } from '../../base/abort.ts';
import { defined } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { FileStatus } from '../../platform/status.ts';
import type { ListedRequest } from '../open-listed.ts';
import type { FarFile } from '../source.ts';
import { FarAsker, silentError } from './far-asker.ts';
import type { FarAnswer, FarCall, FarRequest } from './far-messages.ts';

type Device = FileStatus['device'];

/** After so many requests without an answer, one after the other, a file system is asked for its root. */
const silencesInARowMax = 3;
/** After so many in all nothing more is asked of it, even if its root answers: each has cost the whole time limit. */
const silencesMax = 20;

/** How one file system has answered so far. */
interface Record {
  silences: number;
  silencesInARow: number;
  /** It does not answer at all. */
  isDead: boolean;
  /** Settles when it is known whether its root answers. */
  check: Promise<void> | undefined;
}

/** How long file systems that may not answer are waited for, in milliseconds by `clock`. */
export interface FarOptions {
  readonly clock: Clock;
  /** What gives no answer for so long is left out. */
  readonly timeoutMs: number;
  /** Ends all waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Where a file system is mounted, if that is known. */
  rootOf(device: Device): Uint8Array | undefined;
}

/**
 * Reads file systems that may stop answering (network, FUSE), so that one that does costs its own files only.
 *
 * Every request goes to a process of its own and has a time limit. A file system that has stopped answering is given up
 * after a few requests: each further one fails at once.
 */
export class FarSystems {
  readonly #options: FarOptions;
  readonly #idle: FarAsker[] = [];
  readonly #all = new Set<FarAsker>();
  readonly #records = new Map<Device, Record>();
  readonly #closed = new AbortController();

  constructor(options: FarOptions) {
    this.#options = options;
    const { signal } = options;
    const stop = (): void => this.close(signal && cancelled(signal));
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
  }

  /** A conversation with one process about one file system; to be ended. @throws CANCELLED */
  talk(device: Device): FarTalk {
    return new FarTalk(this, device);
  }

  /** True if the entry tells its status, or why there is none. Never rejects. */
  async answers(path: Uint8Array): Promise<boolean> {
    // Which file system it is on would only be known by asking.
    const talk = this.talk(-1);
    try {
      await talk.begin('status', { path });
      return true;
    } catch (error) {
      return !isSilence(error) && !isHoldfastError(error, 'CANCELLED');
    } finally {
      talk.end();
    }
  }

  /** Opens a file and reads its first bytes. @throws as `Source.openFar` */
  async open(file: ListedRequest, sizeBytes: number): Promise<FarFile> {
    const talk = this.talk(file.device);
    try {
      const { opened, ...first } = await talk.begin('open', { file, sizeBytes });
      return {
        status: opened,
        first,
        read: (range) => talk.ask('read', range),
        attributes: () => talk.ask('attributes', {}),
        close: () => talk.end(),
      };
    } catch (error) {
      talk.end();
      throw error;
    }
  }

  /** Ends every process, and every wait with `reason`. Idempotent. */
  close(reason: HoldfastError = new HoldfastError('CANCELLED')): void {
    this.#closed.abort(reason);
    for (const asker of this.#all) asker.end(reason);
    this.#all.clear();
    this.#idle.length = 0;
  }

  /** A free process. @throws CANCELLED; SOURCE_FAILED if the file system is given up */
  async take(device: Device): Promise<FarAsker> {
    const record = this.#records.get(device);
    if (record && record.silencesInARow >= silencesInARowMax) {
      record.check ??= this.#checkRoot(device, record);
      await record.check;
    }
    if (record && isGivenUp(record)) throw silentError(this.#options.timeoutMs);
    return this.#takeAny();
  }

  /** Files that hang may all be read at once: only if the root hangs, too, the file system is given up. */
  async #checkRoot(device: Device, record: Record): Promise<void> {
    const path = this.#options.rootOf(device);
    const asker = this.#takeAny();
    try {
      if (path) await asker.ask('list', { path, noFollow: false }, this.#options.timeoutMs);
      record.isDead = path === undefined;
    } catch (error) {
      record.isDead = isSilence(error);
    } finally {
      record.silencesInARow = 0;
      record.check = undefined;
      this.giveBack(asker);
    }
  }

  /** @throws CANCELLED */
  #takeAny(): FarAsker {
    throwIfAborted(this.#closed.signal);
    const idle = this.#idle.pop();
    if (idle?.isUsable) return idle;
    const asker = new FarAsker(this.#options.clock);
    this.#all.add(asker);
    return asker;
  }

  /** Takes a process back. */
  giveBack(asker: FarAsker): void {
    // The answer to a request that nobody waits for must not be taken for another's.
    if (asker.isBusy) asker.end(new HoldfastError('CANCELLED'));
    if (asker.isUsable) this.#idle.push(asker);
    else this.#all.delete(asker);
  }

  /** Asks a process, and remembers whether the file system has answered. @throws as `FarAsker.ask` */
  async ask<C extends FarCall>(
    { asker, device }: { readonly asker: FarAsker; readonly device: Device },
    call: C,
    request: FarRequest<C>,
  ): Promise<FarAnswer<C>> {
    let isSilent = false;
    try {
      return await asker.ask(call, request, this.#options.timeoutMs);
    } catch (error) {
      isSilent = isSilence(error);
      throw error;
    } finally {
      const record = this.#records.get(device) ?? newRecord();
      this.#records.set(device, record);
      if (isSilent) record.silences++;
      record.silencesInARow = isSilent ? record.silencesInARow + 1 : 0;
    }
  }
}

/** Requests to one process, in order: what one opens, the next ones read. */
export class FarTalk {
  readonly #systems: FarSystems;
  readonly #device: Device;
  #asker: FarAsker | undefined;

  constructor(systems: FarSystems, device: Device) {
    this.#systems = systems;
    this.#device = device;
  }

  /**
   * Asks for the first thing, or again after a request without an answer: of another process then.
   * @throws as `ask`
   */
  async begin<C extends FarCall>(call: C, request: FarRequest<C>): Promise<FarAnswer<C>> {
    if (!this.#asker?.isUsable) {
      this.end();
      this.#asker = await this.#systems.take(this.#device);
    }
    return this.ask(call, request);
  }

  /**
   * Asks about what was opened: always the process that has it open, never another.
   * @throws SOURCE_FAILED with details.reason `silent`, CANCELLED, or what the call threw
   */
  async ask<C extends FarCall>(call: C, request: FarRequest<C>): Promise<FarAnswer<C>> {
    const asker = defined(this.#asker, 'a talk has begun');
    return this.#systems.ask({ asker, device: this.#device }, call, request);
  }

  /** Gives the process back. Idempotent. */
  end(): void {
    if (this.#asker) this.#systems.giveBack(this.#asker);
    this.#asker = undefined;
  }
}

/** True for the error of a request without an answer. */
export function isSilence(error: unknown): boolean {
  return isHoldfastError(error, 'SOURCE_FAILED') && error.details['reason'] === 'silent';
}

function newRecord(): Record {
  return { silences: 0, silencesInARow: 0, isDead: false, check: undefined };
}

function isGivenUp({ silences, isDead }: Record): boolean {
  return isDead || silences >= silencesMax;
}
