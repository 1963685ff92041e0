import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Environment } from '../base/environment.ts';
import { randomBytes } from '../base/random.ts';
import { type Credentials, parseCredentials } from './credentials.ts';
import { costOf, isBcrypt, newCost, type UserEntry } from './htpasswd.ts';
import {
  credentialsCountMax,
  credentialsMsMax,
  verificationCountMax,
  verificationCountOfOneMax,
} from './limits.ts';
import { PasswordThreads } from './password-threads.ts';
import { Refusal } from './refusal.ts';
import type { UserFile } from './user-file.ts';
import { WrongTries } from './wrong-tries.ts';

interface Verified {
  /** What it was verified against: another password of the user ends the trust. */
  readonly hash: string;
  readonly untilMs: number;
}

/**
 * Tells users by their passwords. A password is verified on a thread, and then known for ten minutes by a keyed hash, so that who
 * is known waits for nobody. Wrong ones are few at a time: of each address and user a limited number, and of all together.
 */
export class Authenticator {
  readonly #users: UserFile;
  readonly #environment: Environment;
  readonly #threads: PasswordThreads;
  readonly #wrongTries: WrongTries;
  readonly #key: Uint8Array;
  readonly #verified: Map<string, Verified> = new Map();
  readonly #running: Map<string, Promise<boolean>> = new Map();
  readonly #runningOf: Map<string, number> = new Map();

  constructor(users: UserFile, environment: Environment) {
    this.#users = users;
    this.#environment = environment;
    this.#threads = new PasswordThreads(environment);
    this.#wrongTries = new WrongTries(environment.clock);
    this.#key = randomBytes(environment.random, 32);
  }

  /**
   * The user of a request.
   * @param header its `Authorization`
   * @param address where it comes from
   * @throws Refusal 401 (no user, or a wrong password), 429 (too many at once, or too many wrong ones), 503
   */
  async userOf(header: string | undefined, address: string): Promise<string> {
    const credentials = parseCredentials(header);
    if (!credentials) throw unauthorized('a user and a password are needed');
    const user = this.#users.find(credentials.name);
    const print = this.#printOf(credentials);
    if (user && this.#isVerified(print, user)) return user.name;
    // Who guesses names alone shares the tries of the address.
    const who = `${address} ${user?.name ?? ''}`;
    if (this.#wrongTries.isOver(who)) throw tooMany();
    const isRight = await this.#verifyOnce(print, { credentials, user, address });
    if (!isRight || !user) {
      this.#wrongTries.add(who);
      throw unauthorized('the user or the password is wrong');
    }
    this.#wrongTries.forget(who);
    this.#remember(print, user);
    return user.name;
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  /** Requests of one client come several at once: they wait for the same answer. */
  async #verifyOnce(print: string, ask: Ask): Promise<boolean> {
    const known = this.#running.get(print);
    if (known) return known;
    const countOfOne = this.#runningOf.get(ask.address) ?? 0;
    if (this.#running.size >= verificationCountMax || countOfOne >= verificationCountOfOneMax) {
      throw tooMany();
    }
    const running = this.#verify(ask);
    this.#running.set(print, running);
    this.#runningOf.set(ask.address, countOfOne + 1);
    try {
      return await running;
    } finally {
      this.#running.delete(print);
      const left = (this.#runningOf.get(ask.address) ?? 1) - 1;
      if (left > 0) this.#runningOf.set(ask.address, left);
      else this.#runningOf.delete(ask.address);
    }
  }

  async #verify({ credentials, user }: Ask): Promise<boolean> {
    const { password } = credentials;
    if (user && !isBcrypt(user.hash)) return isOfSha(password, user.hash);
    // A name that nobody has takes as long as one with a wrong password.
    const hash = user?.hash ?? hashOfNobody(this.#users.users);
    return (await this.#threads.verify(password, hash)) && user !== undefined;
  }

  #printOf({ name, password }: Credentials): string {
    return createHmac('sha256', this.#key).update(`${name}\0${password}`).digest('base64');
  }

  #isVerified(print: string, user: UserEntry): boolean {
    const known = this.#verified.get(print);
    if (!known) return false;
    if (known.hash === user.hash && known.untilMs > this.#environment.clock.monotonicMs()) {
      return true;
    }
    this.#verified.delete(print);
    return false;
  }

  #remember(print: string, { hash }: UserEntry): void {
    const untilMs = this.#environment.clock.monotonicMs() + credentialsMsMax;
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size < credentialsCountMax) break;
      this.#verified.delete(oldest);
    }
    this.#verified.set(print, { hash, untilMs });
  }
}

interface Ask {
  readonly credentials: Credentials;
  readonly user: UserEntry | undefined;
  readonly address: string;
}

function isOfSha(password: string, hash: string): boolean {
  const expected = Buffer.from(hash.slice('{SHA}'.length), 'base64');
  return timingSafeEqual(createHash('sha1').update(password).digest(), expected);
}

/** A hash of no password, which asks for as much work as most hashes of the file. */
function hashOfNobody(users: ReadonlyMap<string, UserEntry>): string {
  const counts = new Map<number, number>();
  for (const { hash } of users.values()) {
    const cost = costOf(hash);
    if (cost > 0) counts.set(cost, (counts.get(cost) ?? 0) + 1);
  }
  const [usual = newCost] = [...counts].toSorted(([, a], [, b]) => b - a)[0] ?? [];
  return `$2b$${String(usual).padStart(2, '0')}$${'.'.repeat(53)}`;
}

function unauthorized(message: string): Refusal {
  return new Refusal(401, message, {
    headers: { 'WWW-Authenticate': 'Basic realm="holdfast"' },
  });
}

function tooMany(): Refusal {
  return new Refusal(429, 'too many passwords to verify; try again soon', {
    headers: { 'Retry-After': '3' },
  });
}
