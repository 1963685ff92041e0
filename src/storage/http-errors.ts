import type { Clock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, systemCode } from '../base/errors.ts';
import { type AnswerHeaders, headerOf } from './http-message.ts';

/** A request whose answer is no success, for the error that tells of it. */
export interface FailedRequest {
  readonly isWrite: boolean;
  /** The file, for people: `pack 0123456789`. */
  readonly file: string;
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly clock: Clock;
}

/** Codes of OpenSSL and Node for a server that is not the one that is meant, and for one that does not trust us. */
const distrust =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|ERR_SSL_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH)/;

const tlsSentences: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is signed by an authority that is not known",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the server's certificate is signed by an authority that is not known",
  UNABLE_TO_GET_ISSUER_CERT: "the server's certificate is signed by an authority that is not known",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the server's certificate is signed by an authority that is not known",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  CERT_REVOKED: "the server's certificate was revoked",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host",
};

const clockHint = 'Look at the clock of this machine, and renew the certificate of the server.';
const tlsHints: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: clockHint,
  CERT_NOT_YET_VALID: clockHint,
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use the host name that stands in the certificate.',
};

/** The error for a connection to `host` that failed. Errors of ours pass unchanged; so do defects. */
export function translateConnection(error: unknown, host: string): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (isHoldfastError(error)) return error;
  const code = systemCode(error) ?? '';
  if (distrust.test(code) || code === 'EPROTO') return notTrusted(error, code, host);
  const details = { host };
  if (code === 'EACCES' || code === 'EPERM') {
    return new HoldfastError('PERMISSION_DENIED', { details, cause: error });
  }
  if (code.startsWith('HPE_')) {
    const message = 'what the storage answers is no HTTP';
    return new HoldfastError('BACKEND_UNAVAILABLE', { message, details: { ...details, code } });
  }
  // A defect of ours is not tried again for 15 minutes.
  if (code === '' || code.startsWith('ERR_INVALID_')) return error;
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: connectionSentences[code] ?? 'the connection to the storage failed',
    details: { ...details, code },
  });
}

const connectionSentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the storage refuses connections',
  ENOENT: 'the socket of the storage does not exist',
  ENOTFOUND: 'the host of the storage was not found',
  EAI_AGAIN: 'the host of the storage could not be looked up',
  ECONNRESET: 'the storage closed the connection',
  EPIPE: 'the storage closed the connection',
  ETIMEDOUT: 'the storage does not answer',
  EHOSTUNREACH: 'the host of the storage cannot be reached',
  ENETUNREACH: 'the network of the storage cannot be reached',
};

/** What OpenSSL says of a connection that it cannot make; Node has it in a field, or in the text of an EPROTO. */
function tlsReason(error: Error): string | undefined {
  if ('reason' in error && typeof error.reason === 'string') return error.reason;
  return /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
}

function notTrusted(error: Error, code: string, host: string): HoldfastError {
  const reason = tlsReason(error) ?? code;
  const message =
    tlsSentences[code] ??
    (/wrong version number|packet length too long|http request/.test(reason)
      ? 'the server does not speak TLS'
      : 'no trusted connection to the server could be made');
  const hint = tlsHints[code];
  return new HoldfastError('SERVER_NOT_TRUSTED', {
    message,
    details: { host, ...(!tlsSentences[code] && { reason }) },
    ...(hint !== undefined && { hint }),
  });
}

const waitSentences: Readonly<Record<number, string>> = {
  423: 'another request holds a lock on the file in the storage',
  429: 'the storage asks for fewer requests',
};

/** The error for an answer that is no success; what a status means to one kind of request only is decided before. */
export function statusError(failed: FailedRequest): HoldfastError {
  const { status, file, isWrite } = failed;
  const details = { file, status };
  const failure = isWrite ? 'BACKEND_WRITE_FAILED' : 'BACKEND_READ_FAILED';
  switch (status) {
    case 401:
      return new HoldfastError('PERMISSION_DENIED', {
        message: 'the storage does not accept user name and password',
        details,
        hint: 'Put them into the URL, or into variables (see docs/STORES.md).',
      });
    case 403:
      return new HoldfastError('PERMISSION_DENIED', {
        message: 'the storage forbids it',
        details,
        hint: 'Look at the rights of this user there, and whether the storage is append-only.',
      });
    case 404:
    case 410:
      return new HoldfastError('FILE_NOT_FOUND', { details });
    case 407:
      return new HoldfastError('PERMISSION_DENIED', {
        message: 'the proxy does not accept user name and password',
        details,
      });
    case 413:
      return new HoldfastError('UNSUPPORTED', {
        message: 'the storage takes no files of this size',
        details,
        hint: 'Raise its limit, or use a smaller --pack-size.',
      });
    case 416:
      return new HoldfastError('RANGE_NOT_SATISFIABLE', { details });
    case 507:
      return new HoldfastError('STORAGE_FULL', { details });
    default:
  }
  const retryAfterMs = readRetryAfter(failed);
  if ([408, 423, 425, 429, 502, 503, 504].includes(status)) {
    const message = waitSentences[status];
    return new HoldfastError('BACKEND_UNAVAILABLE', {
      ...(message !== undefined && { message }),
      details,
      retryAfterMs,
    });
  }
  // 400: the server could not read the request, as where the line cut it; the next one may arrive whole.
  if (status >= 500 || status === 400) {
    return new HoldfastError(failure, { details, retryAfterMs });
  }
  return invalidAnswer('the storage answers with a status that it should not', details);
}

/** SERVER_ANSWER_INVALID: what no storage answers. */
export function invalidAnswer(
  message: string,
  details: Readonly<Record<string, string | number>>,
  hint?: string,
): HoldfastError {
  return new HoldfastError('SERVER_ANSWER_INVALID', {
    message,
    details,
    ...(hint !== undefined && { hint }),
  });
}

/** The header in its two forms: seconds, or a date, which is looked at by the server's own clock (RFC 9110, 10.2.3). */
function readRetryAfter({ headers, clock }: FailedRequest): number | undefined {
  const text = headerOf(headers, 'retry-after');
  if (text === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  const untilMs = Date.parse(text);
  if (Number.isNaN(untilMs)) return undefined;
  const serverMs = Date.parse(headerOf(headers, 'date') ?? '');
  return Math.max(0, untilMs - (Number.isNaN(serverMs) ? clock.wallMs() : serverMs));
}
