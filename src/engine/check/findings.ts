import type { Id } from '../../repository/id.ts';
import type { CheckMonitor } from './options.ts';
import { HoldfastError } from '../../base/errors.ts';

/** Collects what a check finds and tells it as it comes. */
export class Findings {
  readonly errors: string[] = [];
  readonly hints: string[] = [];
  readonly brokenPacks: Set<Id> = new Set<Id>();
  readonly affectedSnapshots: Set<Id> = new Set<Id>();
  /** Blobs of which no copy can be read, as `type:hex id`. */
  readonly lostBlobs: Set<string> = new Set<string>();
  readonly #damagedCopies = new Map<string, number>();
  suggestRepairIndex = false;
  suggestPrune = false;
  readonly #monitor: CheckMonitor;

  constructor(monitor: CheckMonitor) {
    this.#monitor = monitor;
  }

  error(item: string, text: string): void {
    const line = item === '' ? text : `${item}: ${text}`;
    this.errors.push(line);
    const error = new HoldfastError('PACK_DAMAGED', { message: text, hint: '' });
    this.#monitor.problem({ item, error, during: 'check' });
  }

  /** One of `copyCount` copies of a blob cannot be read; with the last one the blob is lost. */
  damagedCopy(key: string, copyCount: number): void {
    const damaged = (this.#damagedCopies.get(key) ?? 0) + 1;
    this.#damagedCopies.set(key, damaged);
    if (damaged >= copyCount) this.lostBlobs.add(key);
  }

  hint(text: string): void {
    this.hints.push(text);
    this.#monitor.note(text);
  }
}

/** The key of a blob in `lostBlobs`. */
export function blobKey(type: 'data' | 'tree', hexId: string): string {
  return `${type}:${hexId}`;
}
