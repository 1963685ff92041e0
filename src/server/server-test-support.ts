import type { Clock } from '../base/clock.ts';
import type { Environment } from '../base/environment.ts';
import { systemRandom } from '../base/random.ts';
import type { Policy } from '../contracts/policy.ts';
import { type Duty, dutiesOf } from '../policy/duties.ts';
import { AlertStore } from './state/alert-store.ts';
import { Accounts } from './state/accounts.ts';
import { AuditStore } from './state/audit-store.ts';
import { EstateStore } from './state/estate-store.ts';
import { IdempotencyStore } from './state/idempotency-store.ts';
import { LeaseStore } from './state/lease-store.ts';
import { RunStore } from './state/run-store.ts';
import { Sealer } from './state/seal.ts';
import { State, type StateLocation } from './state/state.ts';

/** For tests: a state with all that works on it, and a clock that stands until it is moved. */
export class StateBed {
  readonly state: State;
  readonly sealer: Sealer;
  readonly estate: EstateStore;
  readonly runs: RunStore;
  readonly leases: LeaseStore;
  readonly alerts: AlertStore;
  readonly accounts: Accounts;
  readonly audit: AuditStore;
  readonly idempotency: IdempotencyStore;

  private constructor(state: State) {
    this.state = state;
    this.sealer = new Sealer(new Uint8Array(32).fill(7), systemRandom);
    this.estate = new EstateStore(state, this.sealer);
    this.runs = new RunStore(state);
    this.leases = new LeaseStore(state, this.runs);
    this.alerts = new AlertStore(state);
    this.accounts = new Accounts(state);
    this.audit = new AuditStore(state);
    this.idempotency = new IdempotencyStore(state, this.sealer);
  }

  static async open(location: StateLocation, clock: Clock): Promise<StateBed> {
    const environment: Environment = { clock, random: systemRandom };
    return new StateBed(await State.open(location, environment));
  }

  /** What another server has on the same connection. */
  beside(): StateBed {
    return new StateBed(this.state);
  }

  /** A repository, a policy and a source that use it, as if they had been added. */
  async addEstate(
    policy: Partial<Policy> = {},
    sources: readonly string[] = ['documents'],
  ): Promise<void> {
    const { estate } = this;
    await this.state.transaction(async (db) => {
      const secrets = { password: 'a secret password', environment: {} };
      const entry = { location: '/srv/main' };
      await estate.putRepository(
        db,
        { name: 'main', entry, secrets, repositoryId: '11'.repeat(32) },
        true,
      );
      const whole: Policy = {
        repository: 'main',
        'time-zone': 'UTC',
        backup: { every: '1h' },
        ...policy,
      };
      await estate.put(db, { kind: 'policies', name: 'p', entry: whole }, true);
      for (const name of sources) {
        const source = { kind: 'files', paths: [`/home/${name}`], policy: 'p' } as const;
        await estate.put(db, { kind: 'sources', name, entry: source }, true);
      }
    });
  }

  async duties(): Promise<Duty[]> {
    return dutiesOf(await this.estate.load(), this.state.environment.clock.wallMs());
  }

  close(): Promise<void> {
    return this.state.close();
  }
}
