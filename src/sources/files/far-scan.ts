import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { deserializeError } from '../../base/serialized-errors.ts';
import { sortNames } from '../../platform/directory.ts';
import type { FileStatus, ScannedEntry } from '../../platform/system-calls.ts';
import { type ByteText, byteTextOf } from './byte-text.ts';
import type { DirectoryScan } from './directory-scan.ts';
import type { FarEntry, FarListing } from './far-messages.ts';
import { type FarSystems, type FarTalk, isSilence } from './far-systems.ts';

/** Entries asked for with one request. */
const entriesPerRequest = 512;

/** Which directory is read, and what of it is left alone. */
export interface FarScanRequest {
  readonly path: Uint8Array;
  readonly noFollow: boolean;
  /** Which file system to ask. */
  readonly device: FileStatus['device'];
  /** Names that must not be touched, and the error that each gets. */
  readonly silent: { readonly names: ReadonlySet<ByteText>; readonly error: HoldfastError };
  /** Files whose first bytes decide on the directory. */
  readonly tags: readonly { readonly name: Uint8Array; readonly sizeBytes: number }[];
}

/** A far directory with all that a listing needs of it. */
export interface FarScan extends DirectoryScan {
  /** Of the directory that was opened. */
  readonly status: FileStatus;
}

/**
 * Reads a far directory whole. An entry that gives no answer keeps its place with that as its error.
 * @throws SOURCE_FAILED with details.reason `silent` if the directory itself gives none; CANCELLED; what listing throws
 */
export async function scanFar(far: FarSystems, request: FarScanRequest): Promise<FarScan> {
  const reader = new FarDirectory(far.talk(request.device), request);
  try {
    return await reader.read();
  } finally {
    reader.end();
  }
}

class FarDirectory {
  readonly #talk: FarTalk;
  readonly #request: FarScanRequest;
  readonly #entries: ScannedEntry[] = [];
  readonly #vanished: Uint8Array[] = [];
  readonly #attributeProblems = new Map<ByteText, HoldfastError[]>();
  readonly #linkTargets = new Map<ByteText, Uint8Array | HoldfastError>();
  readonly #starts = new Map<ByteText, Uint8Array | HoldfastError>();

  constructor(talk: FarTalk, request: FarScanRequest) {
    this.#talk = talk;
    this.#request = request;
  }

  async read(): Promise<FarScan> {
    const { status, names } = await this.#open();
    // Some network file systems list a name twice.
    const sorted = sortNames(names);
    for (let at = 0; at < sorted.length; at += entriesPerRequest) {
      await this.#readBatch(sorted.slice(at, at + entriesPerRequest));
    }
    for (const tag of this.#request.tags) await this.#readStart(tag);
    return {
      status,
      entries: this.#entries,
      vanished: this.#vanished,
      attributeProblems: this.#attributeProblems,
      linkTarget: (name) => found(this.#linkTargets, name),
      start: (name) => {
        const start = found(this.#starts, name);
        if (start instanceof HoldfastError) throw start;
        return start;
      },
    };
  }

  end(): void {
    this.#talk.end();
  }

  #open(): Promise<FarListing> {
    const { path, noFollow } = this.#request;
    return this.#talk.begin('list', { path, noFollow });
  }

  async #readBatch(names: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    const { silent } = this.#request;
    const asked = names.filter((name) => !silent.names.has(byteTextOf(name)));
    const answer = await this.#ask(asked);
    // One of them gives no answer: they are asked one by one, to find which.
    const answers = answer ?? (await this.#askEach(asked));
    const byName = new Map(answers.map((entry) => [byteTextOf(entry.name), entry]));
    for (const name of names) {
      const entry = byName.get(byteTextOf(name));
      if (entry instanceof Refusal) this.#refuse(name, entry.error);
      else if (entry) this.#take(entry);
      else this.#refuse(name, silent.error);
    }
  }

  /** Undefined if there was no answer. */
  async #ask(names: readonly Uint8Array[]): Promise<readonly FarEntry[] | undefined> {
    try {
      return names.length === 0 ? [] : await this.#talk.ask('entries', { names });
    } catch (error) {
      if (!isSilence(error)) throw error;
      return undefined;
    }
  }

  async #askEach(names: readonly Uint8Array<ArrayBuffer>[]): Promise<(FarEntry | Refusal)[]> {
    const answers: (FarEntry | Refusal)[] = [];
    // The process before is of no use any more.
    let isOpen = false;
    for (const name of names) {
      if (!isOpen) await this.#open();
      isOpen = true;
      try {
        answers.push(...(await this.#talk.ask('entries', { names: [name] })));
      } catch (error) {
        if (!isHoldfastError(error) || !isSilence(error)) throw error;
        answers.push(new Refusal(name, error));
        isOpen = false;
      }
    }
    return answers;
  }

  #refuse(name: Uint8Array<ArrayBuffer>, status: HoldfastError): void {
    this.#entries.push({ name, status, extendedAttributes: [] });
  }

  #take({ name, status, linkTarget, ...entry }: FarEntry): void {
    if (status === undefined) {
      this.#vanished.push(name);
      return;
    }
    if ('error' in status) {
      this.#refuse(name, deserializeError(status.error));
      return;
    }
    const text = byteTextOf(name);
    // The names and values are the system's, copied by the messages.
    const extendedAttributes = (entry.extendedAttributes ??
      []) as ScannedEntry['extendedAttributes'];
    this.#entries.push({ name, status, extendedAttributes });
    if (linkTarget) {
      const isTarget = linkTarget instanceof Uint8Array;
      this.#linkTargets.set(text, isTarget ? linkTarget : deserializeError(linkTarget.error));
    }
    if (entry.attributeErrors) {
      this.#attributeProblems.set(text, entry.attributeErrors.map(deserializeError));
    }
  }

  async #readStart(tag: { readonly name: Uint8Array; readonly sizeBytes: number }): Promise<void> {
    const entry = this.#entries.find(({ name }) => equalBytes(name, tag.name));
    if (entry === undefined || entry.status instanceof HoldfastError) return;
    if (entry.status.kind !== 'file') return;
    const text = byteTextOf(tag.name);
    try {
      this.#starts.set(text, await this.#talk.ask('start', tag));
    } catch (error) {
      if (!isHoldfastError(error) || error.code === 'CANCELLED') throw error;
      this.#starts.set(text, error);
      if (isSilence(error)) await this.#open();
    }
  }
}

/** An entry that gave no answer. */
class Refusal {
  readonly name: Uint8Array<ArrayBuffer>;
  readonly error: HoldfastError;

  constructor(name: Uint8Array<ArrayBuffer>, error: HoldfastError) {
    this.name = name;
    this.error = error;
  }
}

function found<T>(values: ReadonlyMap<ByteText, T>, name: Uint8Array): T | HoldfastError {
  return values.get(byteTextOf(name)) ?? new HoldfastError('FILE_NOT_FOUND');
}
