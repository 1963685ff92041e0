import type { Clock, Timer } from '../../base/clock.ts';
import type { Progress } from '../../base/monitor.ts';
import { admitSignal, isForeground } from '../../platform/machine.ts';
import type { Invocation } from '../command.ts';
import type { JsonOutput } from '../go-json.ts';
import type { Output, StatusArea } from '../output.ts';
import { safeText } from '../safe-text.ts';
import { framesPerSecond } from './frame-rate.ts';
import { RateMeter } from './rate-meter.ts';
import { type Pace, statusLines } from './status-lines.ts';

/** How a kind of work shows its progress. */
export interface ProgressFormat<P extends Progress> {
  /** What is counted: `files`, `packs`. */
  readonly unit: string;
  /** The `status` message of --json; absent where restic has none. */
  json?(progress: P, pace: Pace): JsonOutput;
}

const standardOutput = 1;

/** How often progress that is not shown is measured, for who asks how fast it is. */
const sampleRate = 1;

/** More would only cost time: a person cannot read faster. */
const terminalFramesPerSecondMax = 10;

/**
 * Shows the progress of one command: lines that are redrawn on a terminal, `status` messages with --json, nothing
 * otherwise.
 */
export class ProgressView<P extends Progress> {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #format: ProgressFormat<P>;
  readonly #startMs: number;
  readonly #bytes = new RateMeter();
  #progress: P | undefined;
  #timer: Timer | undefined;
  #detach: (() => void) | undefined;
  /** Takes back the answers to who asks. */
  readonly #forget: () => void;
  /** The terminal can only write lines. */
  readonly #isDumb: boolean;

  constructor(
    { output, environment, variables }: Pick<Invocation, 'output' | 'environment' | 'variables'>,
    format: ProgressFormat<P>,
  ) {
    this.#output = output;
    this.#clock = environment.clock;
    this.#format = format;
    this.#startMs = environment.clock.monotonicMs();
    this.#isDumb = variables.plain('TERM') === 'dumb';
    this.#forget = output.answerWith(() => this.#tell());
    // Held back from the start of the process (bin/holdfast), when the runtime would open its debugger for it.
    admitSignal('SIGUSR1');
    let rate = this.isShown ? framesPerSecond(variables) : sampleRate;
    if (this.isShown && !output.isJson) {
      rate = Math.min(rate, terminalFramesPerSecondMax);
      this.#detach = output.attach(new DrawnLines(() => this.#lines()));
    }
    this.#timer = environment.clock.every(1000 / rate, () => this.#tick());
  }

  /** Whether anybody sees progress at all. */
  get isShown(): boolean {
    const { isJson, verbosity, stdout } = this.#output;
    if (verbosity < 1) return false;
    return isJson ? this.#format.json !== undefined : stdout.isTerminal && !this.#isDumb;
  }

  /** Takes new numbers; they are shown with the next frame. */
  update(progress: P): void {
    this.#progress = progress;
  }

  /** Ends the display. Idempotent. */
  stop(): void {
    this.#forget();
    this.#timer?.stop();
    this.#detach?.();
    this.#timer = undefined;
    this.#detach = undefined;
  }

  #tick(): void {
    const progress = this.#progress;
    if (!progress) return;
    this.#bytes.add(this.#clock.monotonicMs(), progress.bytesDone);
    if (!this.isShown) return;
    // A job in the background of a shell must not write over what runs in front.
    if (!this.#output.isJson && isForeground(standardOutput)) this.#output.refresh();
    if (this.#output.isJson && this.#format.json)
      this.#output.json(this.#format.json(progress, this.#pace()));
  }

  /** Somebody asks how far the work is: also where progress is not shown. */
  #tell(): void {
    const progress = this.#progress;
    if (!progress) return;
    this.#bytes.add(this.#clock.monotonicMs(), progress.bytesDone);
    if (!this.#output.isJson) for (const line of this.#lines()) this.#output.line(line);
    else if (this.#format.json) this.#output.json(this.#format.json(progress, this.#pace()));
  }

  #pace(): Pace {
    return {
      elapsedMs: this.#clock.monotonicMs() - this.#startMs,
      bytesPerSecond: this.#bytes.perSecond(),
    };
  }

  #lines(): string[] {
    const progress = this.#progress;
    if (!progress) return [];
    const shown = { ...progress, currentItems: progress.currentItems.map(safeText) };
    const { columns } = this.#output.stdout;
    return statusLines(shown, this.#pace(), { columns, unit: this.#format.unit });
  }
}

/** Lines at the end of a terminal's output, which it remembers so that it can remove them. */
class DrawnLines implements StatusArea {
  readonly #lines: () => readonly string[];
  #drawnCount = 0;

  constructor(lines: () => readonly string[]) {
    this.#lines = lines;
  }

  clear(): string {
    if (this.#drawnCount === 0) return '';
    const up = this.#drawnCount > 1 ? `\u001b[${this.#drawnCount - 1}A` : '';
    this.#drawnCount = 0;
    return `\r${up}\u001b[J`;
  }

  draw(): string {
    const lines = this.#lines();
    this.#drawnCount = lines.length;
    return lines.join('\n');
  }
}
