import { openHttpClient } from '../http-open.ts';
import type { LocationOf, StoreOptions } from '../store.ts';
import { GoogleBackend } from './google-backend.ts';
import { readSettings } from './settings.ts';
import { authorize } from './tokens.ts';

/** Opens a bucket, which need not exist. @throws USAGE */
export async function openGoogle(
  location: LocationOf<'gs'>,
  options: StoreOptions,
): Promise<GoogleBackend> {
  const settings = readSettings(options.variables, options.extended);
  return new GoogleBackend({
    location,
    settings,
    http: await openHttpClient(settings.serviceUrl, {}, options),
    authorization: authorize(settings),
    connectionCount: options.connectionCount,
    random: options.environment.random,
  });
}
