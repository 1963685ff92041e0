import { isDeepStrictEqual } from 'node:util';
import { describeError, type ErrorCode, isHoldfastError } from '../../src/base/errors.ts';

/** What an action gives, or the code it refuses with. */
export type Answer<T> =
  | { readonly isGiven: true; readonly value: T }
  | { readonly isGiven: false; readonly code: ErrorCode };

/** Does something that may refuse its input with these codes, and must not fail in any other way. */
export function answerOf<T>(action: () => T, ...codes: readonly ErrorCode[]): Answer<T> {
  try {
    return { isGiven: true, value: action() };
  } catch (error) {
    return refusal(error, codes);
  }
}

/** As `answerOf`. */
export async function laterAnswerOf<T>(
  action: () => Promise<T>,
  ...codes: readonly ErrorCode[]
): Promise<Answer<T>> {
  try {
    return { isGiven: true, value: await action() };
  } catch (error) {
    return refusal(error, codes);
  }
}

function refusal(error: unknown, codes: readonly ErrorCode[]): Answer<never> {
  if (isHoldfastError(error, ...codes)) return { isGiven: false, code: error.code };
  throw error;
}

/** Fails unless both are the same through and through. */
export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${show(actual)} is not ${show(expected)}`);
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function show(value: unknown): string {
  const text: string | undefined = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (part instanceof Uint8Array) return `bytes ${Buffer.from(part).toString('latin1')}`;
    return part instanceof Map ? [...part] : part;
  });
  return (text ?? 'nothing').slice(0, 2000);
}

/** What a failure says, for a person. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return describeError(error);
  return `${describeError(error)}\n${error.stack ?? ''}`;
}
