import { type ErrorCode, HoldfastError } from '../../base/errors.ts';
import { StatusError } from './sftp-session.ts';
import { statusCodes } from './wire.ts';

/** What a failed call was doing. */
export interface FailedCall {
  readonly action: 'read' | 'write';
  /** The file or folder. */
  readonly path: string;
}

const codes: Readonly<Record<number, ErrorCode>> = {
  [statusCodes.noSuchFile]: 'FILE_NOT_FOUND',
  [statusCodes.permissionDenied]: 'PERMISSION_DENIED',
  [statusCodes.noConnection]: 'BACKEND_UNAVAILABLE',
  [statusCodes.connectionLost]: 'BACKEND_UNAVAILABLE',
  [statusCodes.unsupported]: 'UNSUPPORTED',
};

/** The error for what the server refused. Other errors pass unchanged. */
export function translate(error: unknown, call: FailedCall): unknown {
  if (!(error instanceof StatusError)) return error;
  const fallback = call.action === 'read' ? 'BACKEND_READ_FAILED' : 'BACKEND_WRITE_FAILED';
  return new HoldfastError(codes[error.status] ?? fallback, {
    details: { path: call.path },
    cause: error,
  });
}

/** A rejection handler that lets refusals with these statuses pass as `undefined`. */
export function ignore(...statuses: readonly number[]): (error: unknown) => undefined {
  return (error) => {
    if (!hasStatus(error, ...statuses)) throw error;
    return undefined;
  };
}

/** True for a refusal with one of these statuses. */
export function hasStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof StatusError && statuses.includes(error.status);
}
