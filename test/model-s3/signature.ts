import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import type { Dialect } from './dialects.ts';
import { Refusal, refuse } from './refusal.ts';
import type { S3Request } from './request.ts';

/** Who may ask. */
export interface ModelUser {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string;
  readonly isExpired?: boolean;
  /** Says which operations it may do; default: all. `BypassGovernanceRetention` is asked for as one. */
  readonly may?: (operation: string, request: S3Request) => boolean;
}

/** What signatures are held against. */
export interface SignatureRules {
  readonly dialect: Dialect;
  readonly users: readonly ModelUser[];
  /** Of the server. */
  readonly nowMs: number;
  readonly region: string;
  /** Signed headers that are missing are refused, as newer servers do. */
  readonly isStrict: boolean;
}

const skewMsMax = 15 * 60_000;

/**
 * Finds out who sent a request, by the signature in its head.
 *
 * @throws Refusal as the vendor's server does
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function checkSignature(request: S3Request, rules: SignatureRules): ModelUser {
  const { dialect, users, nowMs } = rules;
  const { headers } = request;
  const said = parseAuthorization(headers.authorization ?? '');
  if (!said) throw new Refusal({ status: 403, code: 'AccessDenied' });
  const user = users.find(({ accessKeyId }) => accessKeyId === said.accessKeyId);
  // Which of several mistakes is told first differs as well.
  if (dialect.looksAtRegionFirst) checkRegion(said.region, rules);
  if (!user) throw new Refusal(dialect.unknownKey);
  checkSkew(String(headers['x-amz-date'] ?? ''), nowMs, dialect);
  if (!dialect.looksAtRegionFirst) checkRegion(said.region, rules);
  checkToken(user, headers['x-amz-security-token'], dialect);
  if (rules.isStrict) checkCovered(request, said.signedHeaders);
  if (!isEqual(said.signature, signatureOf(request, said, user.secretAccessKey))) {
    throw new Refusal(dialect.wrongSignature);
  }
  return user;
}

interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

function parseAuthorization(text: string): Authorization | undefined {
  const groups =
    /^AWS4-HMAC-SHA256 Credential=(?<key>[^/]+)\/(?<date>[0-9]{8})\/(?<region>[^/]*)\/s3\/aws4_request, *SignedHeaders=(?<signed>[^,]+), *Signature=(?<signature>[0-9a-f]{64})$/.exec(
      text,
    )?.groups;
  if (!groups) return undefined;
  const { key = '', date = '', region = '', signed = '', signature = '' } = groups;
  return { accessKeyId: key, date, region, signedHeaders: signed.split(';'), signature };
}

function checkRegion(region: string, { dialect, region: own }: SignatureRules): void {
  if (dialect.regions === 'any' || region === own || dialect.regions.includes(region)) return;
  const { namesIt, ...row } = dialect.wrongRegion;
  throw new Refusal(row, {
    message: `the region '${region}' is wrong; expecting '${own}'`,
    elements: namesIt ? [['Region', own]] : [],
  });
}

function checkSkew(text: string, nowMs: number, dialect: Dialect): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!match) throw refuse(403, 'AccessDenied');
  const [, year, month, day, hour, minute, second] = match;
  const sentMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Math.abs(nowMs - sentMs) > skewMsMax) throw new Refusal(dialect.skewed);
}

function checkToken(
  { sessionToken, isExpired }: ModelUser,
  token: string | readonly string[] | undefined,
  dialect: Dialect,
): void {
  if (isExpired) throw new Refusal(dialect.expiredToken);
  if (token !== sessionToken) throw new Refusal(dialect.invalidToken);
}

/** Headers that say what is to be done must be signed. */
function checkCovered({ headers }: S3Request, signed: readonly string[]): void {
  const open = Object.keys(headers).filter(
    (name) => /^(?:x-amz-.*|content-type|host)$/.test(name) && !signed.includes(name),
  );
  if (open.length > 0) throw refuse(403, 'AccessDenied');
}

function signatureOf(request: S3Request, said: Authorization, secret: string): string {
  const { headers } = request;
  const scope = `${said.date}/${said.region}/s3/aws4_request`;
  const canonical = [
    request.method,
    escapedAnew(request.path, '/'),
    canonicalQuery(request.queryText),
    ...said.signedHeaders.map(
      (name) =>
        `${name}:${String(headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    said.signedHeaders.join(';'),
    String(headers['x-amz-content-sha256'] ?? ''),
  ].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    String(headers['x-amz-date'] ?? ''),
    scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const key = [said.date, said.region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (from, part) => createHmac('sha256', from).update(part).digest(),
    `AWS4${secret}`,
  );
  return createHmac('sha256', key).update(text).digest('hex');
}

function canonicalQuery(text: string): string {
  const pairs = text.split('&').filter((pair) => pair !== '');
  return pairs
    .map((pair) => {
      const at = pair.indexOf('=');
      const name = at < 0 ? pair : pair.slice(0, at);
      return `${escapedAnew(name, '')}=${at < 0 ? '' : escapedAnew(pair.slice(at + 1), '')}`;
    })
    .sort()
    .join('&');
}

/** As RFC 3986 has it, however the client escaped it; `kept` stays as it is. */
function escapedAnew(text: string, kept: string): string {
  return encodeURIComponent(decodeURIComponent(text))
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', kept === '/' ? '/' : '%2F');
}

function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
