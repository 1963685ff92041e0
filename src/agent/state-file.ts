import { z } from 'zod';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { closeFile, lockFile, openFile } from '../platform/file-calls.ts';
import { makeDirectories, splitPath } from '../platform/folders.ts';
import { readWholeFile, writeFileAtomic } from '../platform/whole-file.ts';
import type { DutyMemory, DutyRecord } from './memory.ts';

/** Largest state file that is read. */
const stateSizeBytesMax = 64 * 1024 * 1024;

const time = z.number().nonnegative();

const record: z.ZodType<DutyRecord> = z.object({
  sinceMs: time,
  servedMs: time.optional(),
  lastSuccessMs: time.optional(),
  lastFailure: z.object({ atMs: time, message: z.string() }).optional(),
  verify: z
    .object({
      total: z.int().min(1).max(256),
      next: z.int().min(1).max(256),
      readMs: z.array(time).max(256),
    })
    .refine(({ total, next, readMs }) => next <= total && readMs.length === total)
    .optional(),
  drillCount: z.int().nonnegative().optional(),
});

const state = z.object({ version: z.literal(1), duties: z.record(z.string(), record) });

/**
 * Duties remembered in a file of their own, which one run holds at a time. It is disposable: one that is missing or cannot be
 * read is begun anew, and a run more than needed is the price.
 */
export class StateFile implements DutyMemory {
  readonly #path: string;
  readonly #lock: number;
  readonly #note: (text: string) => void;
  #isTold = false;
  readonly #duties: Map<string, DutyRecord>;

  private constructor(path: string, lock: number, note: (text: string) => void) {
    this.#path = path;
    this.#lock = lock;
    this.#note = note;
    this.#duties = readState(path, note);
  }

  /**
   * Opens it for one run, and makes its folder.
   *
   * @param note hears that the file cannot be used
   * @returns undefined if another run holds it
   * @throws PERMISSION_DENIED, READ_ONLY and kin for a folder that cannot be written
   */
  static open(path: string, note: (text: string) => void): StateFile | undefined {
    makeDirectories(splitPath(Buffer.from(path)).parent);
    const lock = openFile(Buffer.from(`${path}.lock`), { write: true, create: true });
    if (!lockFile(lock)) {
      closeFile(lock);
      return undefined;
    }
    return new StateFile(path, lock, note);
  }

  /** What it holds, without holding it: for who only looks. */
  static peek(path: string, note: (text: string) => void): Pick<DutyMemory, 'load'> {
    const duties = readState(path, note);
    return { load: (dutyId) => duties.get(dutyId) };
  }

  load(dutyId: string): DutyRecord | undefined {
    return this.#duties.get(dutyId);
  }

  save(dutyId: string, duty: DutyRecord): void {
    this.#duties.set(dutyId, duty);
    this.#write();
  }

  /** Forgets duties that are not there any more. */
  retain(dutyIds: ReadonlySet<string>): void {
    const gone = [...this.#duties.keys()].filter((id) => !dutyIds.has(id));
    for (const id of gone) this.#duties.delete(id);
    if (gone.length > 0) this.#write();
  }

  close(): void {
    closeFile(this.#lock);
  }

  /** A full disk must not keep anything from being backed up: what cannot be written is told once. */
  #write(): void {
    const content = { version: 1, duties: Object.fromEntries(this.#duties) };
    const bytes = Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
    try {
      writeFileAtomic(Buffer.from(this.#path), bytes);
    } catch (error) {
      if (this.#isTold) return;
      this.#isTold = true;
      this.#note(`what was done cannot be remembered: ${describeError(error)}`);
    }
  }
}

function readState(path: string, note: (text: string) => void): Map<string, DutyRecord> {
  let bytes: Uint8Array;
  try {
    bytes = readWholeFile(Buffer.from(path), { sizeBytesMax: stateSizeBytesMax });
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return new Map();
    throw error;
  }
  const parsed = state.safeParse(tryParse(Buffer.from(bytes).toString('utf8')));
  if (parsed.success) return new Map(Object.entries(parsed.data.duties));
  note(`the state file ${JSON.stringify(path)} cannot be read: beginning anew`);
  return new Map();
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a second run of the same estate is told. */
export function runUnderWay(): HoldfastError {
  return new HoldfastError('REPOSITORY_LOCKED', {
    message: 'another run of this estate is under way',
    hint: 'Wait for it, or use --wait to do so.',
  });
}
