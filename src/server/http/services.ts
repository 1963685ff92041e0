import type { Environment } from '../../base/environment.ts';
import type { RepositoryWork } from '../repository-work.ts';
import type { Accounts } from '../state/accounts.ts';
import type { AlertStore } from '../state/alert-store.ts';
import type { AuditStore } from '../state/audit-store.ts';
import type { EstateStore } from '../state/estate-store.ts';
import type { IdempotencyStore } from '../state/idempotency-store.ts';
import type { RunStore } from '../state/run-store.ts';
import type { State } from '../state/state.ts';
import type { Passwords } from './passwords.ts';
import type { SetUpLink } from './set-up-link.ts';
import type { TryLimits } from './try-limits.ts';

/** What runs things, as requests see it. */
export interface RunControl {
  readonly runningCount: number;
  /** Something was asked for: look at once. */
  poke(): void;
  /** Cancels a run of this server at once. */
  cancel(id: string): void;
}

/** What routes work with. */
export interface Services {
  readonly environment: Environment;
  readonly state: State;
  readonly estate: EstateStore;
  readonly runs: RunStore;
  readonly alerts: AlertStore;
  readonly accounts: Accounts;
  readonly audit: AuditStore;
  readonly idempotency: IdempotencyStore;
  readonly passwords: Passwords;
  readonly tries: TryLimits;
  readonly setUp: SetUpLink;
  readonly control: RunControl;
  readonly programVersion: string;
  /** Ends with the server. */
  readonly signal: AbortSignal;
  readonly repositories: RepositoryWork;
}
