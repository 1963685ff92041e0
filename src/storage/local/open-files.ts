import { constants } from 'node:fs';

import type { Clock, Timer } from '../../base/clock.ts';
import { closeFile, openFile, statusOf } from './files.ts';

/** A file that is open for reading. */
export interface OpenFile {
  readonly file: number;
  readonly sizeBytes: number;
  readonly isFile: boolean;
}

/** Regular files do not block; a named pipe in a repository must not hang us. */
const readFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

interface Entry {
  readonly ready: Promise<OpenFile>;
  readonly openedMs: number;
  userCount: number;
  isRetired: boolean;
}

const openFileCountMax = 8;
const openMsMax = 1000;

/** Opens a file, lets `work` use it and closes it. @throws system errors untranslated */
export async function withFile<T>(
  path: string,
  work: (opened: OpenFile) => Promise<T>,
): Promise<T> {
  const opened = await open(path);
  try {
    return await work(opened);
  } finally {
    await closeFile(opened.file);
  }
}

/**
 * Keeps the files that were read last open for a moment: many small ranges of one pack then take one call each instead
 * of four. Nothing is kept longer than about a second, so that a removed file does not live on and a disk can be
 * unmounted.
 */
export class OpenFiles {
  readonly #clock: Clock;
  readonly #entries: Map<string, Entry> = new Map();
  #sweeper: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets `work` use the file, which stays open until it is done. @throws system errors untranslated */
  async use<T>(path: string, work: (opened: OpenFile) => Promise<T>): Promise<T> {
    const entry = this.#entryOf(path);
    entry.userCount++;
    try {
      const opened = await entry.ready.catch((error: unknown) => {
        this.forget(path);
        throw error;
      });
      return await work(opened);
    } finally {
      entry.userCount--;
      await closeIfUnused(entry);
    }
  }

  /** Does not use the open file again, which was removed or cannot be opened. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry) this.#retire(path, entry);
  }

  close(): void {
    for (const [path, entry] of this.#entries) this.#retire(path, entry);
  }

  #entryOf(path: string): Entry {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#entries.get(path);
    if (known && nowMs - known.openedMs <= openMsMax) return known;
    if (known) this.#retire(path, known);
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size < openFileCountMax) break;
      this.#retire(oldest, entry);
    }
    const entry = { ready: open(path), openedMs: nowMs, userCount: 0, isRetired: false };
    this.#entries.set(path, entry);
    this.#sweeper ??= this.#clock.every(openMsMax, () => this.#sweep());
    return entry;
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [path, entry] of this.#entries) {
      if (nowMs - entry.openedMs > openMsMax) this.#retire(path, entry);
    }
  }

  #retire(path: string, entry: Entry): void {
    this.#entries.delete(path);
    entry.isRetired = true;
    if (this.#entries.size === 0) {
      this.#sweeper?.stop();
      this.#sweeper = undefined;
    }
    void closeIfUnused(entry);
  }
}

/** Never rejects: what was only read has nothing to lose at its end. */
async function closeIfUnused(entry: Entry): Promise<void> {
  if (!entry.isRetired || entry.userCount > 0) return;
  await entry.ready.then(({ file }) => closeFile(file)).catch(() => {});
}

async function open(path: string): Promise<OpenFile> {
  const file = await openFile(path, readFlags);
  try {
    const found = await statusOf(file);
    return { file, sizeBytes: found.size, isFile: found.isFile() };
  } catch (error) {
    await closeFile(file).catch(() => {});
    throw error;
  }
}
