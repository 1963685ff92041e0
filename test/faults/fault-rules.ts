import { describeError, errorTable, isHoldfastError } from '../../src/base/errors.ts';
import type { Backend, FileType } from '../../src/storage/backend.ts';
import type { Fault, FaultRule } from '../../src/storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { type Operation, record } from '../../src/storage/record.ts';

const reads: readonly Fault[] = [
  { kind: 'error', code: 'BACKEND_READ_FAILED' },
  { kind: 'flip', byte: -20 },
  { kind: 'flip', byte: 40 },
  { kind: 'short', sizeBytes: 30 },
];
const writes: readonly Fault[] = [
  { kind: 'error', code: 'STORAGE_FULL' },
  { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' },
  { kind: 'lost' },
  { kind: 'flip', byte: 20 },
  { kind: 'partial', sizeBytes: 30 },
  { kind: 'partial', sizeBytes: 30, code: 'BACKEND_WRITE_FAILED' },
];
const lists: readonly Fault[] = [
  { kind: 'error', code: 'BACKEND_READ_FAILED' },
  { kind: 'error-after', code: 'BACKEND_READ_FAILED' },
  { kind: 'hidden', name: () => true },
  { kind: 'repeated' },
  { kind: 'resized', byBytes: 7 },
];
const removes: readonly Fault[] = [
  { kind: 'error', code: 'PERMISSION_DENIED' },
  { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' },
  { kind: 'lost' },
];
const stats: readonly Fault[] = [
  { kind: 'error', code: 'BACKEND_READ_FAILED' },
  { kind: 'resized', byBytes: -5 },
];

/** What can go wrong with each call of a storage. */
export const faultsOf: Readonly<Record<Operation, readonly Fault[]>> = {
  create: [{ kind: 'error', code: 'READ_ONLY' }],
  get: reads,
  put: writes,
  stat: stats,
  list: lists,
  remove: removes,
};

/** A call that some work makes, numbered among those of its kind. */
interface NumberedCall {
  readonly operation: Operation;
  readonly type: FileType | undefined;
  readonly call: number;
}

/** Calls that some work makes on a storage with these files. */
async function callsOf(
  files: MemoryFiles,
  work: (backend: Backend) => Promise<unknown>,
): Promise<NumberedCall[]> {
  const recorder = record(new MemoryBackend(copyOf(files)));
  await work(recorder);
  const counts = new Map<string, number>();
  return recorder.calls.map(({ operation, type }) => {
    const kind = `${operation} ${type}`;
    const call = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, call);
    return { operation, type, call };
  });
}

/** Every fault of every call that some work makes: of that call alone, and of that one and all after it. */
export async function rulesFor(
  files: MemoryFiles,
  work: (backend: Backend) => Promise<unknown>,
): Promise<{ readonly once: readonly FaultRule[]; readonly always: readonly FaultRule[] }> {
  const once: FaultRule[] = [];
  for (const { operation, type, call } of await callsOf(files, work)) {
    const of = type ? { operation, type, call } : { operation, call };
    for (const fault of faultsOf[operation]) once.push({ ...of, fault });
  }
  return { once, always: once.map((rule) => ({ ...rule, count: Number.POSITIVE_INFINITY })) };
}

export function copyOf(files: MemoryFiles): MemoryFiles {
  return new Map([...files].map(([key, bytes]) => [key, bytes.slice()]));
}

/** A rule in words. */
export function nameOf({ operation, type, call, count, fault }: FaultRule): string {
  const times = count === undefined ? '' : ' and all after it';
  return `${operation} ${type} ${call}${times}: ${JSON.stringify(fault)}`;
}

/** True if the fault is an error that says that another try may help. */
export function isTransient({ fault }: FaultRule): boolean {
  return fault.kind.startsWith('error') && 'code' in fault && fault.code !== undefined
    ? errorTable[fault.code].retry === 'later'
    : false;
}

/** Throws unless this is an error for a person: ours, one line, no stack. */
export function expectReadable(error: unknown): void {
  if (!isHoldfastError(error) || isHoldfastError(error, 'ASSERTION_FAILED')) throw error;
  const line = describeError(error);
  if (/\n|    at /.test(line) || line.length > 600) throw new Error(`not one line: ${line}`);
}
