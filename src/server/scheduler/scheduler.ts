import { HoldfastError } from '../../base/errors.ts';
import { type OverdueDuty, overdueDuties } from '../../agent/plan-run.ts';
import { type Duty, dutiesOf } from '../../policy/duties.ts';
import { duenessOf } from '../../policy/schedule.ts';
import type { AlertStore } from '../state/alert-store.ts';
import { leaseMs, type LeaseStore } from '../state/lease-store.ts';
import type { Carrier } from '../state/run-store.ts';
import { carryRun, type RunPlace } from './carry-run.ts';
import { nextAttempt } from './next-attempt.ts';

/** How often it is looked what is due, in milliseconds. */
const tickMs = 1000;

/** How often a lease is renewed, and those of others are looked at. */
const renewMs = 5000;

/** How often it is looked what is overdue. */
const alertMs = 60_000;

/** Duties that are looked at before requests have their turn. */
const claimsOfTurn = 50;

/** How often old runs are removed. */
const trimMs = 3_600_000;

/** A wall clock that went so much further than time did was set. */
const clockJumpMs = 2000;

/** Runs that one server carries out at once, and restores besides, for which somebody waits. */
const runCountMax = 2;
const restoreCountMax = 2;

/** How long the runs of a server that is stopped may take to end, in milliseconds. */
const stopMsMax = 5000;

/** How long it is left alone after something went wrong with the state. */
const failurePauseMs = 5000;

/** What a scheduler works with. */
export interface SchedulerOptions {
  readonly place: RunPlace;
  readonly leases: LeaseStore;
  readonly alerts: AlertStore;
  /** Names this server, for people. */
  readonly holder: string;
  /** No other server can use this state. */
  readonly isAlone: boolean;
  /** Hears what went wrong outside of runs. */
  readonly tell: (event: string, error: unknown) => void;
}

/**
 * Sees to it that everything runs when it is due, exactly once for each slot, and that what stays away is told. Several of them may
 * share a state: what they claim in it decides.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #stopped = new AbortController();
  readonly #running = new Map<string, { controller: AbortController; done: Promise<void> }>();
  #carrier: Carrier | undefined;
  #duties: readonly Duty[] = [];
  #revision: string | undefined;
  /** When a duty is looked at again, by its id. */
  #wakeMs = new Map<string, number>();
  #last = {
    wallMs: 0,
    monotonicMs: 0,
    renewMs: 0,
    alertMs: 0,
    trimMs: Number.NEGATIVE_INFINITY,
  };
  #loop: Promise<void> | undefined;
  #poke: () => void = () => {};

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** How many runs this server carries out now. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Takes over what a server before it left, and begins. @throws STATE_FAILED */
  async start(): Promise<void> {
    const { leases, holder, isAlone } = this.#options;
    this.#carrier = await leases.open(holder);
    await leases.sweep(this.#carrier, isAlone);
    this.#loop = this.#run();
  }

  /** Looks at once: something was asked for. */
  poke(): void {
    this.#poke();
  }

  /** Cancels a run of this server at once, without waiting for the next look. */
  cancel(id: string): void {
    this.#running.get(id)?.controller.abort(new HoldfastError('CANCELLED'));
  }

  /** Ends all runs of this server in order, and itself. */
  async stop(): Promise<void> {
    this.#stopped.abort(new HoldfastError('CANCELLED'));
    await this.#loop;
    for (const { controller } of this.#running.values()) controller.abort(stopping());
    const ended = Promise.all([...this.#running.values()].map(({ done }) => done));
    const { clock } = this.#options.place.state.environment;
    const waited = new AbortController();
    await Promise.race([ended, clock.sleep(stopMsMax, waited.signal).catch(() => {})]);
    waited.abort();
    try {
      if (this.#carrier) await this.#options.leases.close(this.#carrier);
    } catch (error) {
      // It runs out by itself.
      this.#options.tell('lease-not-closed', error);
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options.place.state.environment;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      let pauseMs = tickMs;
      try {
        await this.#tick();
      } catch (error) {
        this.#options.tell('scheduler-failed', error);
        pauseMs = failurePauseMs;
        this.#endIfLeaseIsOver();
      }
      const poked = new AbortController();
      this.#poke = () => poked.abort(new HoldfastError('CANCELLED'));
      await clock.sleep(pauseMs, AbortSignal.any([signal, poked.signal])).catch(() => {});
    }
  }

  async #tick(): Promise<void> {
    const { clock } = this.#options.place.state.environment;
    const wallMs = clock.wallMs();
    const monotonicMs = clock.monotonicMs();
    const driftMs = wallMs - this.#last.wallMs - (monotonicMs - this.#last.monotonicMs);
    if (Math.abs(driftMs) > clockJumpMs) {
      this.#wakeMs.clear();
      this.#last.alertMs = Number.NEGATIVE_INFINITY;
    }
    this.#last = { ...this.#last, wallMs, monotonicMs };
    const carrier = await this.#keepLease(monotonicMs);
    await this.#loadDuties(wallMs);
    await this.#claimDue(wallMs);
    await this.#startRuns(carrier);
    for (const id of await this.#options.place.runs.cancelled(carrier)) this.cancel(id);
    if (monotonicMs - this.#last.alertMs >= alertMs) {
      this.#last.alertMs = monotonicMs;
      await this.#updateAlerts(wallMs);
    }
    if (monotonicMs - this.#last.trimMs >= trimMs) {
      this.#last.trimMs = monotonicMs;
      await this.#options.place.runs.trim();
    }
  }

  /** Renews the lease. One that was lost ends what runs under it, and a new one is begun. */
  async #keepLease(monotonicMs: number): Promise<Carrier> {
    const { leases, holder, isAlone } = this.#options;
    const carrier = this.#carrier ?? (await leases.open(holder));
    this.#carrier = carrier;
    if (monotonicMs - this.#last.renewMs < renewMs) return carrier;
    const isHeld = await leases.renew(carrier);
    this.#last.renewMs = monotonicMs;
    if (!isHeld) {
      for (const { controller } of this.#running.values()) controller.abort(lostLease());
      this.#carrier = await leases.open(holder);
      return this.#carrier;
    }
    await leases.sweep(carrier, isAlone);
    return carrier;
  }

  /** A database that was away for so long may have given another server what runs here. */
  #endIfLeaseIsOver(): void {
    const { place, isAlone } = this.#options;
    const ageMs = place.state.environment.clock.monotonicMs() - this.#last.renewMs;
    if (isAlone || ageMs < leaseMs) return;
    for (const { controller } of this.#running.values()) controller.abort(lostLease());
  }

  /** Loads the duties anew if the estate was changed, by whichever server. */
  async #loadDuties(nowMs: number): Promise<void> {
    const { estate, runs } = this.#options.place;
    const revision = await estate.revision();
    if (revision === this.#revision) return;
    const duties = dutiesOf(await estate.load(), nowMs);
    const records = await runs.duties();
    const missing = duties.filter(({ id }) => !records.has(id)).map(({ id }) => id);
    await runs.expect(missing, { sinceMs: nowMs });
    const known = new Set(duties.map(({ id }) => id));
    await runs.forget([...records.keys()].filter((id) => !known.has(id)));
    this.#duties = duties;
    this.#revision = revision;
    this.#wakeMs.clear();
    this.#last.alertMs = Number.NEGATIVE_INFINITY;
  }

  async #claimDue(nowMs: number): Promise<void> {
    const { clock } = this.#options.place.state.environment;
    let count = 0;
    for (const duty of this.#duties) {
      if ((this.#wakeMs.get(duty.id) ?? 0) > nowMs) continue;
      this.#wakeMs.set(duty.id, await this.#claimIfDue(duty, nowMs));
      // SQLite answers without a pause: ten thousand that are due at once would keep all requests waiting.
      if (++count % claimsOfTurn === 0) await clock.nextTurn();
    }
  }

  /** @returns when to look at the duty again */
  async #claimIfDue(duty: Duty, nowMs: number): Promise<number> {
    const { runs } = this.#options.place;
    const record = await runs.duty(duty.id);
    const dueness = duenessOf(duty.schedule, record?.servedMs, nowMs);
    if (dueness.state === 'served') return dueness.nextMs ?? Number.POSITIVE_INFINITY;
    if (dueness.state === 'closed') return dueness.untilMs ?? Number.POSITIVE_INFINITY;
    const { slotMs } = dueness;
    const next = nextAttempt(await runs.lastAttempt(duty.id, slotMs));
    if (!next) return nowMs + renewMs;
    // The next slot may come before the next try.
    const nextSlotMs = duty.schedule.slots.next(slotMs) ?? Number.POSITIVE_INFINITY;
    const slotEndMs = nextSlotMs + duty.schedule.jitterMs;
    if (next.atMs > nowMs) return Math.min(next.atMs, slotEndMs);
    const { attempt } = next;
    const reason = attempt === 1 ? 'schedule' : 'retry';
    await runs.claim({ duty, slotMs, reason, startedBy: 'schedule', attempt });
    return nowMs + renewMs;
  }

  async #startRuns(carrier: Carrier): Promise<void> {
    const { place } = this.#options;
    while (this.#running.size < runCountMax + restoreCountMax) {
      const isFull = this.#running.size >= runCountMax;
      const run = await place.runs.startNext(carrier, isFull ? 'restore' : undefined);
      if (!run) return;
      const controller = new AbortController();
      const tell = (error: unknown): void => this.#options.tell('run-not-stored', error);
      const { signal: stopped } = this.#stopped;
      const done = carryRun(place, { run, carrier, controller, stopped, tell })
        .catch(tell)
        .finally(() => {
          this.#running.delete(run.id);
          this.#wakeMs.delete(run.duty);
          this.#last.alertMs = Number.NEGATIVE_INFINITY;
          this.#poke();
        });
      this.#running.set(run.id, { controller, done });
    }
  }

  async #updateAlerts(nowMs: number): Promise<void> {
    const { place, alerts } = this.#options;
    const records = await place.runs.duties();
    const overdue = overdueDuties(this.#duties, { load: (id) => records.get(id) }, nowMs);
    const current = overdue.map((late) => ({
      kind: 'overdue' as const,
      object: late.duty.id,
      message: overdueMessage(late, records.get(late.duty.id)?.lastFailure?.message),
      sinceMs: late.overdueMs,
    }));
    await alerts.update(current, nowMs);
  }
}

function overdueMessage({ lastSuccessMs }: OverdueDuty, lastFailure: string | undefined): string {
  const age =
    lastSuccessMs === undefined
      ? 'it never succeeded'
      : `its last success was ${new Date(lastSuccessMs).toISOString()}`;
  return lastFailure === undefined ? age : `${age}; last failure: ${lastFailure}`;
}

function stopping(): HoldfastError {
  return new HoldfastError('RUN_INTERRUPTED', { message: 'the server was stopped' });
}

function lostLease(): HoldfastError {
  return new HoldfastError('RUN_INTERRUPTED', { message: 'the server lost its lease' });
}
