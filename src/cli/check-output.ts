import { describeError } from '../base/errors.ts';
import type { Problem, Progress } from '../base/monitor.ts';
import type { CheckMonitor } from '../engine/check.ts';
import type { Invocation } from './command.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';

/** What check says while it works. */
export class CheckOutput implements CheckMonitor {
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
    const line = item === '' ? message : `${item}: ${message}`;
    if (this.#output.isJson) this.#output.jsonError({ message_type: 'error', message: line });
    else this.#output.errorLine(`error: ${line}`);
  }

  note(text: string): void {
    this.#output.info(text);
  }

  stop(): void {
    this.#view.stop();
  }
}
