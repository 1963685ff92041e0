import { cancelled } from '../../base/abort.ts';
import { describeError, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Progress } from '../../base/monitor.ts';
import { runDuty, runRestore } from '../../agent/run-child.ts';
import type { DutyTask, RestoreTask, RunLine } from '../../agent/run-messages.ts';
import type { Estate } from '../../contracts/estate.ts';
import type { RestoreRequest } from '../../contracts/snapshot-requests.ts';
import { type Duty, dutiesOf } from '../../policy/duties.ts';
import { duenessOf } from '../../policy/schedule.ts';
import type { EstateStore } from '../state/estate-store.ts';
import { type Carrier, logLineCountMax, type RunEnd, type RunStore } from '../state/run-store.ts';
import { storedJson } from '../state/json.ts';
import type { State } from '../state/state.ts';
import type { RunRow } from '../state/tables.ts';

/** How often what a run says is stored, in milliseconds. */
const noteMs = 500;

/** Does the work of runs: in processes of their own. */
export interface Workers {
  /** As `runDuty`. */
  readonly duty: typeof runDuty;
  /** As `runRestore`. */
  readonly restore: typeof runRestore;
}

/** Those of a server. */
export const childWorkers: Workers = { duty: runDuty, restore: runRestore };

/** What a machine gives the runs that it carries out. */
export interface RunPlace {
  readonly state: State;
  readonly estate: EstateStore;
  readonly runs: RunStore;
  readonly workers: Workers;
  /** What stores see as the environment of the process, besides the secrets of their repositories. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly cachePath: string;
  readonly programVersion: string;
}

/** A run that was started, by whom, and what ends it. */
interface StartedRun {
  readonly run: RunRow;
  readonly carrier: Carrier;
  readonly controller: AbortController;
  /** The server ends: what cannot be stored now is left to whoever sees its lease end. */
  readonly stopped: AbortSignal;
  /** Hears that the end could not be stored. */
  readonly tell: (error: unknown) => void;
}

/** How long the end of a run waits that could not be stored, in milliseconds. */
const storePauseMs = 5000;

/** Carries out a run that was started, to its end, and stores what it came to. Never throws for what goes wrong with the run. */
export async function carryRun(place: RunPlace, started: StartedRun): Promise<void> {
  const { run, carrier, controller } = started;
  const notes = new RunNotes(place, { run, carrier, onLost: () => controller.abort(lost()) });
  let end: RunEnd;
  try {
    end = await performRun(place, run, { signal: controller.signal, notes });
  } catch (error) {
    end = endOf(error, controller.signal);
  } finally {
    await notes.close();
  }
  await storeEnd(place, started, endAsAsked(end, controller.signal));
}

/** As long as this server has its lease nobody else ends the run: a database that is away is waited for. */
async function storeEnd(
  place: RunPlace,
  { run, carrier, stopped, tell }: StartedRun,
  end: RunEnd,
): Promise<void> {
  const { clock } = place.state.environment;
  for (;;) {
    try {
      await place.runs.end(run, carrier, end);
      return;
    } catch (error) {
      tell(error);
      if (stopped.aborted) return;
    }
    await clock.sleep(storePauseMs, stopped).catch(() => {});
  }
}

async function performRun(
  place: RunPlace,
  run: RunRow,
  { signal, notes }: { readonly signal: AbortSignal; readonly notes: RunNotes },
): Promise<RunEnd> {
  const { clock } = place.state.environment;
  if (run.request !== null) {
    const request = storedJson<RestoreRequest>(run.request);
    return performRestore(place, { name: run.repository, request }, { signal, notes });
  }
  const estate = await place.estate.load();
  const duty = dutiesOf(estate, clock.wallMs()).find(({ id }) => id === run.duty);
  if (!duty) return superseded('it is not asked for any more');
  const record = await place.runs.duty(duty.id);
  if (run.reason !== 'person') {
    const { state } = duenessOf(duty.schedule, record?.servedMs, clock.wallMs());
    if (state === 'served') return superseded('another run has served its slot');
  }
  const needed = estateFor(duty, estate);
  const secrets = await place.estate.variablesFor(Object.keys(needed.repositories));
  const task: DutyTask = {
    kind: 'duty',
    estate: needed,
    dutyId: duty.id,
    slotMs: run.slot_ms,
    record,
    variables: { ...place.variables, ...secrets },
    cachePath: place.cachePath,
    programVersion: place.programVersion,
  };
  const report = await place.workers.duty(task, { clock, signal, hearer: notes });
  const { outcome, summary, problems, problemCount, snapshotId, errorCode } = report;
  return { outcome, summary, problems, problemCount, snapshotId, errorCode, record: report.record };
}

async function performRestore(
  place: RunPlace,
  { name, request }: { readonly name: string; readonly request: RestoreRequest },
  { signal, notes }: { readonly signal: AbortSignal; readonly notes: RunNotes },
): Promise<RunEnd> {
  const { clock } = place.state.environment;
  const secrets = await place.estate.variablesFor([name]);
  const task: RestoreTask = {
    kind: 'restore',
    name,
    entry: await place.estate.entryOf(name),
    snapshotId: request.snapshot,
    path: request.path,
    target: request.target,
    variables: { ...place.variables, ...secrets },
    cachePath: place.cachePath,
    programVersion: place.programVersion,
  };
  const report = await place.workers.restore(task, { clock, signal, hearer: notes });
  return { ...report, outcome: report.problemCount === 0 ? 'success' : 'failed' };
}

/** What of the estate a duty needs: no run gets the secrets of repositories that it does not use. */
export function estateFor(duty: Duty, estate: Estate): Estate {
  const { policyName, policy } = duty;
  const names = duty.kind === 'copy' ? [duty.repository, duty.from] : [duty.repository];
  const source =
    'sourceName' in duty
      ? ([duty.sourceName, duty.source] as const)
      : Object.entries(estate.sources).find(([, entry]) => entry.policy === policyName);
  return {
    version: 1,
    repositories: Object.fromEntries(
      Object.entries(estate.repositories).filter(([name]) => names.includes(name)),
    ),
    policies: { [policyName]: policy },
    sources: source ? { [source[0]]: source[1] } : {},
  };
}

function superseded(summary: string): RunEnd {
  return { outcome: 'superseded', summary, problems: [], problemCount: 0 };
}

function lost(): HoldfastError {
  return new HoldfastError('RUN_INTERRUPTED', {
    message: 'this server lost its lease: another has taken over',
  });
}

function endOf(error: unknown, signal: AbortSignal): RunEnd {
  const isCancelled = isHoldfastError(error, 'CANCELLED') || signal.aborted;
  const said = signal.aborted ? cancelled(signal) : error;
  return {
    outcome: isCancelled ? 'cancelled' : 'failed',
    summary: describeError(said),
    problems: [],
    problemCount: 0,
    errorCode: isHoldfastError(said) ? said.code : undefined,
  };
}

/** What was ended because its server was is no wish of anybody: it is tried again. */
function endAsAsked(end: RunEnd, signal: AbortSignal): RunEnd {
  const reason: unknown = signal.reason;
  if (end.outcome !== 'cancelled' || !isHoldfastError(reason, 'RUN_INTERRUPTED')) return end;
  return { ...end, outcome: 'interrupted', summary: describeError(reason), errorCode: reason.code };
}

/** Stores what a run says, some of it at a time. */
class RunNotes {
  readonly #place: RunPlace;
  readonly #run: RunRow;
  readonly #carrier: Carrier;
  readonly #onLost: () => void;
  readonly #timer: { stop(): void };
  #lines: { seq: number; at_ms: number; level: string; text: string }[] = [];
  #count = 0;
  #progress: Progress | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    place: RunPlace,
    {
      run,
      carrier,
      onLost,
    }: { readonly run: RunRow; readonly carrier: Carrier; readonly onLost: () => void },
  ) {
    this.#place = place;
    this.#run = run;
    this.#carrier = carrier;
    this.#onLost = onLost;
    this.#timer = place.state.environment.clock.every(noteMs, () => void this.#flush());
  }

  line({ level, text }: RunLine): void {
    this.#count++;
    if (this.#count > logLineCountMax) return;
    const isLast = this.#count === logLineCountMax;
    this.#lines.push({
      seq: this.#count,
      at_ms: this.#place.state.environment.clock.wallMs(),
      level: isLast ? 'note' : level,
      text: isLast ? 'more was said than is kept here' : text,
    });
  }

  progress(progress: Progress): void {
    this.#progress = progress;
  }

  async close(): Promise<void> {
    this.#timer.stop();
    await this.#flush();
  }

  #flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#lines.length === 0 && this.#progress === undefined) return;
    const lines = this.#lines;
    const progress = this.#progress;
    this.#lines = [];
    this.#progress = undefined;
    try {
      const isOurs = await this.#place.runs.note(this.#run.id, this.#carrier, { progress, lines });
      if (!isOurs) this.#onLost();
    } catch {
      // How far it is can be lost; that the state cannot be written is told by the scheduler.
    }
  }
}
