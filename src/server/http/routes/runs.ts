import { overdueDuties } from '../../../agent/plan-run.ts';
import type { DutyRecord } from '../../../agent/memory.ts';
import { HoldfastError } from '../../../base/errors.ts';
import { harmlessLine } from '../../../base/harmless-text.ts';
import type { Progress } from '../../../base/monitor.ts';
import { type PageOf, pageOf, pageQuery } from '../../../contracts/paging.ts';
import {
  alertQuery,
  logQuery,
  type RunOutcome,
  runPath,
  runQuery,
  runRequestSchema,
} from '../../../contracts/run-requests.ts';
import type { RestoreRequest } from '../../../contracts/snapshot-requests.ts';
import {
  type AlertView,
  alertView,
  type DutyView,
  dutyView,
  type LogLineView,
  logLineView,
  type ProgressView,
  type RunView,
  runView,
} from '../../../contracts/views.ts';
import { type Duty, dutiesOf } from '../../../policy/duties.ts';
import { duenessOf } from '../../../policy/schedule.ts';
import { storedJson } from '../../state/json.ts';
import type { AlertRow, RunLogRow, RunRow } from '../../state/tables.ts';
import { pageAnswer, pageFrom, timeOrNone, timeText } from '../paging.ts';
import { eventRoute, jsonRoute, type Route, type ServerEvent } from '../route.ts';
import type { Services } from '../services.ts';
import { known } from './accounts.ts';

/** How often it is looked whether a run that somebody follows has changed, in milliseconds. */
const followMs = 500;

/** Lines of a log in one answer where nothing is said. */
const logSizeDefault = 200;

/** Duties, runs and alerts. */
export const runRoutes: readonly Route[] = [
  jsonRoute({
    method: 'GET',
    path: '/api/v1/duties',
    access: 'read',
    summary: 'List duties: what must be done again and again, and when each succeeded last',
    query: pageQuery,
    answer: pageOf(dutyView),
    handle: async ({ query, services }) => listDuties(services, pageFrom(query)),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/runs',
    access: 'read',
    summary: 'List runs, the newest first',
    query: runQuery,
    answer: pageOf(runView),
    handle: async ({ query, services }) => {
      const page = pageFrom(query);
      const rows = await services.runs.list(query, page);
      return pageAnswer(rows, page, { keyOf: ({ id }) => id, view: viewRun });
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/runs',
    access: 'run',
    summary: 'Run a duty now, also outside of its windows',
    body: runRequestSchema,
    answer: runView,
    status: 201,
    handle: async ({ body, services, identity, change }) => {
      const { environment, estate, runs, control } = services;
      const nowMs = environment.clock.wallMs();
      const duty = dutiesOf(await estate.load(), nowMs).find(({ id }) => id === body.duty);
      if (!duty) throw new HoldfastError('NOT_THERE', { message: 'there is no such duty' });
      const slotMs = duty.schedule.slots.last(nowMs - duty.schedule.jitterMs) ?? nowMs;
      const startedBy = known(identity).actor;
      const run = await change({ action: 'start-run', object: duty.id }, async (db) => {
        const id = await runs.add(db, { duty, slotMs, reason: 'person', startedBy, attempt: 1 });
        return runs.get(id, db);
      });
      control.poke();
      return viewRun(run);
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/runs/{id}',
    access: 'read',
    summary: 'One run',
    parameters: runPath,
    answer: runView,
    handle: async ({ path: { id }, services }) => viewRun(await services.runs.get(id)),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/runs/{id}/cancel',
    access: 'run',
    summary: 'Cancel a run: one under way ends within five seconds',
    parameters: runPath,
    answer: runView,
    handle: async ({ path: { id }, services, identity, change }) => {
      const { runs, control } = services;
      const { actor } = known(identity);
      const run = await change({ action: 'cancel-run', object: id }, async (db) => {
        const { state } = await runs.get(id, db);
        if (state === 'ended') {
          throw new HoldfastError('STATE_CONFLICT', { message: 'the run has ended' });
        }
        return runs.cancel(db, id, actor);
      });
      control.cancel(id);
      return viewRun(run);
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/runs/{id}/log',
    access: 'read',
    summary: 'The log of a run, in order',
    parameters: runPath,
    query: logQuery,
    answer: pageOf(logLineView),
    handle: async ({ path: { id }, query, services }) => {
      await services.runs.get(id);
      const { limit = logSizeDefault, after } = query;
      const rows = await services.runs.log(id, { after, limit });
      return { items: rows.map(viewLine) };
    },
  }),
  eventRoute({
    method: 'GET',
    path: '/api/v1/runs/{id}/events',
    access: 'read',
    summary: 'Follow a run: events "run" and "log" until it has ended',
    parameters: runPath,
    handle: async ({ path: { id }, services, signal }) => {
      await services.runs.get(id);
      return followRun(services, id, signal);
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/alerts',
    access: 'read',
    summary: 'List what is wrong, and what was',
    query: alertQuery,
    answer: pageOf(alertView),
    handle: async ({ query, services }) => {
      const page = pageFrom(query);
      const isOpen = query.state === undefined ? undefined : query.state === 'open';
      const rows = await services.alerts.list({ isOpen }, page);
      return pageAnswer(rows, page, { keyOf: ({ id }) => id, view: viewAlert });
    },
  }),
];

/** Tells a run and its log whenever they change, whichever server carries it out, until it has ended. */
async function* followRun(
  { runs, environment }: Services,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  let revision = 0;
  let after = 0;
  for (;;) {
    const run = await runs.get(id);
    const lines = await runs.log(id, { after, limit: logSizeDefault });
    for (const line of lines) {
      after = line.seq;
      yield { id: String(line.seq), event: 'log', data: viewLine(line) };
    }
    if (lines.length === logSizeDefault) continue;
    if (run.revision !== revision) {
      revision = run.revision;
      yield { event: 'run', data: viewRun(run) };
    }
    if (run.state === 'ended') return;
    await environment.clock.sleep(followMs, signal);
  }
}

async function listDuties(
  { environment, estate, runs }: Services,
  page: { readonly after: string | undefined; readonly limit: number },
): Promise<PageOf<DutyView>> {
  const nowMs = environment.clock.wallMs();
  const all = dutiesOf(await estate.load(), nowMs).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const rest = all.filter(({ id }) => page.after === undefined || id > page.after);
  const shown = rest.slice(0, page.limit);
  const records = await runs.duties();
  const overdue = overdueDuties(shown, { load: (id) => records.get(id) }, nowMs);
  const lateMs = new Map(overdue.map(({ duty, overdueMs }) => [duty.id, overdueMs]));
  return pageAnswer(shown, page, {
    keyOf: ({ id }) => id,
    view: (duty) =>
      viewDuty(duty, { record: records.get(duty.id), overdueMs: lateMs.get(duty.id), nowMs }),
  });
}

function viewDuty(
  duty: Duty,
  {
    record,
    overdueMs,
    nowMs,
  }: {
    readonly record: DutyRecord | undefined;
    readonly overdueMs: number | undefined;
    readonly nowMs: number;
  },
): DutyView {
  const dueness = duenessOf(duty.schedule, record?.servedMs, nowMs);
  const nextMs =
    dueness.state === 'due'
      ? undefined
      : dueness.state === 'closed'
        ? dueness.untilMs
        : dueness.nextMs;
  const failure = record?.lastFailure;
  return {
    id: duty.id,
    kind: duty.kind,
    ...('sourceName' in duty ? { source: duty.sourceName } : {}),
    policy: duty.policyName,
    repository: duty.repository,
    state: dueness.state,
    next: timeOrNone(nextMs),
    'last-success': timeOrNone(record?.lastSuccessMs),
    ...(failure
      ? { 'last-failure': { at: timeText(failure.atMs), message: failure.message } }
      : {}),
    'overdue-since': timeOrNone(overdueMs),
  };
}

/** A run as an answer has it. */
export function viewRun(run: RunRow): RunView {
  const { id, duty, kind, repository, attempt, state } = run;
  return {
    id,
    duty,
    kind,
    repository,
    attempt,
    state,
    source: run.source ?? undefined,
    restore: run.request === null ? undefined : storedJson<RestoreRequest>(run.request),
    slot: timeText(run.slot_ms),
    reason: run.reason as RunView['reason'],
    'started-by': run.started_by,
    outcome: (run.outcome ?? undefined) as RunOutcome | undefined,
    queued: timeText(run.queued_ms),
    started: timeOrNone(run.started_ms),
    ended: timeOrNone(run.ended_ms),
    summary: run.summary === null ? undefined : harmlessLine(run.summary),
    progress: run.progress === null ? undefined : viewProgress(storedJson<Progress>(run.progress)),
    problems: run.problems === null ? undefined : storedJson<string[]>(run.problems),
    'problem-count': run.problem_count,
    'snapshot-id': run.snapshot_id ?? undefined,
    'error-code': run.error_code ?? undefined,
    'cancelled-by': run.cancelled_by ?? undefined,
  };
}

function viewProgress(progress: Progress): ProgressView {
  return {
    'files-done': progress.filesDone,
    'files-total': progress.filesTotal,
    'bytes-done': progress.bytesDone,
    'bytes-total': progress.bytesTotal,
    'current-items': progress.currentItems,
  };
}

function viewLine({ seq, at_ms, level, text }: RunLogRow): LogLineView {
  return { number: seq, at: timeText(at_ms), level, text: harmlessLine(text) };
}

function viewAlert({ id, object, message, first_ms, last_ms, resolved_ms }: AlertRow): AlertView {
  return {
    id,
    kind: 'overdue',
    object,
    message,
    first: timeText(first_ms),
    last: timeText(last_ms),
    resolved: timeOrNone(resolved_ms),
  };
}
