import { assert } from '../../base/assert.ts';
import { ScanAhead, type ScannedDirectory, type ScanTicket } from '../../platform/scan-ahead.ts';
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
}

/** Local directories that a thread reads before they are listed. */
export class DirectoriesAhead {
  #scanner: ScanAhead | undefined;
  readonly #tickets = new Map<FileEntry, ScanTicket>();
  #isClosed = false;

  /** @param entries directories to be read, the most urgent last */
  ask(entries: readonly FileEntry[]): void {
    if (this.#isClosed) return;
    const fresh = entries.filter((entry) => !this.#tickets.has(entry)).toReversed();
    if (fresh.length === 0 || (!this.#scanner && fresh.length < worthwhileCount)) return;
    this.#scanner ??= new ScanAhead();
    if (this.#scanner.openCount >= requestsMax) return;
    const tickets = this.#scanner.ask(fresh.map(({ path }) => path));
    for (const [i, entry] of fresh.entries()) {
      const ticket = tickets[i];
      if (ticket) this.#tickets.set(entry, ticket);
    }
  }

  /** Settles when the directory has been read, if it was asked for; never rejects. */
  waitFor(entry: FileEntry): Promise<void> | undefined {
    const ticket = this.#tickets.get(entry);
    return ticket && !ticket.isDone ? this.#scanner?.waitFor(ticket) : undefined;
  }

  /** What was read; undefined if it was not asked for, has not come yet, or is to be read by the caller. */
  take(entry: FileEntry): AheadScan | undefined {
    const ticket = this.#tickets.get(entry);
    this.#tickets.delete(entry);
    return ticket?.scan && scanOf(ticket.scan);
  }

  close(): void {
    this.#isClosed = true;
    this.#scanner?.close();
    this.#tickets.clear();
  }
}

function scanOf({ status, entries, linkTargets }: ScannedDirectory): AheadScan {
  return {
    status,
    entries,
    vanished: [],
    attributeProblems: new Map(),
    linkTarget: (name) => {
      const target = linkTargets.get(name);
      assert(target, 'a link has been read with its directory');
      return target;
    },
    start: () => {
      assert(false, 'directories with tags are not read ahead');
    },
  };
}
