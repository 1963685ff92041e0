import type { DutyRecord } from '../../agent/memory.ts';
import { randomBytes } from '../../base/random.ts';
import type { Duty } from '../../policy/duties.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreRequest } from '../../contracts/snapshot-requests.ts';
import type { RunOutcome } from '../../contracts/run-requests.ts';
import { storedJson } from './json.ts';
import type { Page } from './estate-store.ts';
import type { State } from './state.ts';
import type { Queries, RunLogRow, RunRow } from './tables.ts';

/** Why a run was made. */
export type RunReason = 'schedule' | 'retry' | 'person';

/** A run that is to be made. */
export interface NewRun {
  readonly duty: Duty;
  readonly slotMs: number;
  readonly reason: RunReason;
  readonly startedBy: string;
  readonly attempt: number;
}

/** Who carries out a run: what it writes counts only as long as its lease does. */
export interface Carrier {
  readonly server: string;
  readonly fence: number;
}

/** How a run ended. */
export interface RunEnd {
  readonly outcome: RunOutcome;
  readonly summary: string;
  readonly problems: readonly string[];
  readonly problemCount: number;
  readonly snapshotId?: string | undefined;
  readonly errorCode?: string | undefined;
  /** What is remembered of the duty from now on. */
  readonly record?: DutyRecord | undefined;
}

/** Which runs are listed. */
export interface RunFilter {
  readonly state?: RunRow['state'] | undefined;
  readonly source?: string | undefined;
  readonly duty?: string | undefined;
  readonly outcome?: string | undefined;
}

/** Runs that wait which are looked through for one that can start. */
const queuedLookedThroughMax = 500;

/** What starts first: what somebody waits for. */
const priorities = { restore: 0, person: 10, schedule: 20 } as const;

/** Lines of the log of one run that are kept; the rest is counted. */
export const logLineCountMax = 10_000;

/** How long logs of runs are kept, and runs: longer than any slot is away from the next. */
const logKeptMs = 90 * 86_400_000;
const runKeptMs = 400 * 86_400_000;

/** Repositories that a duty works on. */
export function resourcesOf(duty: Duty): string[] {
  return duty.kind === 'copy' ? [duty.repository, duty.from].toSorted() : [duty.repository];
}

/** Runs, the slots that they serve, and what is remembered of duties. */
export class RunStore {
  readonly #state: State;
  #made = { ms: 0, count: 0 };

  constructor(state: State) {
    this.#state = state;
  }

  /**
   * Makes a run that serves a slot, unless the slot has one for this attempt already, from whichever server.
   * @returns its id, or undefined if another was first
   */
  claim(run: NewRun): Promise<string | undefined> {
    return this.#state.transaction(async (db) => {
      const id = this.#newId();
      const { duty, slotMs, attempt } = run;
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('slots')
        .values({ duty: duty.id, slot_ms: slotMs, attempt, run: id })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows !== 1n) return undefined;
      await this.#insert(db, id, run);
      return id;
    });
  }

  /** Makes a run that somebody asked for. @throws STATE_CONFLICT if one of the same duty waits already */
  async add(db: Queries, run: NewRun): Promise<string> {
    const waiting = await db
      .selectFrom('runs')
      .select('id')
      .where('duty', '=', run.duty.id)
      .where('state', '=', 'queued')
      .executeTakeFirst();
    if (waiting) {
      throw new HoldfastError('STATE_CONFLICT', {
        message: 'a run of it waits already',
        details: { run: waiting.id },
      });
    }
    const id = this.#newId();
    await this.#insert(db, id, run);
    return id;
  }

  async #insert(db: Queries, id: string, run: NewRun): Promise<void> {
    const { duty, slotMs, reason, startedBy, attempt } = run;
    await db
      .insertInto('runs')
      .values({
        id,
        duty: duty.id,
        kind: duty.kind,
        source: 'sourceName' in duty ? duty.sourceName : null,
        repository: duty.repository,
        resources: JSON.stringify(resourcesOf(duty)),
        priority: reason === 'person' ? priorities.person : priorities.schedule,
        slot_ms: slotMs,
        reason,
        started_by: startedBy,
        attempt,
        state: 'queued',
        queued_ms: this.#nowMs(),
        problem_count: 0,
        revision: 1,
      })
      .execute();
  }

  /** Makes a restore, which starts before everything else and beside everything. @returns the run */
  async addRestore(
    db: Queries,
    restore: {
      readonly repository: string;
      readonly request: RestoreRequest;
      readonly startedBy: string;
    },
  ): Promise<RunRow> {
    const { repository, request, startedBy } = restore;
    const id = this.#newId();
    const now = this.#nowMs();
    await db
      .insertInto('runs')
      .values({
        id,
        duty: `restore from ${repository}`,
        kind: 'restore',
        source: null,
        repository,
        // Locks of the repository itself keep it apart from what would remove what it reads.
        resources: '[]',
        request: JSON.stringify(request),
        priority: priorities.restore,
        slot_ms: now,
        reason: 'person',
        started_by: startedBy,
        attempt: 1,
        state: 'queued',
        queued_ms: now,
        problem_count: 0,
        revision: 1,
      })
      .execute();
    return this.get(id, db);
  }

  /** The last attempt at a slot, if there was one. */
  async lastAttempt(dutyId: string, slotMs: number): Promise<RunRow | undefined> {
    return this.#state.db
      .selectFrom('runs')
      .innerJoin('slots', 'slots.run', 'runs.id')
      .selectAll('runs')
      .where('slots.duty', '=', dutyId)
      .where('slots.slot_ms', '=', slotMs)
      .orderBy('slots.attempt', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  /**
   * Starts the first run that waits and whose repositories nobody works on. Runs that share one keep their order.
   * @param kind of this kind alone
   * @returns the run, now of `carrier`, or undefined if none can start
   */
  async startNext(carrier: Carrier, kind?: 'restore'): Promise<RunRow | undefined> {
    const [queued, busy] = await Promise.all([
      this.#state.db
        .selectFrom('runs')
        .selectAll()
        .where('state', '=', 'queued')
        .$if(kind !== undefined, (query) => query.where('kind', '=', kind ?? ''))
        // However many wait for one repository, those of another are looked at.
        .where((build) =>
          build.or([
            build('kind', '=', 'restore'),
            build('repository', 'not in', build.selectFrom('busy').select('resource')),
          ]),
        )
        .orderBy('priority')
        .orderBy('id')
        .limit(queuedLookedThroughMax)
        .execute(),
      this.#state.db.selectFrom('busy').select('resource').execute(),
    ]);
    const taken = new Set(busy.map(({ resource }) => resource));
    for (const run of queued) {
      const resources = storedJson<string[]>(run.resources);
      const isFree = resources.every((resource) => !taken.has(resource));
      for (const resource of resources) taken.add(resource);
      if (!isFree) continue;
      const started = await this.#start(run, resources, carrier);
      if (started) return started;
    }
    return undefined;
  }

  /** @returns undefined if another server was first */
  #start(
    run: RunRow,
    resources: readonly string[],
    { server, fence }: Carrier,
  ): Promise<RunRow | undefined> {
    return this.#state
      .transaction(async (db) => {
        const started = await db
          .updateTable('runs')
          .set({
            state: 'running',
            started_ms: this.#nowMs(),
            server,
            fence,
            revision: run.revision + 1,
          })
          .where('id', '=', run.id)
          .where('state', '=', 'queued')
          .returningAll()
          .executeTakeFirst();
        if (!started) return undefined;
        for (const resource of resources) {
          const { numInsertedOrUpdatedRows } = await db
            .insertInto('busy')
            .values({ resource, run: run.id })
            .onConflict((conflict) => conflict.doNothing())
            .executeTakeFirstOrThrow();
          if (numInsertedOrUpdatedRows !== 1n) throw new Taken();
        }
        return started;
      })
      .catch((error: unknown) => {
        if (error instanceof Taken) return undefined;
        throw error;
      });
  }

  /** Notes how far a run is. @returns false if the carrier does not have it any more */
  note(
    id: string,
    { server, fence }: Carrier,
    news: { readonly progress: unknown; readonly lines: readonly Omit<RunLogRow, 'run'>[] },
  ): Promise<boolean> {
    return this.#state.transaction(async (db) => {
      const progress =
        news.progress === undefined ? {} : { progress: JSON.stringify(news.progress) };
      const { numUpdatedRows } = await db
        .updateTable('runs')
        .set(({ eb }) => ({ ...progress, revision: eb('revision', '+', 1) }))
        .where('id', '=', id)
        .where('server', '=', server)
        .where('fence', '=', fence)
        .where('state', '=', 'running')
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      if (news.lines.length > 0) {
        await db
          .insertInto('run_logs')
          .values(news.lines.map((line) => ({ run: id, ...line })))
          .execute();
      }
      return true;
    });
  }

  /** Ends a run, with what is remembered of its duty. @returns false if the carrier did not have it any more: nothing is changed then */
  end(run: RunRow, { server, fence }: Carrier, end: RunEnd): Promise<boolean> {
    return this.#state.transaction(async (db) => {
      const { numUpdatedRows } = await db
        .updateTable('runs')
        .set(({ eb }) => ({ ...endColumns(end, this.#nowMs()), revision: eb('revision', '+', 1) }))
        .where('id', '=', run.id)
        .where('server', '=', server)
        .where('fence', '=', fence)
        .where('state', '=', 'running')
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      await db.deleteFrom('busy').where('run', '=', run.id).execute();
      if (end.record) await saveDuty(db, run.duty, end.record);
      return true;
    });
  }

  /** Ends what a server had under way that is gone. @returns how many runs that were */
  async interrupt(db: Queries, server: string): Promise<number> {
    const end: RunEnd = {
      outcome: 'interrupted',
      summary: 'the server ended while it ran',
      problems: [],
      problemCount: 0,
      errorCode: 'RUN_INTERRUPTED',
    };
    const runs = await db
      .updateTable('runs')
      .set(({ eb }) => ({ ...endColumns(end, this.#nowMs()), revision: eb('revision', '+', 1) }))
      .where('server', '=', server)
      .where('state', '=', 'running')
      .returning('id')
      .execute();
    for (const { id } of runs) await db.deleteFrom('busy').where('run', '=', id).execute();
    return runs.length;
  }

  /** Asks for the end of a run; one that waits ends at once. @returns the run as it is now; NOT_THERE */
  async cancel(db: Queries, id: string, who: string): Promise<RunRow> {
    const now = this.#nowMs();
    const asked = { cancel_ms: now, cancelled_by: who };
    const end = endColumns(
      { outcome: 'cancelled', summary: 'cancelled before it began', problems: [], problemCount: 0 },
      now,
    );
    await db
      .updateTable('runs')
      .set(({ eb }) => ({ ...asked, ...end, revision: eb('revision', '+', 1) }))
      .where('id', '=', id)
      .where('state', '=', 'queued')
      .execute();
    await db
      .updateTable('runs')
      .set(({ eb }) => ({ ...asked, revision: eb('revision', '+', 1) }))
      .where('id', '=', id)
      .where('state', '=', 'running')
      .where('cancel_ms', 'is', null)
      .execute();
    return this.get(id, db);
  }

  /** Runs of a server that somebody asked to end. */
  async cancelled({ server }: Carrier): Promise<string[]> {
    const rows = await this.#state.db
      .selectFrom('runs')
      .select('id')
      .where('state', '=', 'running')
      .where('server', '=', server)
      .where('cancel_ms', 'is not', null)
      .execute();
    return rows.map(({ id }) => id);
  }

  /** @throws NOT_THERE */
  async get(id: string, db: Queries = this.#state.db): Promise<RunRow> {
    const run = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
    if (run) return run;
    throw new HoldfastError('NOT_THERE', { message: 'there is no such run' });
  }

  /** One page, the newest first; `after` is the id of the last run of the page before. */
  list(filter: RunFilter, { after, limit }: Page): Promise<RunRow[]> {
    const { state, source, duty, outcome } = filter;
    return this.#state.db
      .selectFrom('runs')
      .selectAll()
      .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'ended'))
      .$if(source !== undefined, (query) => query.where('source', '=', source ?? ''))
      .$if(duty !== undefined, (query) => query.where('duty', '=', duty ?? ''))
      .$if(outcome !== undefined, (query) => query.where('outcome', '=', outcome ?? ''))
      .$if(after !== undefined, (query) => query.where('id', '<', after ?? ''))
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
  }

  /** Lines of the log of a run after one of them, in order. */
  log(id: string, { after = 0, limit }: Page<number>): Promise<RunLogRow[]> {
    return this.#state.db
      .selectFrom('run_logs')
      .selectAll()
      .where('run', '=', id)
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(limit)
      .execute();
  }

  /** How many runs are in each state, and how those ended that have. */
  counts(): Promise<{ state: string; outcome: string | null; count: number }[]> {
    return this.#state.db
      .selectFrom('runs')
      .select(['state', 'outcome', ({ fn }) => fn.countAll<number>().as('count')])
      .groupBy(['state', 'outcome'])
      .execute();
  }

  /** What is remembered of all duties, by their ids. */
  async duties(): Promise<Map<string, DutyRecord>> {
    const rows = await this.#state.db.selectFrom('duties').selectAll().execute();
    return new Map(rows.map(({ id, record }) => [id, storedJson<DutyRecord>(record)]));
  }

  /** What is remembered of one duty. */
  async duty(id: string): Promise<DutyRecord | undefined> {
    const row = await this.#state.db
      .selectFrom('duties')
      .select('record')
      .where('id', '=', id)
      .executeTakeFirst();
    return row && storedJson<DutyRecord>(row.record);
  }

  /** Begins to expect duties, unless another server did. */
  async expect(ids: readonly string[], record: DutyRecord): Promise<void> {
    if (ids.length === 0) return;
    await this.#state.transaction(async (db) => {
      for (const id of ids) {
        await db
          .insertInto('duties')
          .values({ id, record: JSON.stringify(record) })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
    });
  }

  /** Forgets duties that are not there any more, and which slots they had: one that comes back begins anew. */
  async forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.#state.transaction(async (db) => {
        await db.deleteFrom('duties').where('id', '=', id).execute();
        await db.deleteFrom('slots').where('duty', '=', id).execute();
      });
    }
  }

  /** Removes the logs of runs that are old, and runs that are older. Their ids begin with the time at which they were made. */
  async trim(): Promise<void> {
    const { db } = this.#state;
    const now = this.#nowMs();
    const old = idTime(now - logKeptMs);
    await db.deleteFrom('run_logs').where('run', '<', old).execute();
    const older = idTime(now - runKeptMs);
    await db.deleteFrom('runs').where('id', '<', older).where('state', '=', 'ended').execute();
    await db.deleteFrom('slots').where('run', '<', older).execute();
  }

  #nowMs(): number {
    return this.#state.environment.clock.wallMs();
  }

  /** 48 bits of time, 16 that count those of one millisecond, 64 of chance: digits that sort in the order in which runs were made. */
  #newId(): string {
    const now = this.#nowMs();
    this.#made =
      now === this.#made.ms ? { ms: now, count: this.#made.count + 1 } : { ms: now, count: 0 };
    const chance = Buffer.from(randomBytes(this.#state.environment.random, 8)).toString('hex');
    return `${idTime(now)}${digits(Math.min(this.#made.count, 0xffff), 4)}${chance}`;
  }
}

/** Somebody works on a repository already. */
class Taken extends Error {}

function endColumns(
  end: RunEnd,
  nowMs: number,
): Pick<
  RunRow,
  | 'state'
  | 'outcome'
  | 'ended_ms'
  | 'summary'
  | 'problems'
  | 'problem_count'
  | 'snapshot_id'
  | 'error_code'
> {
  return {
    state: 'ended',
    outcome: end.outcome,
    ended_ms: nowMs,
    summary: end.summary,
    problems: JSON.stringify(end.problems),
    problem_count: end.problemCount,
    snapshot_id: end.snapshotId ?? null,
    error_code: end.errorCode ?? null,
  };
}

async function saveDuty(db: Queries, id: string, record: DutyRecord): Promise<void> {
  const values = { record: JSON.stringify(record) };
  await db
    .insertInto('duties')
    .values({ id, ...values })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute();
}

/** The beginning of the ids of runs that are made at a time. */
function idTime(ms: number): string {
  return digits(Math.max(ms, 0), 12);
}

function digits(value: number, count: number): string {
  return value.toString(16).padStart(count, '0');
}
