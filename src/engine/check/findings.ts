import { type ErrorCode, HoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';

/** Lines kept for the result: a lost index file alone may give millions. All are told as they come. */
const linesKeptMax = 100_000;

/** Collects what a check finds and tells it as it comes. */
export class Findings {
  /** The first ones. */
  readonly errors: string[] = [];
  errorCount = 0;
  readonly hints: string[] = [];
  readonly brokenPacks: Set<Id> = new Set<Id>();
  readonly affectedSnapshots: Set<Id> = new Set<Id>();
  suggestRepairIndex = false;
  suggestPrune = false;
  readonly #monitor: PhaseMonitor;

  constructor(monitor: PhaseMonitor) {
    this.#monitor = monitor;
  }

  /** @param code what kind of file `item` is */
  error(item: string, text: string, code: ErrorCode = 'PACK_DAMAGED'): void {
    this.errorCount++;
    if (this.errors.length < linesKeptMax) {
      this.errors.push(item === '' ? text : `${item}: ${text}`);
    }
    const error = new HoldfastError(code, { message: text, hint: '' });
    this.#monitor.problem({ item, error, during: 'check' });
  }

  hint(text: string): void {
    if (this.hints.length < linesKeptMax) this.hints.push(text);
    this.#monitor.note(text);
  }
}
