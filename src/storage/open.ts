import type { Environment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Backend } from './backend.ts';
import { LocalBackend } from './local/local-backend.ts';

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

/**
 * Opens the storage that `location` names. Does not look whether there is a repository.
 *
 * @throws LOCATION_INVALID, UNSUPPORTED (a scheme that is known but not built in), USAGE (extended option)
 */
export async function openBackend(location: string, options: BackendOptions): Promise<Backend> {
  if (/^[a-z0-9]+:/.test(location) && !location.startsWith('local:')) {
    throw new HoldfastError('UNSUPPORTED', { details: { location: redactLocation(location) } });
  }
  return await LocalBackend.open(location.replace(/^local:/, ''), options);
}

/** `location` for display: a password in it becomes `***`. Never throws, also for what is no location. */
export function redactLocation(location: string): string {
  return location.replace(/(:\/\/[^/@:]*:)[^/]*@/, '$1***@');
}
