import { type ErrorCode, HoldfastError, isHoldfastError } from '../base/errors.ts';

/** Headers that the answer has, and what failed, which goes to nobody but whoever runs the server. */
export interface RefusalOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A request that is answered with an error: a status of HTTP and one line for who asked. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, options: RefusalOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'Refusal';
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** What a failure of the disk is answered with. Of what is not here, the client learns only that it failed. */
const answers: Partial<Record<ErrorCode, readonly [number, string]>> = {
  FILE_NOT_FOUND: [404, 'no such file'],
  FILE_EXISTS: [403, 'the file exists already; nothing is overwritten'],
  STORAGE_FULL: [507, 'the storage is full'],
  READ_ONLY: [403, 'the storage is read-only'],
  PERMISSION_DENIED: [403, 'the server may not do this on its storage'],
  LOCATION_INVALID: [403, 'a link or another kind of file stands there, and is not followed'],
  BACKEND_UNAVAILABLE: [503, 'the server has too many files open; try again'],
};

/** The answer to an error, whatever it is. Paths of the server do not go into it. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const answer = error instanceof HoldfastError ? answers[error.code] : undefined;
  const [status, text] = answer ?? [500, 'the server failed; its log says more'];
  return new Refusal(status, text, { cause: error });
}

const ownTroubles: readonly ErrorCode[] = ['PERMISSION_DENIED', 'READ_ONLY', 'LOCATION_INVALID'];

/** True for what whoever runs the server must hear of: not for what a client did wrong, or for one that went away. */
export function isOurTrouble({ status, cause }: Refusal): boolean {
  return (status >= 500 && cause !== undefined) || isHoldfastError(cause, ...ownTroubles);
}
