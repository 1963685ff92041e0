import { cancelled } from '../base/abort.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { lengthMs } from '../contracts/durations.ts';
import type { Duty } from '../policy/duties.ts';
import type { AgentRun } from './host.ts';
import { type HookResult, runHook } from './hooks.ts';
import type { DutyRecord } from './memory.ts';
import { sourceHost } from './source-snapshots.ts';
import { type Outcome, ProblemList, type StepReport, type StepResult } from './step-result.ts';
import { backupStep } from './steps/backup-step.ts';
import { copyStep } from './steps/copy-step.ts';
import { drillStep, isNoneOfDrill } from './steps/drill-step.ts';
import { StepMonitor } from './steps/monitor.ts';
import { pruneStep } from './steps/prune-step.ts';
import { retentionStep } from './steps/retention-step.ts';
import { verifyStep } from './steps/verify-step.ts';

/** How what may pass is tried again where a policy does not say. */
const retriesDefault = { times: 2, wait: '1m' } as const;

/** Longest pause between two tries, in milliseconds. */
const pauseMsMax = 3_600_000;

/**
 * Carries out a duty once: hooks, the work itself with its retries, and what is to be remembered. Never throws for what goes
 * wrong with the duty: that is in the result.
 *
 * @param slotMs the slot that it serves if it succeeds
 */
export async function performDuty(run: AgentRun, duty: Duty, slotMs: number): Promise<StepResult> {
  const { host, memory } = run;
  const { clock } = host.environment;
  const startedMs = clock.wallMs();
  const monotonicMs = clock.monotonicMs();
  const record = memory.load(duty.id) ?? { sinceMs: startedMs };
  memory.save(duty.id, record);
  host.listener.started(duty);
  const step = await tryStep(run, duty);
  const result: StepResult = {
    duty,
    startedMs,
    durationMs: Math.round(clock.monotonicMs() - monotonicMs),
    ...step.result,
  };
  memory.save(duty.id, recordAfter(record, result, { slotMs, report: step.report }));
  host.listener.finished(result);
  return result;
}

interface Tried {
  readonly result: Omit<StepResult, 'duty' | 'startedMs' | 'durationMs'>;
  readonly report: StepReport | undefined;
}

/** Before-hooks, the work, after-hooks. */
async function tryStep(run: AgentRun, duty: Duty): Promise<Tried> {
  const before = duty.kind === 'backup' ? await hooksOf(run, duty, { when: 'before' }) : [];
  const refused = before.find(({ error }) => error !== undefined);
  const tried = refused
    ? failedBy(refused.error, { attempts: 0, problems: new ProblemList(), away: false })
    : await withRetries(run, duty);
  if (duty.kind !== 'backup') return tried;
  const after = await hooksOf(run, duty, { when: 'after', result: tried.result });
  const output = [...before, ...after].map(outputText).filter((text) => text !== '');
  const failure = after.find(({ error }) => error !== undefined)?.error;
  const result = {
    ...tried.result,
    ...(output.length > 0 ? { output: output.join('\n') } : {}),
    // What is stored is stored; but something that was to be done after it was not.
    ...(failure && tried.result.outcome === 'success'
      ? { outcome: 'failed' as const, summary: describeError(failure), error: failure }
      : {}),
  };
  return { ...tried, result };
}

function outputText({ name, output }: HookResult): string {
  return output === '' ? '' : `${name}:\n${output}`;
}

async function withRetries(run: AgentRun, duty: Duty): Promise<Tried> {
  const { environment, signal } = run.host;
  const { times, wait } = duty.policy.retries ?? retriesDefault;
  for (let attempts = 1; ; attempts++) {
    const problems = new ProblemList();
    const monitor = new StepMonitor(
      duty,
      { listener: run.host.listener, problems },
      duty.kind === 'drill' ? isNoneOfDrill : undefined,
    );
    try {
      const report = await work(run, duty, monitor);
      return { result: { ...ended(duty, report, problems), attempts }, report };
    } catch (error) {
      const away = isAway(run, duty, error);
      const mayPass = isHoldfastError(error) && error.row.retry !== 'never' && !away;
      if (!mayPass || attempts > times || signal.aborted) {
        return failedBy(signal.aborted ? cancelled(signal) : error, { attempts, problems, away });
      }
      const pauseMs = Math.min(lengthMs(wait) * 2 ** (attempts - 1), pauseMsMax);
      monitor.note(`${describeError(error)}: trying again in ${Math.round(pauseMs / 1000)} s`);
      try {
        await environment.clock.sleep(pauseMs, signal);
      } catch (stop) {
        return failedBy(stop, { attempts, problems, away: false });
      }
    }
  }
}

function work(run: AgentRun, duty: Duty, monitor: StepMonitor): Promise<StepReport> {
  switch (duty.kind) {
    case 'backup':
      return backupStep(run, duty, monitor);
    case 'retention':
      return retentionStep(run, duty, monitor);
    case 'copy':
      return copyStep(run, duty, monitor);
    case 'prune':
      return pruneStep(run, duty, monitor);
    case 'verify':
      return verifyStep(run, duty, monitor);
    case 'drill':
      return drillStep(run, duty, monitor);
  }
}

/** What a step that did not throw came to. */
function ended(
  duty: Duty,
  report: StepReport,
  problems: ProblemList,
): Omit<StepResult, 'duty' | 'startedMs' | 'durationMs' | 'attempts'> {
  const hasProblems = problems.count > 0;
  // A snapshot that lacks something is there and is used; all other work with problems is not done.
  const withProblems: Outcome = duty.kind === 'backup' ? 'incomplete' : 'failed';
  const outcome = report.failed ? 'failed' : hasProblems ? withProblems : 'success';
  return {
    outcome,
    summary: report.summary,
    problems: problems.named,
    problemCount: problems.count,
    snapshotId: report.snapshotId,
  };
}

function failedBy(
  error: unknown,
  how: { readonly attempts: number; readonly problems: ProblemList; readonly away: boolean },
): Tried {
  const isCancelled = isHoldfastError(error, 'CANCELLED');
  const outcome = isCancelled ? 'cancelled' : how.away ? 'waiting' : 'failed';
  const result = {
    outcome,
    attempts: how.attempts,
    summary: describeError(error),
    problems: how.problems.named,
    problemCount: how.problems.count,
    error,
  } as const;
  return { result, report: undefined };
}

/** True if the error says that a removable store is not there now. */
function isAway({ estate }: AgentRun, duty: Duty, error: unknown): boolean {
  if (!isHoldfastError(error, 'REPOSITORY_NOT_FOUND', 'BACKEND_UNAVAILABLE')) return false;
  const places = duty.kind === 'copy' ? [duty.repository, duty.from] : [duty.repository];
  return places.some((name) => estate.repositories[name]?.removable);
}

function recordAfter(
  record: DutyRecord,
  result: StepResult,
  done: { readonly slotMs: number; readonly report: StepReport | undefined },
): DutyRecord {
  const { outcome, startedMs, durationMs, summary } = result;
  const atMs = startedMs + durationMs;
  const { report } = done;
  const progress = {
    ...(report?.verify ? { verify: report.verify } : {}),
    ...(report?.drillCount === undefined ? {} : { drillCount: report.drillCount }),
  };
  if (outcome === 'success') {
    const { lastFailure: _, ...rest } = record;
    return { ...rest, ...progress, servedMs: done.slotMs, lastSuccessMs: atMs };
  }
  if (outcome === 'waiting' || outcome === 'cancelled') return record;
  const lastFailure = { atMs, message: summary };
  // An incomplete snapshot serves its slot, for the next try would lack the same; but it is no success.
  const served = outcome === 'incomplete' ? { servedMs: done.slotMs } : {};
  return { ...record, ...progress, ...served, lastFailure };
}

/** Runs the hooks of a backup; the first of those before it that fails ends them. */
async function hooksOf(
  run: AgentRun,
  duty: Duty & { readonly kind: 'backup' },
  { when, result }: { readonly when: 'before' | 'after'; readonly result?: Tried['result'] },
): Promise<HookResult[]> {
  const { source, sourceName, repository } = duty;
  const results: HookResult[] = [];
  const outcome = result?.outcome;
  const facts = {
    when,
    source: sourceName,
    host: sourceHost(source),
    repository,
    ...(outcome === undefined ? {} : { result: outcome }),
    ...(result?.snapshotId === undefined ? {} : { snapshot: result.snapshotId }),
  };
  for (const name of source.hooks?.[when] ?? []) {
    const entry = run.estate.hooks?.[name];
    if (!entry) throw new HoldfastError('USAGE', { message: `there is no hook "${name}"` });
    const context = { variables: variablesOf(facts), json: { ...facts, summary: result?.summary } };
    const ended = await runHook(name, entry, { host: run.host, context });
    results.push(ended);
    if (ended.error && when === 'before') break;
  }
  return results;
}

/** Facts as variables: `HOLDFAST_SOURCE`. */
export function variablesOf(facts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [name.toUpperCase(), value]),
  );
}
