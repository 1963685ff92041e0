import type { Environment } from '../base/environment.ts';
import { describeError, HoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Backend } from './backend.ts';
import { bandwidth } from './bandwidth.ts';
import { limit } from './limit.ts';
import { LocalBackend } from './local/local-backend.ts';
import { parseLocation, redactLocation } from './location.ts';
import { retry } from './retry.ts';

export { redactLocation };

export interface BackendOptions {
  readonly environment: Environment;
  /** Calls at once; default 5, 2 for a local folder. An extended option `<scheme>.connections` wins. */
  readonly connectionCount?: number;
  readonly uploadLimitBytesPerSecond?: number;
  readonly downloadLimitBytesPerSecond?: number;
  /** Options of `-o KEY=VALUE`, such as `local.connections`. */
  readonly extended?: ReadonlyMap<string, string>;
  readonly signal?: AbortSignal;
  /** Hears of retries. */
  readonly monitor?: Monitor;
}

/** An option of `-o`, for `holdfast options`. */
export interface ExtendedOption {
  readonly name: string;
  readonly description: string;
}

export const extendedOptions: readonly ExtendedOption[] = [
  {
    name: 'local.connections',
    description: 'number of files that are read or written at once (default 2)',
  },
];

const connectionCountMax = 1000;

/**
 * Opens the storage that `location` names, with limits and retries around it. Does not look whether there is a
 * repository.
 *
 * @throws LOCATION_INVALID, UNSUPPORTED (a scheme that is known but not built in), USAGE (extended option),
 *   PERMISSION_DENIED
 */
export async function openBackend(location: string, options: BackendOptions): Promise<Backend> {
  const parsed = parseLocation(location);
  if (parsed.scheme !== 'local') {
    throw new HoldfastError('UNSUPPORTED', {
      message: `this version cannot use ${parsed.scheme} storage`,
      details: { location: redactLocation(location) },
      hint: 'Use a local folder, or mount the storage as one.',
    });
  }
  const connections = readExtended('local', options).get('connections');
  const connectionCount =
    connections === undefined ? options.connectionCount : parseConnections('local', connections);
  const inner = await LocalBackend.open(parsed.path, {
    environment: options.environment,
    ...(connectionCount !== undefined && { connectionCount }),
  });
  return decorate(inner, options);
}

function decorate(inner: Backend, options: BackendOptions): Backend {
  const { environment, monitor } = options;
  let backend = limit(inner, { connectionCount: inner.connectionCount });
  if (options.uploadLimitBytesPerSecond || options.downloadLimitBytesPerSecond) {
    backend = bandwidth(backend, { ...options, clock: environment.clock });
  }
  return retry(backend, {
    environment,
    onRetry: ({ call, error, delayMs }) =>
      monitor?.note(
        `${call}: ${describeError(error)}; trying again in ${Math.ceil(delayMs / 1000)} s`,
      ),
  });
}

/** Options of this scheme without its prefix. Those of other schemes are not looked at, as in restic. */
function readExtended(scheme: string, options: BackendOptions): ReadonlyMap<string, string> {
  const own = [...(options.extended ?? [])].filter(([name]) => name.startsWith(`${scheme}.`));
  for (const [name] of own) {
    if (extendedOptions.some((known) => known.name === name)) continue;
    throw new HoldfastError('USAGE', {
      message: `there is no option "${name}"`,
      hint: 'List them with "holdfast options".',
    });
  }
  return new Map(own.map(([name, value]) => [name.slice(scheme.length + 1), value]));
}

function parseConnections(scheme: string, text: string): number {
  const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= connectionCountMax) return count;
  throw new HoldfastError('USAGE', {
    message: `option "${scheme}.connections" is not a number from 1 to ${connectionCountMax}`,
  });
}
