import type { Monitor, PhaseMonitor, Problem, Progress } from '../base/monitor.ts';
import type { AffectedFile } from '../engine/check.ts';
import type { Invocation } from './command.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';
import { safeText } from './safe-text.ts';

/** Files named below; all are in the JSON output. */
const filesShownMax = 100;

/** What a repair says while it works. */
export class RepairOutput implements PhaseMonitor {
  readonly #output: Output;
  readonly #problems: Monitor;
  readonly #view: ProgressView<Progress>;

  /** @param unit what progress counts */
  constructor(
    invocation: Invocation,
    problems: Monitor,
    unit: 'packs' | 'trees' | 'files' = 'packs',
  ) {
    this.#output = invocation.output;
    this.#problems = problems;
    this.#view = new ProgressView<Progress>(invocation, { unit });
  }

  phase(name: string): void {
    this.#output.info(name);
  }

  progress(progress: Progress): void {
    this.#view.update(progress);
  }

  problem(problem: Problem): void {
    this.#problems.problem(problem);
  }

  note(text: string): void {
    this.#problems.note(text);
  }

  stop(): void {
    this.#view.stop();
  }
}

/** Names files that cannot be restored whole. */
export function printLosses(output: Output, files: readonly AffectedFile[]): void {
  if (files.length === 0) return;
  output.errorLine('');
  output.errorLine('Files and folders that cannot be restored whole:');
  for (const { snapshot, path } of files.slice(0, filesShownMax)) {
    output.errorLine(`  ${snapshot.slice(0, 8)}:${safeText(path)}`);
  }
  const more = files.length - filesShownMax;
  if (more > 0) output.errorLine(`  and ${more} others: --json names them`);
  output.errorLine('');
}
