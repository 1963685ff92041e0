import type { PhaseMonitor, Problem, Progress } from '../../base/monitor.ts';
import type { BackupMonitor } from '../../engine/backup.ts';
import type { CopyMonitor } from '../../engine/copy.ts';
import type { ForgetMonitor } from '../../engine/forget.ts';
import type { TransferProgress } from '../../engine/packs/transfer.ts';
import type { PruneMonitor } from '../../engine/prune.ts';
import type { RestoreMonitor } from '../../engine/restore.ts';
import type { Duty } from '../../policy/duties.ts';
import type { RunListener } from '../host.ts';
import type { ProblemList } from '../step-result.ts';

/** Hears the operations of one step: keeps their problems, and passes all on to whoever listens to the run. */
export class StepMonitor
  implements BackupMonitor, CopyMonitor, ForgetMonitor, PruneMonitor, RestoreMonitor, PhaseMonitor
{
  readonly problems: ProblemList;
  readonly #duty: Duty;
  readonly #listener: RunListener;
  /** Problems that are none here: they are neither kept nor told. */
  readonly #isNone: (problem: Problem) => boolean;

  constructor(
    duty: Duty,
    to: { readonly listener: RunListener; readonly problems: ProblemList },
    isNone: (problem: Problem) => boolean = () => false,
  ) {
    this.#duty = duty;
    this.#listener = to.listener;
    this.problems = to.problems;
    this.#isNone = isNone;
  }

  problem(problem: Problem): void {
    if (this.#isNone(problem)) return;
    this.problems.add(problem);
    this.#listener.problem(this.#duty, problem);
  }

  note(text: string): void {
    this.#listener.note(this.#duty, text);
  }

  phase(name: string): void {
    this.#listener.note(this.#duty, name);
  }

  progress(progress: Progress): void {
    this.#listener.progress(this.#duty, progress);
  }

  counted(done: number, total: number): void {
    this.#count(done, total);
  }

  treesRead(count: number): void {
    this.#count(count, undefined);
  }

  transferProgress({ blobsDone, blobsTotal, bytesDone, bytesTotal }: TransferProgress): void {
    const counts = { filesDone: blobsDone, filesTotal: blobsTotal, bytesDone, bytesTotal };
    this.progress({ ...counts, errorCount: 0, currentItems: [] });
  }

  #count(filesDone: number, filesTotal: number | undefined): void {
    const total = filesTotal === undefined ? {} : { filesTotal };
    this.progress({ filesDone, ...total, bytesDone: 0, errorCount: 0, currentItems: [] });
  }
}
