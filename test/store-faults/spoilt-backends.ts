import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import {
  type Backend,
  type ByteRange,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  type PutOptions,
} from '../../src/storage/backend.ts';
import { ForwardingBackend } from '../../src/storage/forward.ts';
import type { Operation } from '../../src/storage/record.ts';

/** What goes wrong above the bytes of a protocol, with any store. */
export interface Spoilt extends Backend {
  readonly strikes: number;
}

class SpoiltBackend extends ForwardingBackend implements Spoilt {
  strikes = 0;

  // Else files would be read past what spoils them.
  override get localPath(): string | undefined {
    return undefined;
  }
}

/** A call that is about to be made. */
export interface ComingCall {
  readonly operation: Operation;
  readonly type: FileType | undefined;
  readonly name?: string;
}

/** Is told of the call that comes, and of those that were made. */
export type Strike = (call: ComingCall, earlier: readonly ComingCall[]) => void | Promise<void>;

/** Does something right before one call. */
export class StruckBackend extends SpoiltBackend {
  readonly #strike: Strike;
  readonly #after: number;
  readonly #earlier: ComingCall[] = [];

  constructor(inner: Backend, after: number, strike: Strike) {
    super(inner);
    this.#after = after;
    this.#strike = strike;
  }

  override async create(...call: Parameters<Backend['create']>): Promise<void> {
    await this.#count({ operation: 'create', type: undefined });
    return super.create(...call);
  }

  override async put(...call: Parameters<Backend['put']>): Promise<void> {
    await this.#count({ operation: 'put', ...call[0] });
    return super.put(...call);
  }

  override async get(...call: Parameters<Backend['get']>): ReturnType<Backend['get']> {
    await this.#count({ operation: 'get', ...call[0] });
    return super.get(...call);
  }

  override async stat(...call: Parameters<Backend['stat']>): Promise<FileStat> {
    await this.#count({ operation: 'stat', ...call[0] });
    return super.stat(...call);
  }

  override async *list(...call: Parameters<Backend['list']>): AsyncGenerator<FileStat> {
    await this.#count({ operation: 'list', type: call[0] });
    yield* this.inner.list(...call);
  }

  override async remove(...call: Parameters<Backend['remove']>): Promise<void> {
    await this.#count({ operation: 'remove', ...call[0] });
    return super.remove(...call);
  }

  async #count(call: ComingCall): Promise<void> {
    const number = this.#earlier.push(call) - 1;
    if (number !== this.#after) return;
    this.strikes++;
    await this.#strike(call, this.#earlier.slice(0, number));
  }
}

function keyOf({ type, name }: FileHandle): string {
  return `${type}/${name}`;
}

/** Lists what was stored and removed through it as late as can be: new files are missing, removed ones still there. */
export class LateListBackend extends SpoiltBackend {
  readonly #new = new Set<string>();
  readonly #removed = new Map<string, FileStat & { readonly type: FileType }>();

  override async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    await super.put(handle, parts, options);
    this.#removed.delete(keyOf(handle));
    if (handle.type !== 'config') this.#new.add(keyOf(handle));
  }

  override async *list(...[type, options]: Parameters<Backend['list']>): AsyncGenerator<FileStat> {
    for await (const file of this.inner.list(type, options)) {
      if (this.#new.has(keyOf({ type, name: file.name }))) this.strikes++;
      else yield file;
    }
    for (const { type: of, name, sizeBytes } of this.#removed.values()) {
      if (of !== type) continue;
      this.strikes++;
      yield { name, sizeBytes };
    }
  }

  override async remove(...[handle, options]: Parameters<Backend['remove']>): Promise<void> {
    const { sizeBytes } = await this.inner.stat(handle, options);
    await super.remove(handle, options);
    if (!this.#new.delete(keyOf(handle))) {
      this.#removed.set(keyOf(handle), { type: handle.type, name: handle.name, sizeBytes });
    }
  }
}

/** Lists in the other order, and every third file twice. */
export class WildListBackend extends SpoiltBackend {
  override async *list(...call: Parameters<Backend['list']>): AsyncGenerator<FileStat> {
    const files: FileStat[] = [];
    for await (const file of this.inner.list(...call)) files.push(file);
    this.strikes++;
    for (const [at, file] of files.toReversed().entries()) {
      yield file;
      if (at % 3 === 0) yield file;
    }
  }
}

/** The first look at what was stored through it finds nothing. */
export class StaleReadBackend extends SpoiltBackend {
  readonly #new = new Set<string>();

  override async put(...call: Parameters<Backend['put']>): Promise<void> {
    await super.put(...call);
    this.#new.add(keyOf(call[0]));
  }

  override async get(...call: Parameters<Backend['get']>): ReturnType<Backend['get']> {
    this.#missOnce(call[0]);
    return super.get(...call);
  }

  override async stat(...call: Parameters<Backend['stat']>): Promise<FileStat> {
    this.#missOnce(call[0]);
    return super.stat(...call);
  }

  #missOnce(handle: FileHandle): void {
    if (!this.#new.delete(keyOf(handle))) return;
    this.strikes++;
    throw new HoldfastError('FILE_NOT_FOUND', { details: { file: describeHandle(handle) } });
  }
}

/** Stores everything twice. */
export class TwiceBackend extends SpoiltBackend {
  override async put(...call: Parameters<Backend['put']>): Promise<void> {
    await super.put(...call);
    this.strikes++;
    await super.put(...call).catch((error: unknown) => {
      if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    });
  }
}

/** Gives the content of another file of the same type: for one get, or from there on. */
export class MisdirectedBackend extends SpoiltBackend {
  readonly #when: { readonly after: number; readonly count: number };
  #seen = 0;

  constructor(inner: Backend, when: { readonly after: number; readonly count: number }) {
    super(inner);
    this.#when = when;
  }

  override async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const number = this.#seen++;
    const { after, count } = this.#when;
    const isHit = number >= after && number < after + count && handle.type !== 'config';
    const other = isHit ? await this.#otherThan(handle) : undefined;
    if (other === undefined) return super.get(handle, range, options);
    this.strikes++;
    const content = await super.get({ type: handle.type, name: other }, undefined, options);
    if (!range) return content;
    if (content.byteLength >= range.end) return content.slice(range.start, range.end);
    throw new HoldfastError('RANGE_NOT_SATISFIABLE', {
      details: { file: describeHandle(handle) },
    });
  }

  async #otherThan({ type, name }: FileHandle): Promise<string | undefined> {
    for await (const file of this.inner.list(type)) if (file.name !== name) return file.name;
    return undefined;
  }
}
