import type { Environment } from '../base/environment.ts';
import type { Problem, Progress } from '../base/monitor.ts';
import type { Estate } from '../contracts/estate.ts';
import type { Duty } from '../policy/duties.ts';
import type { CacheSettings } from '../session/session-cache.ts';
import type { DutyMemory } from './memory.ts';
import type { StepResult } from './step-result.ts';

/** Hears what a run does. Every method is cheap and must not throw. */
export interface RunListener {
  started(duty: Duty): void;
  progress(duty: Duty, progress: Progress): void;
  problem(duty: Duty, problem: Problem): void;
  note(duty: Duty, text: string): void;
  finished(result: StepResult): void;
}

/** What carrying out duties needs of the machine, and of whoever started it. */
export interface AgentHost {
  readonly environment: Environment;
  /** Ends the run: what is under way stops in order, the rest is not begun. */
  readonly signal: AbortSignal;
  /** Of the process: for stores, secrets and hooks. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Recorded in snapshots, such as `holdfast 0.1.0`. */
  readonly programVersion: string;
  /** Undefined: no local cache. */
  readonly cache: CacheSettings | undefined;
  /** Has `action` done before the process ends without waiting for its work. */
  readonly beforeEnd?: ((action: () => Promise<void>) => void) | undefined;
  readonly listener: RunListener;
}

/** One run: who runs it, of which estate, and what is remembered from one to the next. */
export interface AgentRun {
  readonly host: AgentHost;
  readonly estate: Estate;
  readonly memory: DutyMemory;
}
