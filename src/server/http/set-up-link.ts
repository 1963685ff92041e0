import { timingSafeEqual } from 'node:crypto';
import type { Environment } from '../../base/environment.ts';
import { randomBytes } from '../../base/random.ts';
import { hashOf } from '../state/accounts.ts';

/** How long a link counts, in milliseconds. */
export const setUpMsMax = 3_600_000;

const tokenSizeBytes = 24;

/** The token of the link by which the first user is made: once, for an hour, told by the server's own output alone. */
export class SetUpLink {
  readonly #environment: Environment;
  readonly #untilMs: number;
  #token: string | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#untilMs = environment.clock.monotonicMs() + setUpMsMax;
    const bytes = randomBytes(environment.random, tokenSizeBytes);
    this.#token = Buffer.from(bytes).toString('base64url');
  }

  /** Undefined once it was used, or is too old. */
  get token(): string | undefined {
    return this.#environment.clock.monotonicMs() < this.#untilMs ? this.#token : undefined;
  }

  /** True if `token` is the one that counts. */
  isRight(token: string): boolean {
    const known = this.token;
    if (known === undefined) return false;
    return timingSafeEqual(Buffer.from(hashOf(known)), Buffer.from(hashOf(token)));
  }

  /** It counts no more. */
  use(): void {
    this.#token = undefined;
  }
}
