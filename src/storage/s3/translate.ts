import { cancelled } from '../../base/abort.ts';
import { type ErrorCode, HoldfastError, type HoldfastErrorOptions } from '../../base/errors.ts';
import { translateConnection } from '../http-errors.ts';

/** What a failed call was doing. */
export interface FailedCall {
  readonly action: 'read' | 'write';
  /** What it was about, for people: `pack 0123456789`. */
  readonly subject: string;
  readonly bucket: string;
  readonly host: string;
  readonly signal?: AbortSignal | undefined;
  /** The clock of this machine, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** What an answer says that is an error. Nothing of its text: it may hold keys, and whoever answers wrote it. */
export interface Refusal {
  /** Such as `NoSuchKey`; empty if none came. */
  readonly code: string;
  /** Status of HTTP; 0 if none came. */
  readonly status: number;
  /** The region that the server wants to be asked by. */
  readonly region: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Codes of S3 by what they mean here. Matched before the status. */
const codes: Readonly<Record<string, ErrorCode>> = {
  NoSuchKey: 'FILE_NOT_FOUND',
  NotFound: 'FILE_NOT_FOUND',
  NoSuchBucket: 'FILE_NOT_FOUND',
  PreconditionFailed: 'FILE_EXISTS',
  InvalidRange: 'RANGE_NOT_SATISFIABLE',
  InvalidObjectState: 'FILE_ARCHIVED',
  InvalidAccessKeyId: 'CREDENTIALS_REFUSED',
  SignatureDoesNotMatch: 'CREDENTIALS_REFUSED',
  ExpiredToken: 'CREDENTIALS_REFUSED',
  ExpiredTokenException: 'CREDENTIALS_REFUSED',
  TokenRefreshRequired: 'CREDENTIALS_REFUSED',
  InvalidToken: 'CREDENTIALS_REFUSED',
  InvalidTokenId: 'CREDENTIALS_REFUSED',
  InvalidClientTokenId: 'CREDENTIALS_REFUSED',
  CredentialsProviderError: 'CREDENTIALS_REFUSED',
  TokenProviderError: 'CREDENTIALS_REFUSED',
  RequestTimeTooSkewed: 'CLOCK_SKEWED',
  RequestInTheFuture: 'CLOCK_SKEWED',
  AuthorizationHeaderMalformed: 'LOCATION_INVALID',
  InvalidRegionName: 'LOCATION_INVALID',
  IllegalLocationConstraintException: 'LOCATION_INVALID',
  InvalidBucketName: 'LOCATION_INVALID',
  PermanentRedirect: 'LOCATION_INVALID',
  TemporaryRedirect: 'LOCATION_INVALID',
  Redirect: 'LOCATION_INVALID',
  AccessDenied: 'PERMISSION_DENIED',
  MethodNotAllowed: 'PERMISSION_DENIED',
  QuotaExceeded: 'STORAGE_FULL',
  XMinioStorageFull: 'STORAGE_FULL',
  SlowDown: 'BACKEND_UNAVAILABLE',
  SlowDownRead: 'BACKEND_UNAVAILABLE',
  SlowDownWrite: 'BACKEND_UNAVAILABLE',
  RequestLimitExceeded: 'BACKEND_UNAVAILABLE',
  RequestTimeout: 'BACKEND_UNAVAILABLE',
  ConditionalRequestConflict: 'BACKEND_WRITE_FAILED',
  OperationAborted: 'BACKEND_WRITE_FAILED',
  XAmzContentSHA256Mismatch: 'BACKEND_WRITE_FAILED',
  BadDigest: 'BACKEND_WRITE_FAILED',
  InvalidDigest: 'BACKEND_WRITE_FAILED',
  IncompleteBody: 'BACKEND_WRITE_FAILED',
  NotImplemented: 'UNSUPPORTED',
};

const statuses: Readonly<Record<number, ErrorCode>> = {
  401: 'CREDENTIALS_REFUSED',
  403: 'PERMISSION_DENIED',
  404: 'FILE_NOT_FOUND',
  405: 'PERMISSION_DENIED',
  408: 'BACKEND_UNAVAILABLE',
  412: 'FILE_EXISTS',
  416: 'RANGE_NOT_SATISFIABLE',
  429: 'BACKEND_UNAVAILABLE',
  502: 'BACKEND_UNAVAILABLE',
  503: 'BACKEND_UNAVAILABLE',
  504: 'BACKEND_UNAVAILABLE',
  507: 'STORAGE_FULL',
};

/**
 * What a 400 is called where the server could not read the request, as where the line cut it: nothing, by the SDK; an error of its
 * parser, where the body is no XML; and Amazon's own name for it.
 */
const unreadCodes: readonly string[] = [
  '',
  'Unknown',
  'UnknownError',
  'Error',
  'SyntaxError',
  'BadRequest',
];
const unreadStatus = 400;

/** A server that asks for more patience than a call has is not waited for. */
const retryAfterMsMax = 3_600_000;

/** The error for a failed request. Errors of ours and those of defects pass unchanged. */
export function translate(error: unknown, call: FailedCall): Error {
  if (call.signal?.aborted) return cancelled(call.signal);
  if (error instanceof HoldfastError) return error;
  const refusal = readRefusal(error);
  if (refusal && refusal.status >= 200 && refusal.status < 300) return noAnswerOfS3(call);
  if (refusal) return refused(refusal, call);
  if (!(error instanceof Error)) return new Error(String(error));
  // The SDK could not make sense of what came: not XML, or no answer of S3.
  if (error instanceof SyntaxError || '$response' in error) return noAnswerOfS3(call);
  return translateConnection(error, call.host);
}

/** What an error of the SDK says that stands for an answer, or for keys that were not found; undefined for others. */
export function readRefusal(error: unknown): Refusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const status = numberIn(objectIn(error, '$metadata'), 'httpStatusCode');
  const isOfKeys = /^(?:Credentials|Token)ProviderError$/.test(error.name);
  if (status === undefined && !isOfKeys) return undefined;
  const headers = objectIn(objectIn(error, '$response'), 'headers');
  const plain = Object.entries(headers ?? {}).filter((entry): entry is [string, string] => {
    return typeof entry[1] === 'string';
  });
  const named = Object.fromEntries(plain);
  const region = stringIn(error, 'Region') ?? named['x-amz-bucket-region'];
  return {
    code: /^[A-Za-z0-9.]{1,64}$/.test(error.name) ? error.name : '',
    status: status ?? 0,
    region: region !== undefined && /^[a-z0-9-]{1,64}$/.test(region) ? region : undefined,
    headers: named,
  };
}

/** How long a server asks to be left alone; undefined if it does not say. @see RFC 9110, 10.2.3 */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return ms > 0 ? Math.min(ms, retryAfterMsMax) : undefined;
}

function refused(refusal: Refusal, call: FailedCall): HoldfastError {
  const { status } = refusal;
  const code = codes[refusal.code] ?? statuses[status] ?? otherwise(refusal, call);
  const details = {
    file: call.subject,
    answer: [status || '', refusal.code].filter((part) => part !== '').join(' ') || undefined,
  };
  return new HoldfastError(code, { details, ...told(code, refusal, call) });
}

function otherwise(refusal: Refusal, call: FailedCall): ErrorCode {
  const { status } = refusal;
  if (status >= 300 && status < 400) return 'LOCATION_INVALID';
  if (isUnread(refusal)) return failureOf(call);
  return status >= 400 && status < 500 ? 'UNSUPPORTED' : failureOf(call);
}

/** The next request may arrive whole. */
function isUnread({ status, code }: Refusal): boolean {
  return status === unreadStatus && unreadCodes.includes(code);
}

/** What there is to say beyond the code's own sentence. */
function told(code: ErrorCode, refusal: Refusal, call: FailedCall): HoldfastErrorOptions {
  if (code === 'LOCATION_INVALID') return misplaced(refusal, call);
  if (code === 'CREDENTIALS_REFUSED') return refusedKeys(refusal);
  if (code === 'CLOCK_SKEWED') return skewed(refusal, call);
  if (refusal.code === 'NoSuchBucket') return { message: `there is no bucket "${call.bucket}"` };
  if (code === 'UNSUPPORTED') return { message: 'the storage refused a request' };
  if (isUnread(refusal)) return { message: 'the storage could not make out a request' };
  if (code !== 'BACKEND_UNAVAILABLE') return {};
  return {
    message: 'the storage is too busy or does not work',
    retryAfterMs: retryAfterMs(refusal.headers['retry-after'], call.nowMs),
  };
}

function misplaced({ region, status, code }: Refusal, call: FailedCall): HoldfastErrorOptions {
  if (region !== undefined) {
    return {
      message: `the bucket "${call.bucket}" is in the region "${region}"`,
      hint: `Use "-o s3.region=${region}", and with Amazon the host s3.${region}.amazonaws.com.`,
    };
  }
  if (code === 'InvalidRegionName') {
    return {
      message: 'the storage knows no such region',
      hint: 'Name the region that it gives with "-o s3.region", or none.',
    };
  }
  if (status < 300 || status >= 400)
    return { message: `the storage refused the location: ${code}` };
  return {
    message: 'the storage sends us to another host, which is not followed',
    hint: 'Name the host, the region (-o s3.region) and the way of naming the bucket (-o s3.bucket-lookup) that it is reached by.',
  };
}

const keySentences: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the storage does not know the access key',
  SignatureDoesNotMatch: 'the secret key does not fit the access key',
  ExpiredToken: 'the session of the credentials has expired',
  ExpiredTokenException: 'the session of the credentials has expired',
  InvalidToken: 'the session of the credentials is not valid',
  InvalidTokenId: 'the session of the credentials is not valid, or has expired',
  TokenRefreshRequired: 'the session of the credentials has expired',
  CredentialsProviderError: 'no credentials were found for the storage',
  TokenProviderError: 'no credentials were found for the storage',
};

function refusedKeys({ code }: Refusal): HoldfastErrorOptions {
  const message = keySentences[code];
  if (message === undefined) return {};
  if (code !== 'SignatureDoesNotMatch') return { message };
  // Some servers say the same of a wrong region.
  return { message, hint: 'Look at the keys, and at the region ("-o s3.region").' };
}

function skewed({ headers }: Refusal, { nowMs }: FailedCall): HoldfastErrorOptions {
  const serverMs = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(serverMs)) return {};
  const minutes = Math.round((nowMs - serverMs) / 60_000);
  const side = minutes < 0 ? 'behind' : 'ahead of';
  return { message: `the clock of this machine is ${Math.abs(minutes)} min ${side} the storage's` };
}

function noAnswerOfS3({ subject }: FailedCall): HoldfastError {
  return new HoldfastError('SERVER_ANSWER_INVALID', { details: { file: subject } });
}

function failureOf(call: FailedCall): ErrorCode {
  return call.action === 'read' ? 'BACKEND_READ_FAILED' : 'BACKEND_WRITE_FAILED';
}

function objectIn(holder: unknown, name: string): object | undefined {
  const value = memberOf(holder, name);
  return typeof value === 'object' && value !== null ? value : undefined;
}

function stringIn(holder: unknown, name: string): string | undefined {
  const value = memberOf(holder, name);
  return typeof value === 'string' ? value : undefined;
}

function numberIn(holder: unknown, name: string): number | undefined {
  const value = memberOf(holder, name);
  return typeof value === 'number' ? value : undefined;
}

function memberOf(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined;
}
