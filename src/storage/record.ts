import type {
  Backend,
  ByteRange,
  CallOptions,
  FileHandle,
  FileStat,
  FileType,
  GetOptions,
  PutOptions,
} from './backend.ts';
import { ForwardingBackend } from './forward.ts';

/** What a backend can be asked for. */
export type Operation = 'create' | 'put' | 'get' | 'stat' | 'list' | 'remove';

/** One call as it was started. */
export interface RecordedCall {
  readonly operation: Operation;
  /** Absent for `create`. */
  readonly type?: FileType;
  /** Empty for `list` and `create`. */
  readonly name: string;
  readonly range?: ByteRange;
  /** Bytes given to a put. */
  readonly sizeBytes?: number;
}

/** Which calls to count: all that fit every given field. */
export type CallFilter = Partial<Pick<RecordedCall, 'operation' | 'type' | 'name'>>;

/** A backend that remembers the calls made to it, failed ones included, for tests that count I/O. */
export interface RecordedBackend extends Backend {
  /** All calls in the order in which they started. */
  readonly calls: readonly RecordedCall[];
  count(filter?: CallFilter): number;
  /** Number of calls by `operation type`, such as `put pack`: sorted, for an inline snapshot. */
  counts(): Readonly<Record<string, number>>;
  /** Forgets what was recorded. */
  reset(): void;
}

/**
 * Records all calls, so that a test can say how many of them some work costs. Hides `localPath`: what is read past the
 * backend cannot be counted.
 */
export function record(inner: Backend): RecordedBackend {
  return new Recorder(inner);
}

class Recorder extends ForwardingBackend implements RecordedBackend {
  calls: RecordedCall[] = [];

  override get localPath(): string | undefined {
    return undefined;
  }

  count(filter: CallFilter = {}): number {
    return this.calls.filter(
      (call) =>
        (filter.operation === undefined || call.operation === filter.operation) &&
        (filter.type === undefined || call.type === filter.type) &&
        (filter.name === undefined || call.name === filter.name),
    ).length;
  }

  counts(): Readonly<Record<string, number>> {
    const counts = new Map<string, number>();
    for (const call of this.calls) {
      const key = call.type ? `${call.operation} ${call.type}` : call.operation;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  reset(): void {
    this.calls = [];
  }

  override create(options?: CallOptions): Promise<void> {
    this.calls.push({ operation: 'create', name: '' });
    return this.inner.create(options);
  }

  override put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options?: PutOptions,
  ): Promise<void> {
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.calls.push({ operation: 'put', type: handle.type, name: handle.name, sizeBytes });
    return this.inner.put(handle, parts, options);
  }

  override get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { type, name } = handle;
    this.calls.push({ operation: 'get', type, name, ...(range && { range }) });
    return this.inner.get(handle, range, options);
  }

  override stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    this.calls.push({ operation: 'stat', type: handle.type, name: handle.name });
    return this.inner.stat(handle, options);
  }

  override list(type: FileType, options?: CallOptions): AsyncIterable<FileStat> {
    this.calls.push({ operation: 'list', type, name: '' });
    return this.inner.list(type, options);
  }

  override remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    this.calls.push({ operation: 'remove', type: handle.type, name: handle.name });
    return this.inner.remove(handle, options);
  }
}
