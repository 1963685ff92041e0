import { type HoldfastError, isHoldfastError } from '../../base/errors.ts';

/** True for failures that concern one file of the source only; every other one must end the run. */
export function isFileFailure(error: unknown): error is HoldfastError {
  return isHoldfastError(
    error,
    'SOURCE_FAILED',
    'SYSTEM_CALL_FAILED',
    'PERMISSION_DENIED',
    'FILE_NOT_FOUND',
  );
}
