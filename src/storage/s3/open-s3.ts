import { HoldfastError } from '../../base/errors.ts';
import { proxyFor } from '../http-proxy.ts';
import { loadTlsSettings } from '../http-tls.ts';
import type { S3Location } from '../location.ts';
import type { StoreOptions } from '../store.ts';
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
  const { environment, connectionCount, transport, variables } = options;
  const settings = readSettings(location, options.extended);
  const chosen = settings.region ?? variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION'];
  const region = chosen || regionOfEndpoint(location.endpoint) || regionDefault;
  const url = addressOf(location, settings.isPathStyle);
  const proxy = proxyFor(url, variables);
  const needsTls = location.isEncrypted || proxy?.isEncrypted === true;
  const http = new HttpRequests({
    server: { url, proxy, ...(needsTls && { tls: await loadTlsSettings(transport) }) },
    connectionCount,
    stuckMs: transport.stuckRequestMs || stuckMsDefault,
    clock: environment.clock,
    userAgent: transport.userAgent ?? 'holdfast',
  });
  const requests = new S3Requests({
    location,
    http,
    region,
    isRegionFixed: Boolean(chosen),
    isPathStyle: settings.isPathStyle,
    host: url.host,
    credentials: settings.isAnonymous ? undefined : await findCredentials(variables, region),
    clock: environment.clock,
  });
  return new S3Backend({ location, settings, requests, ...options });
}

/** Where all requests go: of a bucket that is named in the host, to a host of its own. @throws LOCATION_INVALID */
function addressOf({ isEncrypted, endpoint, bucket }: S3Location, isPathStyle: boolean): URL {
  const host = isPathStyle ? endpoint : `${bucket}.${endpoint}`;
  const text = `${isEncrypted ? 'https' : 'http'}://${host}/`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '')
    return url;
  throw new HoldfastError('LOCATION_INVALID', { message: `s3: "${host}" is no host` });
}
