import { RestError } from '@azure/storage-blob';

import { cancelled } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, HoldfastError, type HoldfastErrorOptions } from '../../base/errors.ts';
import { invalidAnswer, statusError, translateConnection } from '../http-errors.ts';
import type { AnswerHeaders } from '../http-message.ts';

/** What a failed call was doing. */
export interface FailedCall {
  readonly isWrite: boolean;
  /** What it was about, for people: `pack 0123456789`. */
  readonly file: string;
  readonly container: string;
  readonly host: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Codes of the service by what they mean here, matched before the status. @see learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const codes: Readonly<Record<string, ErrorCode>> = {
  BlobNotFound: 'FILE_NOT_FOUND',
  ContainerNotFound: 'REPOSITORY_NOT_FOUND',
  ResourceNotFound: 'FILE_NOT_FOUND',
  BlobAlreadyExists: 'FILE_EXISTS',
  ConditionNotMet: 'FILE_EXISTS',
  TargetConditionNotMet: 'FILE_EXISTS',
  UnauthorizedBlobOverwrite: 'FILE_EXISTS',
  InvalidRange: 'RANGE_NOT_SATISFIABLE',
  BlobArchived: 'FILE_ARCHIVED',
  BlobBeingRehydrated: 'FILE_ARCHIVED',
  AuthenticationFailed: 'CREDENTIALS_REFUSED',
  InvalidAuthenticationInfo: 'CREDENTIALS_REFUSED',
  NoAuthenticationInformation: 'CREDENTIALS_REFUSED',
  KeyBasedAuthenticationNotPermitted: 'PERMISSION_DENIED',
  AccountIsDisabled: 'PERMISSION_DENIED',
  BlobImmutableDueToPolicy: 'PERMISSION_DENIED',
  BlobImmutableDueToLegalHold: 'PERMISSION_DENIED',
  LeaseIdMissing: 'PERMISSION_DENIED',
  SnapshotsPresent: 'PERMISSION_DENIED',
  ContainerBeingDeleted: 'BACKEND_UNAVAILABLE',
  ServerBusy: 'BACKEND_UNAVAILABLE',
  OperationTimedOut: 'BACKEND_UNAVAILABLE',
  InternalError: 'BACKEND_UNAVAILABLE',
  Md5Mismatch: 'BACKEND_WRITE_FAILED',
  InvalidResourceName: 'LOCATION_INVALID',
  BlobAccessTierNotSupportedForAccountType: 'USAGE',
};

/** Requests are refused whose time is further off than this. @see "Authorize with Shared Key", specifying the date header */
const skewMsMax = 15 * 60 * 1000;

/** The error for a failed call. Errors of ours and those of defects pass unchanged. No text of the answer gets into it. */
export function translate(error: unknown, call: FailedCall): Error {
  if (call.signal?.aborted) return cancelled(call.signal);
  if (error instanceof HoldfastError) return error;
  if (error instanceof RestError && error.statusCode !== undefined) return refused(error, call);
  if (error instanceof RestError) return senseless(call);
  if (error instanceof RangeError && error.message.startsWith('File download response')) {
    return senseless(call);
  }
  if (error instanceof Error && error.message.startsWith('Data corruption failure')) {
    return new HoldfastError('BACKEND_READ_FAILED', {
      message: 'the storage sent another number of bytes than it said',
      details: { file: call.file },
    });
  }
  return translateConnection(error, call.host);
}

/** Code of an answer that is no success: `BlobNotFound`; empty if there is none. */
export function answerCode(error: RestError): string {
  // An answer to HEAD has no body.
  const code = error.response?.headers.get('x-ms-error-code') ?? error.code ?? '';
  return /^[A-Za-z]{1,64}$/.test(code) ? code : '';
}

function refused(error: RestError, call: FailedCall): HoldfastError {
  const status = error.statusCode ?? 0;
  const answered = answerCode(error);
  const headers: AnswerHeaders = error.response?.headers.toJSON() ?? {};
  const byStatus = statusError({ ...call, status, headers });
  if (status < 300) return senseless(call);
  const known = codes[answered] ?? (status === 401 ? 'CREDENTIALS_REFUSED' : undefined);
  const code = known === 'CREDENTIALS_REFUSED' && isSkewed(headers, call) ? 'CLOCK_SKEWED' : known;
  const isBare = code === undefined || code === byStatus.code;
  return new HoldfastError(code ?? byStatus.code, {
    ...(isBare && { message: byStatus.message, ...(byStatus.hint && { hint: byStatus.hint }) }),
    details: { file: call.file, answer: `${status} ${answered}`.trim() },
    ...(byStatus.retryAfterMs !== undefined && { retryAfterMs: byStatus.retryAfterMs }),
    ...told(code, answered, { headers, call }),
  });
}

/** What there is to say beyond the code's own sentence. */
function told(
  code: ErrorCode | undefined,
  answered: string,
  { headers, call }: { readonly headers: AnswerHeaders; readonly call: FailedCall },
): HoldfastErrorOptions {
  const sentence = sentences[answered];
  if (code === 'REPOSITORY_NOT_FOUND') {
    return {
      message: `there is no container "${call.container}" in the storage account`,
      hint: 'Check the location; "holdfast init" makes the container of a new repository.',
    };
  }
  if (code === 'CLOCK_SKEWED') {
    const minutes = Math.round(skewMs(headers, call) / 60_000);
    const side = minutes < 0 ? 'behind' : 'ahead of';
    return {
      message: `the clock of this machine is ${Math.abs(minutes)} min ${side} the storage's`,
    };
  }
  if (code === 'CREDENTIALS_REFUSED') {
    return {
      hint: 'Look at AZURE_ACCOUNT_NAME, and at AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS, which may have expired.',
    };
  }
  if (sentence !== undefined) return { message: sentence };
  if (!answered.startsWith('Authorization')) return {};
  return {
    hint: 'Look at the key, at what the shared access signature permits, and at the network rules of the storage account.',
  };
}

const sentences: Readonly<Record<string, string>> = {
  BlobArchived: 'a file is in the archive tier, from where it cannot be read at once',
  BlobBeingRehydrated: 'a file is being brought back from the archive tier, which takes hours',
  KeyBasedAuthenticationNotPermitted: 'the storage account does not permit access by its key',
  AccountIsDisabled: 'the storage account is disabled',
  BlobImmutableDueToPolicy: 'a file is locked against changes for some time',
  BlobImmutableDueToLegalHold: 'a file is locked against changes by a legal hold',
  LeaseIdMissing: 'somebody else has a lease on a file',
  SnapshotsPresent: 'a file has snapshots of the storage, which Holdfast does not remove',
  ContainerBeingDeleted: 'the container is being deleted',
  Md5Mismatch: 'what arrived at the storage is not what was sent',
  InvalidResourceName: 'the name of the container is not valid',
  BlobAccessTierNotSupportedForAccountType: 'the storage account does not have this access tier',
};

function isSkewed(headers: AnswerHeaders, call: FailedCall): boolean {
  return Math.abs(skewMs(headers, call)) > skewMsMax;
}

/** How far our clock is ahead of the server's; 0 if it does not say. */
function skewMs(headers: AnswerHeaders, { clock }: FailedCall): number {
  const { date } = headers;
  const serverMs = Date.parse(typeof date === 'string' ? date : '');
  return Number.isNaN(serverMs) ? 0 : clock.wallMs() - serverMs;
}

/** The SDK could not make sense of what came. */
function senseless({ file }: FailedCall): HoldfastError {
  return invalidAnswer('the storage gives an answer that is none of Azure Blob Storage', { file });
}
