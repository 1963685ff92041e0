import { HoldfastError } from '../../base/errors.ts';
import { pageOf } from '../../contracts/paging.ts';
import { type SnapshotView, snapshotView } from '../../contracts/snapshot-requests.ts';
import {
  type DutyView,
  dutyView,
  type LogLineView,
  logLineView,
  type RunView,
  runView,
} from '../../contracts/views.ts';
import type { Invocation } from '../command.ts';
import type { RunsFollowFlags, RunsListFlags, RunsRestoreFlags } from '../commands/runs.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { safeText } from '../safe-text.ts';
import { parseAnswer, ServerClient } from '../server-client.ts';
import type { ServerFlags } from '../server-flags.ts';
import { type Column, formatTable } from '../table.ts';

const countDefault = 20;

const columns: readonly Column<RunView>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'Began', cell: ({ started, queued }) => minuteText(started ?? queued) },
  { title: 'Run', cell: ({ duty }) => safeText(duty) },
  { title: 'Result', cell: ({ state, outcome }) => outcome ?? state },
  { title: '', cell: ({ summary }) => safeText(summary ?? '') },
];

const snapshotColumns: readonly Column<SnapshotView>[] = [
  { title: 'ID', cell: ({ id }) => id.slice(0, 8) },
  { title: 'Time', cell: ({ time }) => minuteText(time) },
  { title: 'Host', cell: ({ host }) => safeText(host ?? '') },
  { title: 'Paths', cell: ({ paths }) => paths.map(safeText) },
  { title: '', cell: ({ complete }) => (complete ? '' : 'incomplete') },
];

const dutyColumns: readonly Column<DutyView>[] = [
  { title: 'Duty', cell: ({ id }) => safeText(id) },
  { title: 'Last success', cell: (duty) => minuteText(duty['last-success']) },
  { title: 'Next', cell: (duty) => (duty.state === 'due' ? 'now' : minuteText(duty.next)) },
  { title: '', cell: (duty) => (duty['overdue-since'] === undefined ? '' : 'overdue') },
];

/** `2027-01-31 05:10 UTC`. */
function minuteText(time: string | undefined): string {
  return time === undefined ? '' : `${time.slice(0, 16).replace('T', ' ')} UTC`;
}

/** `holdfast runs list`. */
export async function runsList(invocation: Invocation<RunsListFlags>): Promise<number> {
  const { flags, output } = invocation;
  const { state, outcome, source, count = countDefault } = flags;
  const query = new URLSearchParams({ limit: String(count) });
  for (const [name, value] of Object.entries({ state, outcome, source })) {
    if (value !== undefined) query.set(name, value);
  }
  const client = ServerClient.of(invocation);
  const { items } = await client.ask(
    { call: `GET /api/v1/runs?${query.toString()}` },
    pageOf(runView),
  );
  if (output.isJson) for (const run of items) printJson(output, 'run', run);
  else for (const line of formatTable(columns, items)) output.line(line);
  return 0;
}

/** `holdfast runs show`. */
export async function runsShow(invocation: Invocation<RunsFollowFlags>): Promise<number> {
  const { output, flags } = invocation;
  const [id = ''] = invocation.arguments;
  const client = ServerClient.of(invocation);
  const place = `GET /api/v1/runs/${encodeURIComponent(id)}`;
  if (flags.follow) {
    tellRun(output, await follow(client, output, id));
    return 0;
  }
  const run = await client.ask({ call: place }, runView);
  for (let after = 0; ; ) {
    const call = `${place}/log?limit=1000&after=${after}`;
    const { items } = await client.ask({ call }, pageOf(logLineView));
    for (const line of items) tellLine(output, line);
    const last = items.at(-1);
    if (!last) break;
    after = last.number;
  }
  tellRun(output, run);
  return 0;
}

/** `holdfast runs start`. */
export async function runsStart(invocation: Invocation<RunsFollowFlags>): Promise<number> {
  const { output } = invocation;
  const [duty] = invocation.arguments;
  const client = ServerClient.of(invocation);
  if (duty === undefined) {
    const duties = await client.all('/api/v1/duties', dutyView);
    if (output.isJson) for (const one of duties) printJson(output, 'duty', one);
    else for (const line of formatTable(dutyColumns, duties)) output.line(line);
    return 0;
  }
  const run = await client.ask({ call: 'POST /api/v1/runs', body: { duty } }, runView);
  return tellStarted(invocation, client, run);
}

/** Follows a run that was asked for, if that was, too. @returns its exit code */
async function tellStarted(
  { output, flags }: Invocation<RunsFollowFlags>,
  client: ServerClient,
  run: RunView,
): Promise<number> {
  if (!flags.follow) {
    if (output.isJson) printJson(output, 'run', run);
    else output.line(run.id);
    return 0;
  }
  const ended = await follow(client, output, run.id);
  tellRun(output, ended);
  if (ended.outcome === 'success') return 0;
  return ended.outcome === 'incomplete' ? 3 : 1;
}

/** `holdfast runs restore`. */
export async function runsRestore(invocation: Invocation<RunsRestoreFlags>): Promise<number> {
  const { output, flags } = invocation;
  const [repository = '', snapshot] = invocation.arguments;
  const client = ServerClient.of(invocation);
  const place = `/api/v1/repositories/${encodeURIComponent(repository)}`;
  if (snapshot === undefined) {
    const snapshots = await client.all(`${place}/snapshots`, snapshotView);
    if (output.isJson) for (const one of snapshots) printJson(output, 'snapshot', one);
    else for (const line of formatTable(snapshotColumns, snapshots)) output.line(line);
    return 0;
  }
  const { target, path } = flags;
  if (target === undefined)
    throw usage('it is not known where to', 'Name a new folder with --target.');
  const body = { snapshot, target, ...(path === undefined ? {} : { path }) };
  const run = await client.ask({ call: `POST ${place}/restores`, body }, runView);
  return tellStarted(invocation, client, run);
}

/** `holdfast runs cancel`. */
export async function runsCancel(invocation: Invocation<ServerFlags>): Promise<number> {
  const [id = ''] = invocation.arguments;
  const client = ServerClient.of(invocation);
  const call = `POST /api/v1/runs/${encodeURIComponent(id)}/cancel`;
  const run = await client.ask({ call }, runView);
  invocation.output.info(run.state === 'ended' ? 'cancelled' : 'it ends within five seconds');
  return 0;
}

/** Prints the log of a run as it grows. @returns the run when it has ended */
async function follow(client: ServerClient, output: Output, id: string): Promise<RunView> {
  const call = `GET /api/v1/runs/${encodeURIComponent(id)}/events`;
  for await (const { event, data } of client.events({ call })) {
    if (event === 'log') tellLine(output, parseAnswer(logLineView, data));
    if (event !== 'run') continue;
    const run = parseAnswer(runView, data);
    if (run.state === 'ended') return run;
  }
  throw new HoldfastError('BACKEND_UNAVAILABLE', {
    message: 'the server told nothing more of the run',
    hint: `Look at it again with "holdfast runs show ${id}".`,
  });
}

function tellLine(output: Output, line: LogLineView): void {
  if (output.isJson) printJson(output, 'log', line);
  else output.line(`${line.at.slice(11, 19)}  ${safeText(line.text)}`);
}

function tellRun(output: Output, run: RunView): void {
  if (output.isJson) return printJson(output, 'run', run);
  for (const problem of run.problems ?? []) output.line(`problem: ${safeText(problem)}`);
  const more = run['problem-count'] - (run.problems?.length ?? 0);
  if (more > 0) output.line(`and ${more} more problems`);
  const why = run.reason === 'person' ? `asked for by ${safeText(run['started-by'])}` : run.reason;
  const how = run.outcome ?? run.state;
  output.line(`${safeText(run.duty)} (${why}): ${how}. ${safeText(run.summary ?? '')}`.trimEnd());
}

function printJson(output: Output, kind: string, value: object): void {
  output.line(JSON.stringify({ message_type: kind, ...value }));
}
