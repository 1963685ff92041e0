import type { S3Location } from '../location.ts';
import type { StoreOptions } from '../store.ts';
import { readTlsOptions } from '../tls.ts';
import { findCredentials } from './credentials.ts';
import { HttpRequests } from './http-requests.ts';
import { S3Backend } from './s3-backend.ts';
import { S3Requests } from './s3-requests.ts';
import { readSettings, regionOfEndpoint } from './settings.ts';

const stuckMsDefault = 300_000;
/** What Amazon and most others take where nothing is said. */
const regionDefault = 'us-east-1';

/** Opens a bucket, which need not exist. @throws USAGE, CREDENTIALS_REFUSED */
export async function openS3(location: S3Location, options: StoreOptions): Promise<S3Backend> {
  const { environment, connectionCount, transport } = options;
  const settings = readSettings(location, options.extended);
  const variables = process.env;
  const chosen = settings.region ?? variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION'];
  const region = chosen || regionOfEndpoint(location.endpoint) || regionDefault;
  const http = new HttpRequests({
    connectionCount,
    tls: readTlsOptions(transport),
    stuckMs: transport.stuckRequestMs ?? stuckMsDefault,
    userAgent: transport.userAgent ?? 'holdfast',
  });
  const requests = new S3Requests({
    location,
    http,
    region,
    isRegionFixed: Boolean(chosen),
    isPathStyle: settings.isPathStyle,
    credentials: settings.isAnonymous ? undefined : await findCredentials(variables, region),
    clock: environment.clock,
  });
  return new S3Backend({ location, settings, requests, ...options });
}
