import type { Environment } from '../base/environment.ts';
import { describeError, HoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Backend } from './backend.ts';
import { bandwidth } from './bandwidth.ts';
import { limit } from './limit.ts';
import { localStore } from './local/store.ts';
import { parseLocation, redactLocation, type Scheme, schemes } from './location.ts';
import type { RateAt } from './rate-timetable.ts';
import { repeat, retry, type RetryOptions } from './retry.ts';
import { thawReads } from './thaw-reads.ts';
import type { ExtendedOption, Store, TransportSettings, Variables } from './store.ts';

export { redactLocation };

/** How a storage is opened: with which limits (absent: none), settings and listeners. */
export interface BackendOptions {
  readonly environment: Environment;
  /** Calls at once; default: what suits the store. An extended option `<scheme>.connections` wins. */
  readonly connectionCount?: number;
  readonly uploadLimit?: RateAt | undefined;
  readonly downloadLimit?: RateAt | undefined;
  /** Options of `-o KEY=VALUE`, such as `local.connections`. */
  readonly extended?: ReadonlyMap<string, string>;
  readonly transport?: TransportSettings;
  /** Of the process: for credentials and proxies. */
  readonly variables?: Variables;
  readonly signal?: AbortSignal;
  /** Hears of retries. */
  readonly monitor?: Monitor;
}

type Stores = { readonly [S in Scheme]?: () => Promise<Store<S>> };

/** Every store that is built in. What only one of them needs is loaded with it. */
const stores: Stores = {
  local: () => Promise.resolve(localStore),
  s3: async () => (await import('./s3/store.ts')).s3Store,
  sftp: async () => (await import('./sftp/store.ts')).sftpStore,
  gs: async () => (await import('./gs/store.ts')).gsStore,
  azure: async () => (await import('./azure/store.ts')).azureStore,
  rest: async () => (await import('./rest/store.ts')).restStore,
  rclone: async () => (await import('./rclone/store.ts')).rcloneStore,
  webdav: async () => (await import('./webdav/store.ts')).webdavStore,
};

const connectionCountMax = 1000;

/** The options of all stores, in the order of their schemes. */
export async function listExtendedOptions(): Promise<readonly ExtendedOption[]> {
  const lists = schemes.map(async (scheme) => {
    const store = await storeOf(scheme);
    return store ? optionsOf(scheme, store) : [];
  });
  return (await Promise.all(lists)).flat();
}

/**
 * Opens the storage that `location` names, with limits and retries around it. Does not look whether there is a
 * repository.
 *
 * @throws LOCATION_INVALID, UNSUPPORTED (a scheme that is known but not built in), USAGE (extended option),
 *   PERMISSION_DENIED
 */
export async function openBackend(location: string, options: BackendOptions): Promise<Backend> {
  const parsed = parseLocation(location);
  const { scheme } = parsed;
  const store = await storeOf(scheme);
  if (!store) {
    throw new HoldfastError('UNSUPPORTED', {
      message: `this version cannot use ${scheme} storage`,
      details: { location: redactLocation(location) },
      hint: 'Use a local folder, or mount the storage as one.',
    });
  }
  const { connections, ...own } = readExtended(scheme, store, options);
  const connectionCount =
    connections === undefined ? options.connectionCount : parseConnections(scheme, connections);
  const open = (): Promise<Backend> =>
    store.open(parsed, {
      environment: options.environment,
      connectionCount: connectionCount ?? store.connectionCount,
      extended: new Map(Object.entries(own)),
      transport: options.transport ?? {},
      variables: options.variables ?? {},
      ...(options.signal && { signal: options.signal }),
      ...(options.monitor && { monitor: options.monitor }),
    });
  const retries = retriesOf(options);
  const inner = await repeat('open the storage', { ...retries, signal: options.signal }, open);
  return decorate(inner, retries, options);
}

/** The store of a scheme, which takes the locations of that scheme only; undefined if it is not built in. */
async function storeOf(scheme: Scheme): Promise<Store | undefined> {
  return await stores[scheme]?.();
}

function optionsOf(scheme: Scheme, { connectionCount, options }: Store): ExtendedOption[] {
  const connections = {
    name: `${scheme}.connections`,
    description: `number of files that are read or written at once (default ${connectionCount})`,
  };
  return [connections, ...options];
}

function retriesOf({ environment, monitor }: BackendOptions): RetryOptions {
  return {
    environment,
    onRetry: ({ call, error, delayMs }) =>
      monitor?.note(
        `${call}: ${describeError(error)}; trying again in ${Math.ceil(delayMs / 1000)} s`,
      ),
  };
}

function decorate(inner: Backend, retries: RetryOptions, options: BackendOptions): Backend {
  const { environment, monitor } = options;
  let backend = limit(inner, { connectionCount: inner.connectionCount });
  if (options.uploadLimit || options.downloadLimit) {
    backend = bandwidth(backend, { ...options, clock: environment.clock });
  }
  backend = retry(backend, retries);
  // Around all: who waits for an archive holds no connection.
  return inner.thawing ? thawReads(backend, { clock: environment.clock, monitor }) : backend;
}

/** Options of this scheme by their names without its prefix. Those of other schemes are not looked at, as in restic. */
function readExtended(
  scheme: Scheme,
  store: Store,
  options: BackendOptions,
): Readonly<Record<string, string>> {
  const prefix = `${scheme}.`;
  const own = [...(options.extended ?? [])].filter(([name]) => name.startsWith(prefix));
  const known = optionsOf(scheme, store);
  for (const [name] of own) {
    if (known.some((option) => option.name === name)) continue;
    throw new HoldfastError('USAGE', {
      message: `there is no option "${name}"`,
      hint: 'List them with "holdfast options".',
    });
  }
  return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]));
}

function parseConnections(scheme: Scheme, text: string): number {
  const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= connectionCountMax) return count;
  throw new HoldfastError('USAGE', {
    message: `option "${scheme}.connections" is not a number from 1 to ${connectionCountMax}`,
  });
}
