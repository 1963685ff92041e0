import path from 'node:path';

import { HoldfastError } from '../base/errors.ts';

/** A repository location, taken apart. Prefixes and paths are cleaned and have no slash at their end. */
export type Location =
  | { readonly scheme: 'local'; readonly path: string }
  | SftpLocation
  /** `url` ends with a slash and may hold user and password; a Unix socket is `http+unix:///socket:/path/`. */
  | { readonly scheme: 'rest' | 'webdav'; readonly url: string }
  | S3Location
  | { readonly scheme: 'azure' | 'swift'; readonly container: string; readonly prefix: string }
  | { readonly scheme: 'gs' | 'b2'; readonly bucket: string; readonly prefix: string }
  /** `remote` as rclone understands it: `remote:path`. */
  | { readonly scheme: 'rclone'; readonly remote: string };

/**
 * `sftp:USER@HOST:PATH` or `sftp://USER:PASSWORD@HOST:PORT/PATH`, percent-decoded where it is a URL. An IPv6 host has
 * no brackets; a port is 1 to 65535. May hold a password: shown through `redactLocation` only.
 */
export interface SftpLocation {
  readonly scheme: 'sftp';
  readonly host: string;
  readonly user?: string;
  readonly password?: string;
  readonly port?: number;
  /** Relative to the login folder unless it starts with a slash; `''` is the login folder. */
  readonly path: string;
}

/**
 * `s3:HOST/BUCKET/PREFIX` or `s3:http://HOST/…`. Holds no keys. `isEncrypted` (HTTPS) unless `http:` was written; the
 * prefix has no slash at its end, and is `''` for the whole bucket.
 */
export interface S3Location {
  readonly scheme: 's3';
  /** `host` or `host:port`. */
  readonly endpoint: string;
  readonly isEncrypted: boolean;
  readonly bucket: string;
  readonly prefix: string;
}

/** The kind of a storage: what stands before the first colon of its location, `local` for a path. */
export type Scheme = Location['scheme'];

const parsers: Readonly<Record<Scheme, (rest: string) => Location>> = {
  local: parseLocal,
  sftp: parseSftp,
  rest: (rest) => ({ scheme: 'rest', url: parseHttpUrl('rest', rest) }),
  webdav: (rest) => ({ scheme: 'webdav', url: parseHttpUrl('webdav', rest) }),
  s3: parseS3,
  azure: (rest) => {
    const { name, prefix } = parseBucket('azure', 'container', rest);
    return { scheme: 'azure', container: name, prefix };
  },
  gs: (rest) => {
    const { name, prefix } = parseBucket('gs', 'bucket', rest);
    return { scheme: 'gs', bucket: name, prefix };
  },
  b2: parseB2,
  swift: parseSwift,
  rclone: (rest) => {
    if (rest === '') throw invalid('rclone: the remote is missing: rclone:REMOTE:PATH');
    return { scheme: 'rclone', remote: rest };
  },
};

/** All schemes, also of storages that this version cannot open. */
export const schemes: readonly Scheme[] = [
  'local',
  'sftp',
  'rest',
  'webdav',
  's3',
  'azure',
  'gs',
  'b2',
  'swift',
  'rclone',
];

/**
 * Takes a repository location apart, as restic does.
 *
 * Stricter than restic where it accepts what cannot work: an empty path, host, bucket or container.
 *
 * @throws LOCATION_INVALID; its text holds no password
 * @see docs/FORMAT.md#locations
 */
export function parseLocation(location: string): Location {
  if (location === '') throw invalid('the repository location is empty');
  if (location.includes('\0')) throw invalid('the repository location holds a zero byte');
  const colon = location.indexOf(':');
  const word = colon < 0 ? location : location.slice(0, colon);
  const scheme = schemes.find((known) => known === word);
  if (scheme) {
    if (colon < 0) {
      const hint = `For a folder of this name write "./${word}".`;
      throw invalid(`the repository location "${word}" lacks what comes after "${word}:"`, hint);
    }
    return parsers[scheme](location.slice(colon + 1));
  }
  if (colon < 0 || isPath(location)) return { scheme: 'local', path: location };
  throw unknownScheme(word, location);
}

/** Password in a location's URL becomes `***`. Never throws, also for what is no location. */
export function redactLocation(location: string): string {
  if (!location.includes('://')) {
    const isSftp = location.startsWith('sftp:');
    // A path of sftp may hold an "@"; what stands before a slash may be a password.
    const login = isSftp ? /^(sftp:[^/@:]*:)[^/]*@/s : /^((?:rest|webdav|s3):[^/@:]*:).*@/s;
    return location.replace(login, '$1***@');
  }
  let start = location.indexOf('://') + 3;
  while (location[start] === '/' || location[start] === '\\') start++;
  const slash = location.indexOf('/', start);
  const authorityEnd = slash < 0 ? location.length : slash;
  const colon = location.indexOf(':', start);
  if (colon < 0 || colon > authorityEnd) return location;
  if (location[start] === '[' && !location.slice(start, authorityEnd).includes('@'))
    return location;
  let at = location.lastIndexOf('@', authorityEnd - 1);
  const host = location.slice(Math.max(at, colon) + 1, authorityEnd);
  // `user:pa/ss@host` is no valid URL, but holds a password all the same; `host:8000/a@b` holds none.
  const isWhole = at < start ? /^[0-9]*$/.test(host) : /^[\w.:[\]%-]+$/.test(host);
  if (!isWhole) at = location.lastIndexOf('@');
  return at > colon ? `${location.slice(0, colon + 1)}***${location.slice(at)}` : location;
}

/** Looks like a path although it holds a colon. `./a:b` does not, as in restic. */
function isPath(text: string): boolean {
  return /^(?:\/|\\|\.\.[/\\]|[A-Za-z]:[/\\])/.test(text);
}

function unknownScheme(word: string, location: string): HoldfastError {
  if (/^(?:https?|http\+unix)$/.test(word)) {
    return invalid(`"${word}:" is no kind of storage`, `For a REST server write "rest:${word}:…".`);
  }
  const hint = 'For a folder of this machine write "local:" before it.';
  const shown = redactLocation(location);
  return invalid(`"${shown}" is no repository location: unknown kind of storage`, hint);
}

function parseLocal(rest: string): Location {
  if (rest === '') throw invalid('local: the path is missing: local:PATH');
  return { scheme: 'local', path: rest };
}

function parseSftp(rest: string): Location {
  const location = rest.startsWith('//') ? parseSftpUrl(rest.slice(2)) : parseSftpShort(rest);
  if (location.host === '') throw invalid('sftp: the host is missing');
  if (location.path.startsWith('~')) {
    throw invalid(
      'sftp: a path cannot start with "~"',
      'A relative path starts in the login folder already.',
    );
  }
  return location;
}

/** `[user@]host:path`; the path may hold colons, the user may hold `@`. */
function parseSftpShort(rest: string): SftpLocation {
  const colon = rest.indexOf(':');
  if (colon < 0) throw invalid('sftp: the path is missing: sftp:USER@HOST:PATH');
  const at = rest.lastIndexOf('@', colon);
  const user = at < 0 ? {} : { user: rest.slice(0, at) };
  const host = rest.slice(at + 1, colon);
  return { scheme: 'sftp', host, ...user, path: cleanPath(rest.slice(colon + 1)) };
}

/** `[user@]host[:port]/path`: one slash for a relative path, two for an absolute one. */
function parseSftpUrl(rest: string): SftpLocation {
  const match =
    /^(?:(?<login>[^/]*)@)?(?<host>\[[^\]/]*\]|[^:/@]*)(?<port>:[^/]*)?\/(?<path>.*)$/s.exec(rest);
  const groups = match?.groups;
  if (!groups) throw invalid('sftp: the location is not sftp://USER@HOST:PORT/PATH');
  return {
    scheme: 'sftp',
    host: (groups['host'] ?? '').replace(/^\[|\]$/g, ''),
    ...parseLogin(groups['login']),
    ...parsePort(groups['port']),
    path: cleanPath(decodePercent(groups['path'] ?? '')),
  };
}

function parseLogin(login: string | undefined): { user?: string; password?: string } {
  if (login === undefined || login === '') return {};
  const colon = login.indexOf(':');
  if (colon < 0) return { user: decodePercent(login) };
  return {
    user: decodePercent(login.slice(0, colon)),
    password: decodePercent(login.slice(colon + 1)),
  };
}

function parsePort(text: string | undefined): { port?: number } {
  if (text === undefined || text === ':') return {};
  const port = /^:[0-9]{1,5}$/.test(text) ? Number(text.slice(1)) : 0;
  if (port < 1 || port > 65535) throw invalid('sftp: the port is not a number from 1 to 65535');
  return { port };
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('the location holds a "%" that is not followed by two hex digits');
  }
}

function parseHttpUrl(scheme: 'rest' | 'webdav', rest: string): string {
  const protocols = scheme === 'rest' ? ['http:', 'https:', 'http+unix:'] : ['http:', 'https:'];
  const form = `${scheme}:https://USER:PASSWORD@HOST:PORT/PATH/`;
  if (!URL.canParse(rest)) throw invalid(`${scheme}: the location is not ${form}`);
  const url = new URL(rest);
  // The URL parser passes over further slashes and over line ends, and then sees a password where nobody else does.
  const isPlain = /^(?:https?:\/\/[^/\\\t\n\r]|http\+unix:\/\/)[^\t\n\r]*$/i.test(rest);
  if (!protocols.includes(url.protocol) || !isPlain) {
    throw invalid(`${scheme}: the location is not ${form}`);
  }
  return rest.endsWith('/') ? rest : `${rest}/`;
}

function parseS3(rest: string): Location {
  const url = /^(?<protocol>https?):\/\/(?<path>.*)$/s.exec(rest)?.groups;
  const text = url?.['path'] ?? rest.replace(/^\/\//, '');
  const [endpoint = '', bucket = '', ...more] = text.split('/');
  if (endpoint === '' || /^https?:$/.test(endpoint)) {
    throw invalid('s3: the host is missing: s3:HOST/BUCKET/PREFIX');
  }
  if (endpoint.includes('@')) {
    throw invalid(
      's3: a location holds no keys',
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    );
  }
  if (bucket === '') throw invalid('s3: the bucket is missing: s3:HOST/BUCKET/PREFIX');
  const isEncrypted = url?.['protocol'] !== 'http';
  return { scheme: 's3', endpoint, isEncrypted, bucket, prefix: cleanPrefix(more.join('/')) };
}

function parseBucket(scheme: Scheme, what: string, rest: string): { name: string; prefix: string } {
  const colon = rest.indexOf(':');
  if (colon < 0) {
    throw invalid(`${scheme}: the colon after the ${what} is missing: ${scheme}:NAME:/PREFIX`);
  }
  if (colon === 0) throw invalid(`${scheme}: the ${what} is missing: ${scheme}:NAME:/PREFIX`);
  return { name: rest.slice(0, colon), prefix: cleanPrefix(rest.slice(colon + 1)) };
}

function parseB2(rest: string): Location {
  const colon = rest.indexOf(':');
  const bucket = colon < 0 ? rest : rest.slice(0, colon);
  if (!/^[A-Za-z0-9-]{6,50}$/.test(bucket)) {
    throw invalid('b2: a bucket has 6 to 50 letters, digits and dashes: b2:BUCKET:PREFIX');
  }
  return { scheme: 'b2', bucket, prefix: colon < 0 ? '' : cleanPrefix(rest.slice(colon + 1)) };
}

function parseSwift(rest: string): Location {
  const { name, prefix } = parseBucket('swift', 'container', rest);
  if (!rest.slice(name.length + 1).startsWith('/')) {
    throw invalid('swift: the path must start with a slash: swift:CONTAINER:/PATH');
  }
  return { scheme: 'swift', container: name, prefix };
}

/** As Go's path.Clean, but `''` for the folder itself. */
function cleanPath(text: string): string {
  const clean = path.posix.normalize(text);
  if (clean === '.' || clean === './') return '';
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

function cleanPrefix(text: string): string {
  return cleanPath(text.replace(/^\/+/, ''));
}

function invalid(message: string, hint?: string): HoldfastError {
  return new HoldfastError('LOCATION_INVALID', { message, ...(hint !== undefined && { hint }) });
}
