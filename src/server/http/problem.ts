import { type ErrorCode, errorTable, HoldfastError, systemCode } from '../../base/errors.ts';
import { harmlessLine } from '../../base/harmless-text.ts';
import { FieldError } from '../state/estate-store.ts';

/** What is wrong with a request, as RFC 9457 writes it, with the codes of docs/ERRORS.md. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
  /** Fields that are wrong. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  /** Names the request in the server's log. */
  readonly 'request-id': string;
}

/** The answer to a request that failed. Of what is no error of ours nothing is told but the id of the request. */
export function problemOf(error: unknown, requestId: string): ProblemDocument {
  const known = knownError(error);
  const { code } = known;
  const row = errorTable[code];
  const detail = harmlessLine(known.message);
  return {
    type: `urn:holdfast:error:${code}`,
    title: row.summary,
    status: row.httpStatus,
    code,
    ...(detail === row.summary || isInternal(code) ? {} : { detail }),
    ...(known.hint === undefined ? {} : { hint: known.hint }),
    ...(known instanceof FieldError
      ? {
          errors: known.problems.map(({ path, message }) => ({
            field: path.join('.'),
            message: harmlessLine(message),
          })),
        }
      : {}),
    'request-id': requestId,
  };
}

/** What goes wrong inside is for the log alone. */
function isInternal(code: ErrorCode): boolean {
  return errorTable[code].httpStatus >= 500 && errorTable[code].retry === 'never';
}

function knownError(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (isDatabaseAway(error)) return new HoldfastError('STATE_FAILED');
  const foreign = codeOfFramework(error);
  if (foreign) return new HoldfastError(foreign[0], { message: foreign[1] });
  return new HoldfastError('ASSERTION_FAILED');
}

/** Connections that break or are not made, and the classes of PostgreSQL's errors that say so. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const awayCodes =
  /^(?:E(?:CONNREFUSED|CONNRESET|NOENT|PIPE|TIMEDOUT)|ERR_SQLITE_ERROR|(?:08|53|57)\w{3})$/;

function isDatabaseAway(error: unknown): boolean {
  const code = systemCode(error);
  return code !== undefined && awayCodes.test(code);
}

/** Errors of the web framework and its parsers, by their codes. */
function codeOfFramework(error: unknown): readonly [ErrorCode, string] | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return ['REQUEST_TOO_LARGE', 'the body is too large'];
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return ['REQUEST_INVALID', 'the body must be JSON: Content-Type application/json'];
  }
  if (code === 'FST_ERR_NOT_FOUND' || statusCode === 404)
    return ['NOT_THERE', 'there is no such path'];
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return ['REQUEST_INVALID', 'the body is not valid JSON'];
  }
  return undefined;
}
