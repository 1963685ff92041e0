import { BlockList, isIP } from 'node:net';

import { HoldfastError } from '../base/errors.ts';
import type { Variables } from './store.ts';

/** A proxy and what it wants to see. */
export interface Proxy {
  readonly isEncrypted: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of `Proxy-Authorization`. */
  readonly authorization?: string;
}

/**
 * The proxy for `url` by HTTPS_PROXY, HTTP_PROXY and NO_PROXY (or in lower case), as restic finds it; undefined for none.
 * This machine is never reached through a proxy.
 *
 * @throws USAGE for a proxy that cannot be used; its text holds no password
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
export function proxyFor(url: URL, variables: Variables): Proxy | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = eitherCase(variables, name);
  if (text === undefined || isExempt(url, eitherCase(variables, 'NO_PROXY') ?? ''))
    return undefined;
  return parseProxy(name, text);
}

function eitherCase(variables: Variables, name: string): string | undefined {
  return variables[name] || variables[name.toLowerCase()] || undefined;
}

function parseProxy(name: string, text: string): Proxy {
  const full = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new HoldfastError('USAGE', {
      message: `the variable ${name} names no HTTP proxy`,
      hint: 'Write it as http://HOST:PORT. Proxies of other kinds, such as SOCKS, cannot be used.',
    });
  }
  const isEncrypted = url.protocol === 'https:';
  return {
    isEncrypted,
    host: bareHost(url),
    port: url.port === '' ? (isEncrypted ? 443 : 80) : Number(url.port),
    ...(url.username !== '' && { authorization: basicAuthorization(loginOf(url)) }),
  };
}

/** User name and password. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/** The login in a URL, unescaped. */
export function loginOf(url: URL): Login {
  return { user: unescape(url.username), password: unescape(url.password) };
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The value of an `Authorization` header (RFC 7617, in UTF-8). */
export function basicAuthorization({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** The host of a URL as a socket takes it: an IPv6 address without brackets. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** Entries: a host and all below it, `.domain` for what is below it only, an address, a range of addresses, each with a port or not; `*`. */
function isExempt(url: URL, noProxy: string): boolean {
  const host = bareHost(url);
  if (host === 'localhost' || isLoopback(host)) return true;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return noProxy
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .some((entry) => entry !== '' && matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isInRange(host, entry);
  const parts = /^(?<name>\[[^\]]*\]|[^:]*|[^:]*:[^:]*:.*?)(?::(?<port>[0-9]+))?$/.exec(entry);
  const wanted = parts?.groups?.['port'];
  if (wanted !== undefined && wanted !== port) return false;
  const name = (parts?.groups?.['name'] ?? '').replace(/^\[|\]$/g, '').replace(/^\*\./, '.');
  if (name.startsWith('.')) return host.endsWith(name);
  return name !== '' && (host === name || host.endsWith(`.${name}`));
}

function isLoopback(host: string): boolean {
  return host === '::1' || isInRange(host, '127.0.0.0/8');
}

function isInRange(host: string, range: string): boolean {
  const [network = '', bits = ''] = range.split('/');
  const kind = isIP(network);
  if (kind === 0 || isIP(host) !== kind || !/^[0-9]{1,3}$/.test(bits)) return false;
  if (Number(bits) > (kind === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const family = kind === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, Number(bits), family);
  return list.check(host, family);
}
