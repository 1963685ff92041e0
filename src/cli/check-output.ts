import { describeError } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import type { PhaseMonitor, Problem, Progress } from '../base/monitor.ts';
import type { Invocation } from './command.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';
import { safeText } from './safe-text.ts';

/** What check says while it works. */
export class CheckOutput implements PhaseMonitor {
  readonly #output: Output;
  readonly #view: ProgressView<Progress>;

  constructor(invocation: Invocation) {
    this.#output = invocation.output;
    this.#view = new ProgressView<Progress>(invocation, { unit: 'packs' });
  }

  phase(name: string): void {
    this.#output.info(name);
  }

  progress(progress: Progress): void {
    this.#view.update(progress);
  }

  problem({ item, error }: Problem): void {
    const message = describeError(error);
    const named = (name: string): string => (item === '' ? message : `${name}: ${message}`);
    if (this.#output.isJson) {
      this.#output.jsonError({ message_type: 'error', message: named(item) });
    } else this.#output.errorLine(`error: ${named(safeText(item))}`);
  }

  note(text: string): void {
    this.#output.info(harmlessLine(text));
  }

  stop(): void {
    this.#view.stop();
  }
}
