import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { type PackedDirectory, ScanAhead, type ScanTicket } from '../../platform/scan-ahead.ts';
import type { FileStatus } from '../../platform/status.ts';
import type { DirectoryScan } from './directory-scan.ts';
import type { FileEntry } from './file-entry.ts';

/** Fewer than this many directories are read before a thread for them is up. */
const worthwhileCount = 24;
/** Requests that the thread is given ahead. */
const requestsMax = 12;

/** A directory that was read ahead. */
export interface AheadScan extends DirectoryScan {
  /** Of the directory that was opened. */
  readonly status: FileStatus;
  /** The same entries in numbers. */
  readonly packed: PackedDirectory;
}

/** With fewer open requests the thread is given what is below directories that it has read already. */
const requestsMin = 4;
/** Directories below others that may have been read and not yet listed: each may hold thousands of entries. */
const earlyMax = 128;

/** Tells of a name in a directory whether what it stands for is backed up. */
export type AdmitsBelow = (directory: FileEntry) => (name: Uint8Array) => boolean;

/** Local directories that a thread reads before they are listed. */
export class DirectoriesAhead {
  readonly #admitsBelow: AdmitsBelow;
  #scanner: ScanAhead | undefined;
  readonly #tickets = new Map<FileEntry, ScanTicket>();
  /** Of directories that were asked for before the one above was listed, by path. */
  readonly #early = new Map<string, ScanTicket>();
  readonly #expanded = new WeakSet<ScanTicket>();
  #isClosed = false;

  constructor(admitsBelow: AdmitsBelow) {
    this.#admitsBelow = admitsBelow;
  }

  /** @param entries directories to be read, the most urgent last */
  ask(entries: readonly FileEntry[]): void {
    if (this.#isClosed) return;
    const fresh = entries.filter((entry) => !this.#ticketOf(entry)).toReversed();
    if (!this.#scanner && fresh.length < worthwhileCount) return;
    this.#scanner ??= new ScanAhead();
    if (fresh.length > 0 && this.#scanner.openCount < requestsMax) {
      const tickets = this.#scanner.ask(fresh.map(({ path }) => path));
      for (const [i, entry] of fresh.entries()) {
        const ticket = tickets[i];
        if (ticket) this.#tickets.set(entry, ticket);
      }
    }
    for (const entry of entries.toReversed()) this.#askBelow(entry, this.#scanner);
  }

  /** The ticket of a directory, also one that was asked for before the one above was listed. */
  #ticketOf(entry: FileEntry): ScanTicket | undefined {
    const known = this.#tickets.get(entry);
    if (known || this.#early.size === 0 || entry.node) return known;
    const key = latin(entry.path);
    const early = this.#early.get(key);
    if (!early) return undefined;
    this.#early.delete(key);
    this.#tickets.set(entry, early);
    return early;
  }

  /** Keeps the thread busy while the directories that it has read are worked on. */
  #askBelow(entry: FileEntry, scanner: ScanAhead): void {
    const ticket = this.#tickets.get(entry);
    if (!ticket || scanner.openCount >= requestsMin || this.#early.size >= earlyMax) return;
    if (!scanner.isDone(ticket) || !ticket.scan || this.#expanded.has(ticket)) return;
    this.#expanded.add(ticket);
    const { status: own } = ticket.scan;
    // Most file systems count the names of a directory: one in each directory below it. Files need not be looked at then.
    if (own.links === 2) return;
    const admits = this.#admitsBelow(entry);
    const paths = ticket.scan
      .directories()
      .filter(({ name, status }) => status.device === own.device && admits(name))
      .slice(0, earlyMax - this.#early.size)
      .map(({ name }) => concatBytes([entry.path, slash, name]));
    const tickets = scanner.ask(paths);
    for (const [i, path] of paths.entries()) {
      const below = tickets[i];
      if (below) this.#early.set(latin(path), below);
    }
  }

  /** Settles when the directory has been read, if it was asked for; never rejects. */
  waitFor(entry: FileEntry): Promise<void> | undefined {
    const ticket = this.#ticketOf(entry);
    return ticket && !ticket.isDone ? this.#scanner?.waitFor(ticket) : undefined;
  }

  /** True if the directory has been read. */
  isRead(entry: FileEntry): boolean {
    const ticket = this.#ticketOf(entry);
    if (!ticket || !this.#scanner?.isDone(ticket)) return false;
    return ticket.scan !== undefined;
  }

  /** What was read; undefined if it was not asked for, has not come yet, or is to be read by the caller. */
  take(entry: FileEntry): AheadScan | undefined {
    const ticket = this.#ticketOf(entry);
    this.#tickets.delete(entry);
    return ticket?.scan && scanOf(ticket.scan);
  }

  close(): void {
    this.#isClosed = true;
    this.#scanner?.close();
    this.#tickets.clear();
    this.#early.clear();
  }
}

/** A packed directory as the ordinary way reads one. */
export function scanOf(packed: PackedDirectory): AheadScan {
  return {
    status: packed.status,
    packed,
    get entries() {
      return packed.entries;
    },
    vanished: [],
    attributeProblems: new Map(),
    linkTarget: (name) => {
      const target = packed.linkTargets.get(name);
      assert(target, 'a link has been read with its directory');
      return target;
    },
    start: () => {
      assert(false, 'directories with tags are not read ahead');
    },
  };
}

const slash = Uint8Array.of(0x2f);

/** A path as a key: one character a byte. */
function latin(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
}
