import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { HoldfastError } from '../../base/errors.ts';
import { hashOf } from '../state/accounts.ts';

/** Where browsers find the server. */
export interface Site {
  /** Host names, without ports, by which it may be asked: others are another site's that points here. */
  readonly hosts: ReadonlySet<string>;
  /** `https://backup.example.org`, if a proxy makes it so; without, the address that was asked. */
  readonly origin: string | undefined;
  /** Browsers reach it by https alone. */
  readonly isSecure: boolean;
}

/** The header that a page must send with what changes something; no other site can. */
export const csrfHeader = 'x-holdfast-csrf';

/** Methods that change nothing. */
const safeMethods: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/** True for what may change something. */
export function isUnsafe({ method }: Pick<FastifyRequest, 'method'>): boolean {
  return !safeMethods.includes(method);
}

/**
 * Refuses what a page of another site sends through somebody's browser: by a name that points here (DNS rebinding), or openly.
 * @throws REQUEST_INVALID, NOT_ALLOWED
 */
export function assertSameSite(request: FastifyRequest, site: Site): void {
  const { host: hostHeader, origin } = request.headers;
  const host = hostNameOf(hostHeader ?? '');
  if (!site.hosts.has(host)) {
    throw new HoldfastError('REQUEST_INVALID', {
      message: 'the server is not known by this host name',
      hint: 'Start it with --origin to give it another name.',
    });
  }
  if (!isUnsafe(request)) return;
  const own = site.origin ?? `http://${hostHeader}`;
  const fetchSite = request.headers['sec-fetch-site'];
  const isForeign = fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none';
  if (isForeign || (origin !== undefined && origin !== own)) {
    throw new HoldfastError('NOT_ALLOWED', { message: 'the request comes from another site' });
  }
}

/** The host of a Host header, in small letters, without the port. */
export function hostNameOf(header: string): string {
  return header.toLowerCase().replace(/:\d+$/, '');
}

/** What a page must send as `csrfHeader`; follows from the session, and does not tell it. */
export function csrfTokenOf(sessionId: string): string {
  return hashOf(`csrf ${sessionId}`);
}

/** @throws NOT_ALLOWED if a request by cookie lacks the token */
export function assertCsrfToken(request: FastifyRequest, sessionId: string): void {
  const given = request.headers[csrfHeader];
  const known = Buffer.from(csrfTokenOf(sessionId));
  const bytes = Buffer.from(typeof given === 'string' ? given : '');
  if (bytes.byteLength === known.byteLength && timingSafeEqual(bytes, known)) return;
  throw new HoldfastError('NOT_ALLOWED', {
    message: 'the header X-Holdfast-CSRF is missing or wrong',
  });
}

/** The name of the session cookie: `__Host-` keeps other hosts of the domain from setting it. */
function cookieName({ isSecure }: Site): string {
  return isSecure ? '__Host-holdfast' : 'holdfast';
}

/** The session id of a request's cookie. */
export function sessionCookie(request: FastifyRequest, site: Site): string | undefined {
  const name = cookieName(site);
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** The header that sets the session cookie; without an id it ends it. */
export function setCookie(site: Site, sessionId: string | undefined): string {
  const parts = [`${cookieName(site)}=${sessionId ?? ''}`, 'Path=/', 'HttpOnly', 'SameSite=Strict'];
  if (site.isSecure) parts.push('Secure');
  if (sessionId === undefined) parts.push('Max-Age=0');
  return parts.join('; ');
}
