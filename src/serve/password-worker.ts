import { compareSync } from 'bcryptjs';
import { serveWorker } from '../kernels/worker-pool.ts';

/** Asks whether a password is the one of a hash of bcrypt. */
export interface VerifyRequest {
  readonly type: 'verify';
  readonly password: string;
  readonly hash: string;
}

serveWorker<undefined, VerifyRequest, boolean>(
  import.meta.url,
  () =>
    ({ password, hash }) =>
      compareSync(password, hash),
);
