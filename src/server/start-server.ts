import type { Environment } from '../base/environment.ts';
import { describeError, HoldfastError, systemCode } from '../base/errors.ts';
import { hostName, processId } from '../platform/machine.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { buildApp, type LogLine } from './http/app.ts';
import { hostNameOf, type Site } from './http/browser-guards.ts';
import { Passwords } from './http/passwords.ts';
import { allRoutes } from './http/routes/all-routes.ts';
import type { Services } from './http/services.ts';
import { SetUpLink } from './http/set-up-link.ts';
import { TryLimits } from './http/try-limits.ts';
import { repositoryWork } from './repository-work.ts';
import { childWorkers, type RunPlace } from './scheduler/carry-run.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { Accounts } from './state/accounts.ts';
import { AlertStore } from './state/alert-store.ts';
import { AuditStore } from './state/audit-store.ts';
import { EstateStore } from './state/estate-store.ts';
import { IdempotencyStore } from './state/idempotency-store.ts';
import { LeaseStore } from './state/lease-store.ts';
import { RunStore } from './state/run-store.ts';
import { checkKey } from './state/key-check.ts';
import { openKeyFile, Sealer } from './state/seal.ts';
import { parseStateLocation, State } from './state/state.ts';

/** What a server is started with. */
export interface ServerOptions {
  /** The folder of its state, its key and its caches. */
  readonly dataPath: string;
  /** As `--database`; undefined: a file in the folder. */
  readonly database: string | undefined;
  /** The key that sealed the secrets is lost: start with another. */
  readonly isKeyNew: boolean;
  /** An address of this machine alone, and a port; 0 for any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where browsers find it behind a proxy: `https://backup.example.org`. */
  readonly origin: string | undefined;
  readonly environment: Environment;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly programVersion: string;
  readonly log: LogLine;
}

/** A server that runs. */
export interface RunningServer {
  /** Where it is: `http://127.0.0.1:8640`. */
  readonly url: string;
  /** Where the first user is made; undefined if there is one. */
  readonly setUpUrl: string | undefined;
  /** Ends it in order, with all its runs. */
  stop(): Promise<void>;
}

/** Starts a server. @throws USAGE, STATE_FAILED, STATE_CONFLICT */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { environment, database } = options;
  const folder = openDataFolder(options.dataPath);
  try {
    const key = openKeyFile(folder.keyPath, environment.random);
    const location =
      database === undefined
        ? ({ kind: 'sqlite', path: folder.statePath } as const)
        : parseStateLocation(database);
    const state = await State.open(location, environment);
    try {
      const sealer = new Sealer(key, environment.random);
      await checkKey(state, sealer, options.isKeyNew);
      return await startWith(options, { folder, state, sealer });
    } catch (error) {
      await state.close();
      throw error;
    }
  } catch (error) {
    folder.close();
    throw error;
  }
}

interface ServerParts {
  readonly folder: DataFolder;
  readonly state: State;
  readonly sealer: Sealer;
}

async function startWith(options: ServerOptions, parts: ServerParts): Promise<RunningServer> {
  const { environment, log, origin, listen } = options;
  const { folder, state } = parts;
  const ended = new AbortController();
  const { place, scheduler, services } = assemble(options, parts, ended.signal);
  const site = siteOf(listen.host, origin);
  const app = buildApp({ services, routes: allRoutes, site, log });
  await place.estate.load();
  try {
    await app.listen(listen);
  } catch (error) {
    throw listenFailure(listen, error);
  }
  await scheduler.start();
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : listen.port;
  const url = `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`;
  const { token } = services.setUp;
  const isSetUp = await services.accounts.isSetUp();
  log({ event: 'started', url, version: options.programVersion, database: state.kind });
  return {
    url,
    setUpUrl: isSetUp || token === undefined ? undefined : `${origin ?? url}/set-up?token=${token}`,
    async stop() {
      ended.abort(new HoldfastError('CANCELLED'));
      await Promise.all([app.close(), scheduler.stop()]);
      await state.close();
      folder.close();
      log({ event: 'stopped', at: new Date(environment.clock.wallMs()).toISOString() });
    },
  };
}

function assemble(
  options: ServerOptions,
  { folder, state, sealer }: ServerParts,
  signal: AbortSignal,
): { place: RunPlace; scheduler: Scheduler; services: Services } {
  const { environment, log, programVersion } = options;
  const { cachePath } = folder;
  const estate = new EstateStore(state, sealer);
  const runs = new RunStore(state);
  const alerts = new AlertStore(state);
  const variables = variablesOfRuns(options.variables);
  const workers = childWorkers;
  const place: RunPlace = { state, estate, runs, workers, variables, cachePath, programVersion };
  const scheduler = new Scheduler({
    place,
    leases: new LeaseStore(state, runs),
    alerts,
    holder: `${hostName()}/${processId}`,
    isAlone: state.kind === 'sqlite',
    tell: (event, error) => log({ event, error: describeError(error) }),
  });
  const services: Services = {
    environment,
    state,
    estate,
    runs,
    alerts,
    programVersion,
    signal,
    accounts: new Accounts(state),
    audit: new AuditStore(state),
    idempotency: new IdempotencyStore(state, sealer),
    passwords: new Passwords(environment.random),
    tries: new TryLimits(environment.clock),
    setUp: new SetUpLink(environment),
    control: scheduler,
    repositories: repositoryWork(place, signal),
  };
  return { place, scheduler, services };
}

/** Settings of the server itself, which may hold secrets, are no run's business. */
function variablesOfRuns(
  variables: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) => !/^(HOLDFAST_|RESTIC_|PG)/.test(name)),
  );
}

/** @throws USAGE */
function siteOf(host: string, origin: string | undefined): Site {
  const near = ['localhost', '127.0.0.1', '[::1]', host.includes(':') ? `[${host}]` : host];
  if (origin === undefined) return { hosts: new Set(near), origin, isSecure: false };
  if (!/^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?$/.test(origin)) {
    throw new HoldfastError('USAGE', {
      message: `--origin ${JSON.stringify(origin)} is no origin`,
      hint: 'It is such as https://backup.example.org, without a path.',
    });
  }
  const named = hostNameOf(new URL(origin).host);
  return {
    hosts: new Set([...near, named]),
    origin: new URL(origin).origin,
    isSecure: origin.startsWith('https:'),
  };
}

function listenFailure({ host, port }: ServerOptions['listen'], cause: unknown): HoldfastError {
  const isTaken = systemCode(cause) === 'EADDRINUSE';
  return new HoldfastError('USAGE', {
    message: `cannot listen on ${host}:${port}${isTaken ? ': something else does' : ''}`,
    hint: 'Name another address with --listen.',
    cause,
  });
}
