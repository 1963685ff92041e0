import { constants } from 'node:os';

import { type ErrorCode, HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';

/** What a failed call was doing. */
export interface FailedCall {
  readonly action: 'read' | 'write';
  /** The file or folder. */
  readonly path: string;
}

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'FILE_NOT_FOUND',
  EEXIST: 'FILE_EXISTS',
  ENOSPC: 'STORAGE_FULL',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EROFS: 'READ_ONLY',
  ENOTDIR: 'LOCATION_INVALID',
  EISDIR: 'LOCATION_INVALID',
  ELOOP: 'LOCATION_INVALID',
  ENAMETOOLONG: 'LOCATION_INVALID',
  EMFILE: 'BACKEND_UNAVAILABLE',
  ENFILE: 'BACKEND_UNAVAILABLE',
};

/** The error for a failed system call of this store. Other errors, ours and those of defects, pass unchanged. */
export function translate(error: unknown, call: FailedCall): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (isHoldfastError(error) || !('errno' in error)) return error;
  const fallback = call.action === 'read' ? 'BACKEND_READ_FAILED' : 'BACKEND_WRITE_FAILED';
  const code = isQuotaExceeded(error) ? 'STORAGE_FULL' : codes[systemCode(error) ?? ''];
  return new HoldfastError(code ?? fallback, { details: { path: call.path }, cause: error });
}

/** libuv has no name for EDQUOT: the code is `Unknown system error -122`. */
function isQuotaExceeded(error: { readonly errno: unknown }): boolean {
  return error.errno === -constants.errno.EDQUOT;
}
