import { HoldfastError } from '../base/errors.ts';
import { Http1Transport } from './http1-transport.ts';
import { HttpClient } from './http-client.ts';
import { firstHost, type HttpServer } from './http-connect.ts';
import { basicAuthorization, type Login, loginOf, proxyFor } from './http-proxy.ts';
import { loadTlsSettings } from './http-tls.ts';
import type { StoreOptions } from './store.ts';

/** As restic. */
export const stuckRequestMsDefault: number = 5 * 60 * 1000;

/**
 * Opens a client of the server of `url`, which ends with a slash, may hold user and password, and may be
 * `http+unix:///socket:/path/`. Nothing is asked yet.
 *
 * @param login where the URL has none
 * @throws LOCATION_INVALID, USAGE (certificate files, proxy)
 */
export async function openHttpClient(
  url: string,
  login: Partial<Login>,
  options: StoreOptions,
): Promise<HttpClient> {
  const { environment, connectionCount, transport, variables } = options;
  const { address, socketPath } = parseAddress(url);
  const proxy = socketPath === undefined ? proxyFor(address, variables) : undefined;
  const needsTls = address.protocol === 'https:' || proxy?.isEncrypted === true;
  const server: HttpServer = {
    url: address,
    proxy,
    ...(socketPath !== undefined && { socketPath }),
    ...(needsTls && { tls: await loadTlsSettings(transport) }),
  };
  const authorization = authorizationFor(address, login);
  return new HttpClient({
    transport: new Http1Transport({ server, connectionCount, clock: environment.clock }),
    url: address,
    host: firstHost(server),
    headers: {
      'user-agent': transport.userAgent ?? 'holdfast',
      ...(authorization !== undefined && { authorization }),
    },
    clock: environment.clock,
    stuckRequestMs: transport.stuckRequestMs || stuckRequestMsDefault,
  });
}

/** The URL's own login goes first, as in restic. */
function authorizationFor(url: URL, { user, password }: Partial<Login>): string | undefined {
  if (url.username !== '' || url.password !== '') return basicAuthorization(loginOf(url));
  if (user === undefined && password === undefined) return undefined;
  return basicAuthorization({ user: user ?? '', password: password ?? '' });
}

function parseAddress(url: string): { address: URL; socketPath?: string } {
  if (!url.startsWith('http+unix:')) return { address: new URL(url) };
  const match = /^http\+unix:\/\/(?<socket>\/[^:]*)(?::(?<path>\/.*)|\/)$/.exec(url);
  const socketPath = match?.groups?.['socket'];
  if (socketPath === undefined) {
    throw new HoldfastError('LOCATION_INVALID', {
      message: 'a socket is written as http+unix:///SOCKET:/PATH/',
    });
  }
  return {
    address: new URL(match?.groups?.['path'] ?? '/', 'http://localhost'),
    socketPath: decodeURIComponent(socketPath),
  };
}
