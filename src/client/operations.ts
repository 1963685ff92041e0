// Generated from the schemas of the server: npm run client

import type {
  Alert,
  AuditRecord,
  Duty,
  LogLine,
  Page,
  Policy,
  PolicyEntry,
  Repository,
  RepositoryEntry,
  Run,
  Session,
  Snapshot,
  Source,
  SourceEntry,
  Token,
  User,
} from './documents.ts';

/** Every operation: what it takes and what it answers. */
export interface Operations {
  /** Make the first user, with the token of the set-up link. Scope: public. */
  readonly postSetUp: {
    readonly body: {
      /** of the set-up link that the server printed when it started */
      readonly token: string;
      readonly name: string;
      /** at least 12 characters */
      readonly password: string;
    };
    readonly answer: undefined;
  };
  /** Sign in with a name and a password. Scope: public. */
  readonly postSession: {
    readonly body: {
      readonly name: string;
      readonly password: string;
    };
    readonly answer: Session;
  };
  /** Who is signed in. Scope: signed-in. */
  readonly getSession: { readonly answer: Session };
  /** Sign out. Scope: signed-in. */
  readonly deleteSession: { readonly answer: undefined };
  /** Change the own password; all sessions end. Scope: signed-in. */
  readonly postSessionPassword: {
    readonly body: {
      readonly current: string;
      /** at least 12 characters */
      readonly password: string;
    };
    readonly answer: undefined;
  };
  /** List users. Scope: admin. */
  readonly getUsers: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<User>;
  };
  /** Add a user. Scope: admin. */
  readonly postUsers: {
    readonly body: {
      readonly name: string;
      /** at least 12 characters */
      readonly password: string;
      readonly role: 'viewer' | 'operator' | 'admin';
    };
    readonly answer: User;
  };
  /** Change a user; all their sessions end. Scope: admin. */
  readonly patchUsersName: {
    readonly path: { readonly name: string };
    readonly body: {
      /** at least 12 characters */
      readonly password?: string;
      readonly role?: 'viewer' | 'operator' | 'admin';
      readonly disabled?: boolean;
    };
    readonly answer: User;
  };
  /** Remove a user, with all their tokens. Scope: admin. */
  readonly deleteUsersName: {
    readonly path: { readonly name: string };
    readonly answer: undefined;
  };
  /** List the own tokens; those of all for who may administer. Scope: signed-in. */
  readonly getTokens: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<Token>;
  };
  /** Make a token for a program. Scope: signed-in. */
  readonly postTokens: {
    readonly body: {
      /** what it is for */
      readonly label: string;
      readonly scopes: readonly ('read' | 'run' | 'manage' | 'admin')[];
      /** default 90 */
      readonly 'expires-in-days'?: number;
    };
    readonly answer: {
      readonly id: string;
      /** told this once */
      readonly token: string;
      /** RFC 3339, UTC */
      readonly expires: string;
    };
  };
  /** Remove a token: it counts no more. Scope: signed-in. */
  readonly deleteTokensId: { readonly path: { readonly id: string }; readonly answer: undefined };
  /** List what was done, the newest first. Scope: admin. */
  readonly getAudit: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<AuditRecord>;
  };
  /** Look whether records of what was done were changed, removed or put in between. Scope: admin. */
  readonly getAuditCheck: {
    readonly answer: {
      readonly intact: boolean;
      /** the number of the first that is not as it was, or is missing */
      readonly 'first-broken'?: number;
    };
  };
  /** List repositories. Scope: read. */
  readonly getRepositories: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<Repository>;
  };
  /** Add a repository: one that is there is opened, or a new one is made. Scope: manage. */
  readonly postRepositories: {
    readonly body: {
      readonly name: string;
      readonly entry: RepositoryEntry;
      /** the password of the repository; it is sealed and never given back */
      readonly password: string;
      /** credentials of the store; they are sealed and never given back */
      readonly environment?: Readonly<Record<string, string>>;
      /** make the repository if there is none at the location */
      readonly create?: boolean;
    };
    readonly answer: Repository;
  };
  /** One repository. Scope: read. */
  readonly getRepositoriesName: {
    readonly path: { readonly name: string };
    readonly answer: Repository;
  };
  /** Change where a repository is or how it is opened. Scope: manage. */
  readonly putRepositoriesName: {
    readonly path: { readonly name: string };
    readonly body: {
      readonly entry: RepositoryEntry;
      /** the password of the repository; it is sealed and never given back */
      readonly password?: string;
      /** credentials of the store; they are sealed and never given back */
      readonly environment?: Readonly<Record<string, string>>;
    };
    readonly answer: Repository;
  };
  /** Forget a repository that nothing uses; what is stored in it stays. Scope: manage. */
  readonly deleteRepositoriesName: {
    readonly path: { readonly name: string };
    readonly answer: undefined;
  };
  /** List policies. Scope: read. */
  readonly getPolicies: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<Policy>;
  };
  /** Add a policy. Scope: manage. */
  readonly postPolicies: {
    readonly body: {
      readonly name: string;
      readonly entry: PolicyEntry;
    };
    readonly answer: Policy;
  };
  /** One policy. Scope: read. */
  readonly getPoliciesName: { readonly path: { readonly name: string }; readonly answer: Policy };
  /** Change a policy. Scope: manage. */
  readonly putPoliciesName: {
    readonly path: { readonly name: string };
    readonly body: {
      readonly entry: PolicyEntry;
    };
    readonly answer: Policy;
  };
  /** Forget a policy that nothing uses. Scope: manage. */
  readonly deletePoliciesName: {
    readonly path: { readonly name: string };
    readonly answer: undefined;
  };
  /** List sources. Scope: read. */
  readonly getSources: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<Source>;
  };
  /** Add a source. Scope: manage. */
  readonly postSources: {
    readonly body: {
      readonly name: string;
      readonly entry: SourceEntry;
    };
    readonly answer: Source;
  };
  /** One source. Scope: read. */
  readonly getSourcesName: { readonly path: { readonly name: string }; readonly answer: Source };
  /** Change a source. Scope: manage. */
  readonly putSourcesName: {
    readonly path: { readonly name: string };
    readonly body: {
      readonly entry: SourceEntry;
    };
    readonly answer: Source;
  };
  /** Forget a source that nothing uses. Scope: manage. */
  readonly deleteSourcesName: {
    readonly path: { readonly name: string };
    readonly answer: undefined;
  };
  /** List duties: what must be done again and again, and when each succeeded last. Scope: read. */
  readonly getDuties: {
    readonly query?: { readonly limit?: number; readonly cursor?: string };
    readonly answer: Page<Duty>;
  };
  /** List runs, the newest first. Scope: read. */
  readonly getRuns: {
    readonly query?: {
      readonly limit?: number;
      readonly cursor?: string;
      readonly state?: 'queued' | 'running' | 'ended';
      readonly outcome?:
        | 'success'
        | 'incomplete'
        | 'failed'
        | 'waiting'
        | 'cancelled'
        | 'interrupted'
        | 'superseded';
      readonly source?: string;
      readonly duty?: string;
    };
    readonly answer: Page<Run>;
  };
  /** Run a duty now, also outside of its windows. Scope: run. */
  readonly postRuns: {
    readonly body: {
      /** the id of a duty, such as "back up documents" */
      readonly duty: string;
    };
    readonly answer: Run;
  };
  /** One run. Scope: read. */
  readonly getRunsId: { readonly path: { readonly id: string }; readonly answer: Run };
  /** Cancel a run: one under way ends within five seconds. Scope: run. */
  readonly postRunsIdCancel: { readonly path: { readonly id: string }; readonly answer: Run };
  /** The log of a run, in order. Scope: read. */
  readonly getRunsIdLog: {
    readonly path: { readonly id: string };
    readonly query?: { readonly limit?: number; readonly after?: number };
    readonly answer: Page<LogLine>;
  };
  /** Follow a run: events "run" and "log" until it has ended. Scope: read. */
  readonly getRunsIdEvents: { readonly path: { readonly id: string }; readonly answer: 'events' };
  /** List what is wrong, and what was. Scope: read. */
  readonly getAlerts: {
    readonly query?: {
      readonly limit?: number;
      readonly cursor?: string;
      readonly state?: 'open' | 'resolved';
    };
    readonly answer: Page<Alert>;
  };
  /** List snapshots of a repository as they are stored now, the newest first. Scope: read. */
  readonly getRepositoriesNameSnapshots: {
    readonly path: { readonly name: string };
    readonly query?: {
      readonly limit?: number;
      readonly cursor?: string;
      readonly source?: string;
    };
    readonly answer: Page<Snapshot>;
  };
  /** Restore a snapshot, or a folder of it, to a new folder of the machine of the server. Scope: manage. */
  readonly postRepositoriesNameRestores: {
    readonly path: { readonly name: string };
    readonly body: {
      /** its id, or the beginning of it */
      readonly snapshot: string;
      /** a folder in the snapshot; the whole snapshot where nothing is said */
      readonly path?: string;
      /** a folder of the machine of the server that is not there yet */
      readonly target: string;
    };
    readonly answer: Run;
  };
  /** This API, as OpenAPI 3.1. Scope: signed-in. */
  readonly getOpenapiJson: { readonly answer: Readonly<Record<string, unknown>> };
}

/** Method and path of every operation. */
export const places: { readonly [K in keyof Operations]: readonly [string, string] } = {
  postSetUp: ['POST', '/api/v1/set-up'],
  postSession: ['POST', '/api/v1/session'],
  getSession: ['GET', '/api/v1/session'],
  deleteSession: ['DELETE', '/api/v1/session'],
  postSessionPassword: ['POST', '/api/v1/session/password'],
  getUsers: ['GET', '/api/v1/users'],
  postUsers: ['POST', '/api/v1/users'],
  patchUsersName: ['PATCH', '/api/v1/users/{name}'],
  deleteUsersName: ['DELETE', '/api/v1/users/{name}'],
  getTokens: ['GET', '/api/v1/tokens'],
  postTokens: ['POST', '/api/v1/tokens'],
  deleteTokensId: ['DELETE', '/api/v1/tokens/{id}'],
  getAudit: ['GET', '/api/v1/audit'],
  getAuditCheck: ['GET', '/api/v1/audit/check'],
  getRepositories: ['GET', '/api/v1/repositories'],
  postRepositories: ['POST', '/api/v1/repositories'],
  getRepositoriesName: ['GET', '/api/v1/repositories/{name}'],
  putRepositoriesName: ['PUT', '/api/v1/repositories/{name}'],
  deleteRepositoriesName: ['DELETE', '/api/v1/repositories/{name}'],
  getPolicies: ['GET', '/api/v1/policies'],
  postPolicies: ['POST', '/api/v1/policies'],
  getPoliciesName: ['GET', '/api/v1/policies/{name}'],
  putPoliciesName: ['PUT', '/api/v1/policies/{name}'],
  deletePoliciesName: ['DELETE', '/api/v1/policies/{name}'],
  getSources: ['GET', '/api/v1/sources'],
  postSources: ['POST', '/api/v1/sources'],
  getSourcesName: ['GET', '/api/v1/sources/{name}'],
  putSourcesName: ['PUT', '/api/v1/sources/{name}'],
  deleteSourcesName: ['DELETE', '/api/v1/sources/{name}'],
  getDuties: ['GET', '/api/v1/duties'],
  getRuns: ['GET', '/api/v1/runs'],
  postRuns: ['POST', '/api/v1/runs'],
  getRunsId: ['GET', '/api/v1/runs/{id}'],
  postRunsIdCancel: ['POST', '/api/v1/runs/{id}/cancel'],
  getRunsIdLog: ['GET', '/api/v1/runs/{id}/log'],
  getRunsIdEvents: ['GET', '/api/v1/runs/{id}/events'],
  getAlerts: ['GET', '/api/v1/alerts'],
  getRepositoriesNameSnapshots: ['GET', '/api/v1/repositories/{name}/snapshots'],
  postRepositoriesNameRestores: ['POST', '/api/v1/repositories/{name}/restores'],
  getOpenapiJson: ['GET', '/api/v1/openapi.json'],
};
