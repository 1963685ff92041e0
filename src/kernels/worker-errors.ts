import { HoldfastError } from '../base/errors.ts';

/** An error in a form that survives `postMessage`. */
export interface SerializedError {
  readonly code: string;
}

export function serializeError(error: unknown): SerializedError {
  throw new Error('not there yet', { cause: error });
}

export function deserializeError(serialized: SerializedError): HoldfastError {
  return new HoldfastError('WORKER_FAILED', { details: { code: serialized.code } });
}
