import type { SerializedError } from '../base/serialized-errors.ts';

/** What the pool sends to a worker. `start` comes first, `close` last. */
export type MessageToWorker<Request> =
  | { readonly type: 'start'; readonly flags: Int32Array }
  | { readonly type: 'request'; readonly id: number; readonly request: Request }
  | { readonly type: 'close' };

/** What a worker sends to the pool. Events of a request come before its one response or failure. */
export type MessageFromWorker<Response, Event> =
  | { readonly type: 'ready' }
  | { readonly type: 'event'; readonly id: number; readonly message: Event }
  | { readonly type: 'response'; readonly id: number; readonly value: Response }
  | { readonly type: 'failure'; readonly id: number; readonly error: SerializedError };

/** Index in the shared flags: 1 once the pool closes, so that workers skip what they have not begun. */
export const closingFlag = 0;
