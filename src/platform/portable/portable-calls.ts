import type { SystemCalls } from '../system-calls.ts';
export function portableCalls(): SystemCalls {
  throw new Error('not yet');
}
