import { throwIfAborted } from '../base/abort.ts';
import { AdaptiveSlots } from './adaptive-slots.ts';
import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
  ThawingFile,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';

/** Lets at most `connectionCount` calls run at once, and fewer on a storage that does not keep up; others wait in order of arrival. */
export function limit(inner: Backend, options: { readonly connectionCount: number }): Backend {
  return new LimitedBackend(inner, options.connectionCount);
}

class LimitedBackend extends ForwardingBackend {
  readonly #connectionCount: number;
  readonly #slots: AdaptiveSlots;

  constructor(inner: Backend, connectionCount: number) {
    super(inner);
    this.#connectionCount = connectionCount;
    this.#slots = new AdaptiveSlots(connectionCount);
  }

  override get connectionCount(): number {
    return this.#connectionCount;
  }

  override create(options?: CallOptions): Promise<void> {
    return this.#run(options, () => this.inner.create(options));
  }

  override put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    return this.#admitted(options, () => this.inner.put(handle, parts, options));
  }

  override get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#run(options, () => this.inner.get(handle, range, options));
  }

  override stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    return this.#run(options, () => this.inner.stat(handle, options));
  }

  /** Holds a slot only while it waits for the next file, so that the caller may make calls in its loop. */
  override async *list(
    type: FileType,
    options?: CallOptions,
  ): AsyncGenerator<FileStat, void, undefined> {
    const files = this.inner.list(type, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#run(options, () => files.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await files.return?.();
    }
  }

  override remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    return this.#admitted(options, () => this.inner.remove(handle, options));
  }

  /** In one slot, as the calls that it stands for would come one after the other. */
  async removeSeveral(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return (
      (await this.#run(options, async () => this.inner.removeSeveral?.(type, names, options))) ?? []
    );
  }

  override thaw(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined> {
    return this.#run(options, () => super.thaw(handle, options));
  }

  override removeLeftovers(options?: CallOptions): Promise<number> {
    return this.#run(options, () => super.removeLeftovers(options));
  }

  /** Runs a change once it is admitted. Holds no slot while it waits for that: a lock may have to be renewed first. */
  async #admitted(options: CallOptions | undefined, work: () => Promise<void>): Promise<void> {
    for (;;) {
      const wait = await this.#run(options, async () => {
        const refusal = options?.admit?.();
        if (refusal) return { refusal };
        await work();
        return undefined;
      });
      if (!wait) return;
      await wait.refusal;
    }
  }

  #run<T>(options: CallOptions | undefined, work: () => Promise<T>): Promise<T> {
    return this.#slots.run(async () => {
      throwIfAborted(options?.signal);
      return await work();
    });
  }
}
