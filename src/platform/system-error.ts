import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { type ErrorCode, HoldfastError, systemCode } from '../base/errors.ts';
import { type Place, printablePath } from './place.ts';

/** What stands as `cause` of a translated error: the call and the POSIX code, as Node's own errors have them. */
export class SystemError extends Error {
  readonly code: string;
  readonly syscall: string;

  constructor(code: string, syscall: string) {
    super(`${code}: ${syscall}`);
    this.name = 'SystemError';
    this.code = code;
    this.syscall = syscall;
  }
}

const codeOfSystem: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'FILE_NOT_FOUND',
  EEXIST: 'FILE_EXISTS',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'STORAGE_FULL',
  EROFS: 'READ_ONLY',
};

/** Names of error numbers; where two names share a number, the one that POSIX prefers. */
const namesOfErrno: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  [constants.errno.EAGAIN, 'EAGAIN'],
  [constants.errno.ENOTSUP, 'ENOTSUP'],
]);

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  return namesOfErrno.get(errno) ?? `E${errno}`;
}

/** What a failed call is about. */
export interface FailedCall {
  readonly call: string;
  readonly place: Place | undefined;
}

/**
 * The error for a failed system call: FILE_NOT_FOUND, FILE_EXISTS, PERMISSION_DENIED, STORAGE_FULL, READ_ONLY, else
 * SYSTEM_CALL_FAILED. Its details name the call, the POSIX code and the path; its cause has `.code`.
 */
export function systemError(failed: FailedCall, code: string, cause?: unknown): HoldfastError {
  const path = failed.place === undefined ? undefined : describePlace(failed.place);
  return new HoldfastError(codeOfSystem[code] ?? 'SYSTEM_CALL_FAILED', {
    details: { call: failed.call, code, ...(path === undefined ? {} : { path }) },
    cause: cause ?? new SystemError(code, failed.call),
  });
}

/** The error for what is not there. */
export function missingError(call: string, place: Place): HoldfastError {
  return systemError({ call, place }, 'ENOENT');
}

/** Translates what `node:fs` threw; an error of ours passes as it is. */
export function fromNodeError(failed: FailedCall, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  return systemError(failed, systemCode(error) ?? 'UNKNOWN', error);
}

/** A place as text for a person. For a descriptor the path it was opened by, where the system tells. */
export function describePlace(place: Place): string {
  if (place instanceof Uint8Array) return printablePath(place);
  if (typeof place === 'number') return describeDescriptor(place);
  return `${describeDescriptor(place.directory)}/${printablePath(place.name)}`;
}

function describeDescriptor(file: number): string {
  try {
    return printablePath(readlinkSync(`/proc/self/fd/${file}`, { encoding: 'buffer' }));
  } catch {
    return `descriptor ${file}`;
  }
}

/** POSIX code of an error, whether Node's or ours. */
export function posixCode(error: unknown): string | undefined {
  if (error instanceof HoldfastError) return systemCode(error.cause);
  return systemCode(error);
}
