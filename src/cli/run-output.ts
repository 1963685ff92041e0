import type { RunListener } from '../agent/host.ts';
import type { RunResult } from '../agent/execute-run.ts';
import type { OverdueDuty, PlannedDuty } from '../agent/plan-run.ts';
import type { Outcome, StepResult } from '../agent/step-result.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Problem, Progress } from '../base/monitor.ts';
import type { Duty } from '../policy/duties.ts';
import { momentText } from '../policy/zone.ts';
import { reportProblem } from './cli-monitor.ts';
import type { Invocation } from './command.ts';
import { formatSeconds } from './format.ts';
import type { JsonOutput } from './go-json.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';
import { safeText } from './safe-text.ts';

const outcomeTexts: Readonly<Record<Outcome, string>> = {
  success: 'done',
  incomplete: 'INCOMPLETE',
  failed: 'FAILED',
  waiting: 'waiting',
  cancelled: 'cancelled',
};

/** What a run says while it works: a line for each step, and each problem as it comes. */
export class RunOutput implements RunListener {
  readonly #invocation: Invocation;
  readonly #output: Output;
  #view: ProgressView<Progress> | undefined;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    this.#output = invocation.output;
  }

  started({ id }: Duty): void {
    this.#output.info(`${id} ...`);
  }

  progress(_duty: Duty, progress: Progress): void {
    if (this.#output.isJson) return;
    this.#view ??= new ProgressView<Progress>(this.#invocation, { unit: 'items' });
    this.#view.update(progress);
  }

  problem(_duty: Duty, problem: Problem): void {
    const item = this.#output.isJson ? problem.item : safeText(problem.item);
    reportProblem(this.#output, { ...problem, item });
  }

  note(_duty: Duty, text: string): void {
    this.#output.verbose(`  ${text}`);
  }

  finished(result: StepResult): void {
    this.stop();
    if (this.#output.isJson) return this.#output.json(stepJson(result));
    const { duty, outcome, summary, durationMs, error, output } = result;
    const line = `${duty.id}: ${outcomeTexts[outcome]}: ${summary}`;
    if (outcome === 'success') {
      this.#output.info(`${line} (${formatSeconds(durationMs / 1000)})`);
    } else if (outcome === 'waiting') this.#output.info(line);
    else {
      this.#output.errorLine(line);
      if (isHoldfastError(error) && error.hint) this.#output.errorLine(`  ${error.hint}`);
    }
    if (output === undefined) return;
    const isWrong = outcome === 'failed';
    for (const text of output.split('\n')) {
      if (isWrong) this.#output.errorLine(`  ${text}`);
      else this.#output.verbose(`  ${text}`);
    }
  }

  stop(): void {
    this.#view?.stop();
    this.#view = undefined;
  }
}

function stepJson(result: StepResult): JsonOutput {
  const { duty, outcome, startedMs, durationMs, attempts, summary } = result;
  return {
    message_type: 'step',
    ...dutyJson(duty),
    outcome,
    started: new Date(startedMs).toISOString(),
    seconds: durationMs / 1000,
    attempts,
    summary,
    snapshot_id: result.snapshotId,
    num_problems: result.problemCount,
    problems: result.problems.length > 0 ? [...result.problems] : undefined,
    output: result.output,
  };
}

function dutyJson(duty: Duty): { readonly [key: string]: string | undefined } {
  return {
    duty: duty.id,
    kind: duty.kind,
    source: 'sourceName' in duty ? duty.sourceName : undefined,
    repository: duty.repository,
    policy: duty.policyName,
  };
}

/** Says what a run would do, and why. */
export function printDryRun(
  output: Output,
  planned: readonly PlannedDuty[],
  overdue: readonly OverdueDuty[],
): void {
  for (const one of planned) {
    if (output.isJson) output.json(plannedJson(one));
    else output.line(`${one.duty.id}: ${one.isRun ? 'would run' : 'not now'}: ${whyText(one)}`);
  }
  for (const one of overdue) printOverdue(output, one);
}

function plannedJson(one: PlannedDuty): JsonOutput {
  return {
    message_type: 'planned',
    ...dutyJson(one.duty),
    state: one.dueness.state,
    would_run: one.isRun,
    reason: whyText(one),
  };
}

function whyText({ duty, dueness, isRun }: PlannedDuty): string {
  const at = (ms: number | undefined): string =>
    ms === undefined ? 'never' : momentText(ms, duty.schedule.zone);
  switch (dueness.state) {
    case 'due':
      return `due since ${at(dueness.slotMs + duty.schedule.jitterMs)}`;
    case 'closed':
      if (isRun) return 'asked for, outside of its windows';
      return `due, but outside of its windows until ${at(dueness.untilMs)}`;
    case 'served':
      return isRun ? 'asked for' : `next ${at(dueness.nextMs)}`;
  }
}

function printOverdue(output: Output, { duty, lastSuccessMs, overdueMs }: OverdueDuty): void {
  if (output.isJson) {
    output.json({
      message_type: 'overdue',
      ...dutyJson(duty),
      last_success: lastSuccessMs === undefined ? undefined : new Date(lastSuccessMs).toISOString(),
      since: new Date(overdueMs).toISOString(),
    });
    return;
  }
  const { zone } = duty.schedule;
  const last =
    lastSuccessMs === undefined
      ? 'it never succeeded'
      : `the last success was ${momentText(lastSuccessMs, zone)}`;
  output.errorLine(`OVERDUE: ${duty.id}: since ${momentText(overdueMs, zone)}; ${last}`);
}

/** Says what a run came to. */
export function printEnd(
  output: Output,
  planned: readonly PlannedDuty[],
  { steps, overdue, alerts }: RunResult,
): void {
  for (const one of overdue) printOverdue(output, one);
  for (const { name, error, output: text } of alerts) {
    if (!error) continue;
    if (!output.isJson) output.errorLine(`${error.message}${text === '' ? '' : `:\n${text}`}`);
    else output.jsonError({ message_type: 'error', hook: name, message: error.message });
  }
  const count = (outcome: Outcome): number =>
    steps.filter((step) => step.outcome === outcome).length;
  if (output.isJson) {
    output.json({
      message_type: 'summary',
      steps: steps.length,
      succeeded: count('success'),
      incomplete: count('incomplete'),
      failed: count('failed'),
      waiting: count('waiting'),
      overdue: overdue.length,
    });
  } else if (steps.length === 0) output.info(nothingText(planned));
}

function nothingText(planned: readonly PlannedDuty[]): string {
  const times = planned.flatMap(({ duty, dueness }) => {
    const ms =
      dueness.state === 'closed'
        ? dueness.untilMs
        : dueness.state === 'served'
          ? dueness.nextMs
          : undefined;
    return ms === undefined ? [] : [{ ms, duty }];
  });
  const next = times.toSorted((a, b) => a.ms - b.ms)[0];
  if (!next) return 'nothing is due';
  return `nothing is due; next "${next.duty.id}" ${momentText(next.ms, next.duty.schedule.zone)}`;
}

/** What the process of a run returns; says why it is not 0. */
export function exitCodeOf(output: Output, result: RunResult): number {
  const { steps, overdue, isCancelled, alerts } = result;
  if (isCancelled) {
    output.exitError(130, 'Fatal: the run was interrupted');
    return 130;
  }
  const failed = steps.filter(({ outcome }) => outcome === 'failed');
  const brokenHooks = alerts.filter(({ error }) => error !== undefined).length;
  if (failed.length + overdue.length + brokenHooks > 0) {
    const parts = [
      ...(failed.length > 0 ? [`${failed.length} of ${steps.length} steps failed`] : []),
      ...(overdue.length > 0 ? [`overdue: ${overdue.map(({ duty }) => duty.id).join(', ')}`] : []),
      ...(brokenHooks > 0 ? [`${brokenHooks} hooks failed`] : []),
    ];
    const code = overdue.length + brokenHooks > 0 ? 1 : sharedCode(failed);
    output.exitError(code, `Fatal: ${parts.join('; ')}`);
    return code;
  }
  const incomplete = steps.filter(({ outcome }) => outcome === 'incomplete');
  if (incomplete.length === 0) return 0;
  output.exitError(3, `Warning: ${incomplete.length} snapshots are incomplete`);
  return 3;
}

/** The exit code of all failures if they have the same, such as 11 for locked; else 1. */
function sharedCode(failed: readonly StepResult[]): number {
  const codes = new Set(
    failed.map(({ error }) => (isHoldfastError(error) ? error.row.exitCode : 1)),
  );
  const [only = 1] = codes;
  return codes.size === 1 ? only : 1;
}
