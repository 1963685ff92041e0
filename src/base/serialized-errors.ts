import { type ErrorCode, type ErrorDetail, errorTable, HoldfastError } from './errors.ts';

/** An error in a form that `postMessage` keeps whole; make it with `serializeError`. */
export interface SerializedError {
  /** Absent for errors that are not ours. */
  readonly code?: ErrorCode;
  readonly name: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, ErrorDetail>>;
  readonly hint?: string;
  /** Code of a system error, `ENOENT`. */
  readonly systemCode?: string;
  readonly stack?: string;
  readonly cause?: SerializedError;
}

/** Longer chains of causes are cut: nobody reads them, and a cycle would never end. */
const causeDepthMax = 8;

/** Takes an error apart, with its causes. Anything but an Error becomes one with its text. */
export function serializeError(error: unknown): SerializedError {
  return serializeAt(error, 1);
}

/**
 * Puts an error together again: code, message, details, hint and causes as they were. An error that was not
 * ours, name, message and system code kept, becomes the cause of a WORKER_FAILED.
 */
export function deserializeError(serialized: SerializedError): HoldfastError {
  const error = revive(serialized);
  if (error instanceof HoldfastError) return error;
  return new HoldfastError('WORKER_FAILED', { cause: error });
}

function revive(serialized: SerializedError): Error {
  const cause = serialized.cause && revive(serialized.cause);
  const error = serialized.code ? ownError(serialized, cause) : foreignError(serialized, cause);
  if (serialized.stack !== undefined) error.stack = serialized.stack;
  return error;
}

function serializeAt(error: unknown, depth: number): SerializedError {
  if (!(error instanceof Error)) return { name: 'Error', message: textOf(error) };
  const system = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const hasCause = error.cause !== undefined && depth < causeDepthMax;
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(hasCause ? { cause: serializeAt(error.cause, depth + 1) } : {}),
    ...(error instanceof HoldfastError ? ownParts(error) : {}),
    ...(error instanceof HoldfastError || system === undefined ? {} : { systemCode: system }),
  };
}

function ownParts(error: HoldfastError): Partial<SerializedError> {
  const { code, details, hint } = error;
  return hint === undefined ? { code, details } : { code, details, hint };
}

function ownError(serialized: SerializedError, cause: Error | undefined): HoldfastError {
  const code =
    serialized.code !== undefined && serialized.code in errorTable
      ? serialized.code
      : 'WORKER_FAILED';
  return new HoldfastError(code, {
    message: serialized.message,
    ...(serialized.details === undefined ? {} : { details: serialized.details }),
    ...(serialized.hint === undefined ? {} : { hint: serialized.hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function foreignError(serialized: SerializedError, cause: Error | undefined): Error {
  const error = new Error(serialized.message, cause === undefined ? {} : { cause });
  error.name = serialized.name;
  if (serialized.systemCode !== undefined) Object.assign(error, { code: serialized.systemCode });
  return error;
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'a value without text';
  }
}
