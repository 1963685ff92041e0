import { HoldfastError } from './errors.ts';

/** Throws ASSERTION_FAILED unless `condition` holds. For programmer errors only; always on. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition)
    throw new HoldfastError('ASSERTION_FAILED', { message: `internal check failed: ${what}` });
}

/** Marks a branch that the types prove unreachable. */
export function unreachable(value: never): never {
  throw new HoldfastError('ASSERTION_FAILED', { message: `unexpected value: ${String(value)}` });
}

/** Returns `value`, which the caller knows to be there. */
export function defined<T>(value: T | undefined | null, what: string): T {
  assert(value !== undefined && value !== null, what);
  return value;
}
