import { type ErrorCode, HoldfastError } from '../base/errors.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  type PutOptions,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';
import type { Operation } from './record.ts';

/** What goes wrong with a call. */
export type Fault =
  /** Fails and has no effect. */
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly retryAfterMs?: number }
  /** Has its effect, and then fails all the same: an answer that was lost. */
  | { readonly kind: 'error-after'; readonly code: ErrorCode }
  /** A put or remove that is reported done, but is not. */
  | { readonly kind: 'lost' }
  /** A put that leaves only the first bytes under the name, then fails, or is reported done without a code. */
  | { readonly kind: 'partial'; readonly sizeBytes: number; readonly code?: ErrorCode }
  /** A get, or a put, with one bit flipped; a negative byte counts from the end. */
  | { readonly kind: 'flip'; readonly byte: number; readonly bit?: number }
  /** A get that gives only the first bytes. */
  | { readonly kind: 'short'; readonly sizeBytes: number }
  /** A list that leaves out the files of which this is true. */
  | { readonly kind: 'hidden'; readonly name: (name: string) => boolean }
  /** A list that gives every file twice. */
  | { readonly kind: 'repeated' }
  /** A list or stat that says that files are so many bytes longer. */
  | { readonly kind: 'resized'; readonly byBytes: number };

/** When something goes wrong: in calls `call` to `call + count - 1` of those that fit. */
export interface FaultRule {
  readonly operation?: Operation;
  readonly type?: FileType;
  /** Counted from 1 over the calls that fit `operation` and `type`; default 1. */
  readonly call?: number;
  /** Default 1; Infinity for all from there on. */
  readonly count?: number;
  readonly fault: Fault;
}

/** A backend that fails as a script says, and counts how often it did. */
export interface FaultyBackend extends Backend {
  /** Number of faults so far: a test that injected none proves nothing. */
  readonly faultCount: number;
}

/** Goes wrong by script. The first rule that fits a call decides. Hides `localPath`: faults would be read past. */
export function fault(inner: Backend, rules: readonly FaultRule[]): FaultyBackend {
  return new FaultInjector(inner, rules);
}

interface Call {
  readonly operation: Operation;
  readonly type?: FileType;
}

class FaultInjector extends ForwardingBackend implements FaultyBackend {
  faultCount = 0;
  readonly #rules: readonly FaultRule[];
  readonly #calls: number[];

  constructor(inner: Backend, rules: readonly FaultRule[]) {
    super(inner);
    this.#rules = rules;
    this.#calls = rules.map(() => 0);
  }

  override get localPath(): string | undefined {
    return undefined;
  }

  override create(options?: CallOptions): Promise<void> {
    return this.#run({ operation: 'create' }, () => this.inner.create(options));
  }

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    const { type } = handle;
    await this.#run({ operation: 'put', type }, async (found) => {
      if (found?.kind === 'lost') return;
      if (found?.kind === 'flip') {
        return await this.inner.put(handle, [flipped(Buffer.concat(parts), found)], options);
      }
      if (found?.kind !== 'partial') return await this.inner.put(handle, parts, options);
      const content = Buffer.concat(parts).subarray(0, found.sizeBytes);
      await this.inner.put(handle, [content], options);
      if (found.code) throw failure(found.code, `put ${describeHandle(handle)}`);
    });
  }

  override get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#run({ operation: 'get', type: handle.type }, async (found) => {
      const content = await this.inner.get(handle, range, options);
      if (found?.kind === 'flip') return flipped(content, found);
      return found?.kind === 'short' ? content.slice(0, found.sizeBytes) : content;
    });
  }

  override stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.#run({ operation: 'stat', type: handle.type }, async (found) =>
      resized(await this.inner.stat(handle, options), found),
    );
  }

  /** `error` fails before the first file, `error-after` after the last. */
  override async *list(
    type: FileType,
    options?: CallOptions,
  ): AsyncGenerator<FileStat, void, undefined> {
    const found = this.#next({ operation: 'list', type });
    if (found?.kind === 'error') throw failure(found.code, `list ${type}`, found.retryAfterMs);
    for await (const file of this.inner.list(type, options)) {
      if (found?.kind === 'hidden' && found.name(file.name)) continue;
      yield resized(file, found);
      if (found?.kind === 'repeated') yield file;
    }
    if (found?.kind === 'error-after') throw failure(found.code, `list ${type}`);
  }

  override async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    await this.#run({ operation: 'remove', type: handle.type }, async (found) => {
      if (found?.kind !== 'lost') await this.inner.remove(handle, options);
    });
  }

  async #run<T>(call: Call, work: (found: Fault | undefined) => Promise<T>): Promise<T> {
    const found = this.#next(call);
    const what = call.type ? `${call.operation} ${call.type}` : call.operation;
    if (found?.kind === 'error') throw failure(found.code, what, found.retryAfterMs);
    const result = await work(found);
    if (found?.kind === 'error-after') throw failure(found.code, what);
    return result;
  }

  /** The fault of this call. Every rule that fits counts it, whether it decides or not. */
  #next(call: Call): Fault | undefined {
    let found: Fault | undefined;
    for (const [index, rule] of this.#rules.entries()) {
      if (rule.operation !== undefined && rule.operation !== call.operation) continue;
      if (rule.type !== undefined && rule.type !== call.type) continue;
      const number = (this.#calls[index] ?? 0) + 1;
      this.#calls[index] = number;
      const first = rule.call ?? 1;
      if (number >= first && number < first + (rule.count ?? 1)) found ??= rule.fault;
    }
    if (found) this.faultCount++;
    return found;
  }
}

function resized(file: FileStat, found: Fault | undefined): FileStat {
  if (found?.kind !== 'resized') return file;
  return { ...file, sizeBytes: Math.max(0, file.sizeBytes + found.byBytes) };
}

function flipped(
  content: Uint8Array,
  at: { readonly byte: number; readonly bit?: number },
): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(content);
  const index = at.byte < 0 ? copy.byteLength + at.byte : at.byte;
  const value = copy[index];
  if (value !== undefined) copy[index] = value ^ (1 << (at.bit ?? 0));
  return copy;
}

function failure(code: ErrorCode, call: string, retryAfterMs?: number): HoldfastError {
  const cause = new Error('injected fault');
  return new HoldfastError(code, { details: { call }, cause, retryAfterMs });
}
