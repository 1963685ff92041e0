import { HoldfastError } from '../base/errors.ts';
import type { Duty } from '../policy/duties.ts';
import type { AgentRun } from './host.ts';
import { type HookResult, runHook } from './hooks.ts';
import { performDuty, variablesOf } from './perform-duty.ts';
import { type OverdueDuty, overdueDuties, type PlannedDuty } from './plan-run.ts';
import type { StepResult } from './step-result.ts';

/** What a run came to. */
export interface RunResult {
  /** Of what was to run and was begun, in that order. */
  readonly steps: readonly StepResult[];
  /** Duties of the run that are overdue after it. */
  readonly overdue: readonly OverdueDuty[];
  readonly isCancelled: boolean;
  /** Of the hooks for failures that were run. */
  readonly alerts: readonly HookResult[];
}

/**
 * Carries out what was planned, one after the other: what goes wrong with one does not keep the others. Then runs the hooks for
 * failures, if there were any.
 */
export async function executeRun(
  run: AgentRun,
  planned: readonly PlannedDuty[],
): Promise<RunResult> {
  const { host, memory } = run;
  const { clock } = host.environment;
  // From now on each is expected to succeed.
  for (const { duty } of planned) {
    if (!memory.load(duty.id)) memory.save(duty.id, { sinceMs: clock.wallMs() });
  }
  const steps: StepResult[] = [];
  for (const { duty, slotMs } of planned.filter(({ isRun }) => isRun)) {
    if (host.signal.aborted) break;
    steps.push(await performDuty(run, duty, slotMs));
  }
  const duties = planned.map(({ duty }) => duty);
  const overdue = overdueDuties(duties, memory, clock.wallMs());
  const isCancelled = host.signal.aborted;
  const alerts = isCancelled ? [] : await alert(run, steps, overdue);
  return { steps, overdue, isCancelled, alerts };
}

function isWrong({ outcome }: StepResult): boolean {
  return outcome === 'failed' || outcome === 'incomplete';
}

function sourceOf(duty: Duty): string | undefined {
  return 'sourceName' in duty ? duty.sourceName : undefined;
}

/** Runs `on-failure` of each source in which something went wrong, and then that of the estate. */
async function alert(
  run: AgentRun,
  steps: readonly StepResult[],
  overdue: readonly OverdueDuty[],
): Promise<HookResult[]> {
  const { sources } = run.estate;
  const results: HookResult[] = [];
  for (const [name, source] of Object.entries(sources)) {
    const wrong = steps.filter((step) => isWrong(step) && sourceOf(step.duty) === name);
    const late = overdue.filter(({ duty }) => sourceOf(duty) === name);
    const hooks = source.hooks?.['on-failure'] ?? [];
    if (wrong.length + late.length > 0) {
      results.push(...(await runAll(run, hooks, factsOf({ steps: wrong, overdue: late }, name))));
    }
  }
  const wrong = steps.filter(isWrong);
  if (wrong.length + overdue.length === 0) return results;
  const hooks = run.estate['on-failure'] ?? [];
  return [...results, ...(await runAll(run, hooks, factsOf({ steps: wrong, overdue })))];
}

interface AlertFacts {
  readonly variables: Readonly<Record<string, string>>;
  readonly json: unknown;
}

function factsOf(
  { steps, overdue }: Pick<RunResult, 'steps' | 'overdue'>,
  source?: string,
): AlertFacts {
  const what = [
    ...steps.map(({ duty, summary }) => `${duty.id}: ${summary}`),
    ...overdue.map(({ duty }) => `${duty.id}: overdue`),
  ];
  const facts = { when: 'on-failure', ...(source === undefined ? {} : { source }) };
  return {
    variables: variablesOf({ ...facts, message: what.join('\n') }),
    json: {
      ...facts,
      steps: steps.map(({ duty, outcome, summary, problems }) => ({
        duty: duty.id,
        outcome,
        summary,
        problems,
      })),
      overdue: overdue.map(({ duty, lastSuccessMs }) => ({
        duty: duty.id,
        ...(lastSuccessMs === undefined
          ? {}
          : { last_success: new Date(lastSuccessMs).toISOString() }),
      })),
    },
  };
}

async function runAll(
  { host, estate }: AgentRun,
  names: readonly string[],
  context: AlertFacts,
): Promise<HookResult[]> {
  const results: HookResult[] = [];
  for (const name of names) {
    const entry = estate.hooks?.[name];
    if (!entry) throw new HoldfastError('USAGE', { message: `there is no hook "${name}"` });
    results.push(await runHook(name, entry, { host, context }));
  }
  return results;
}
