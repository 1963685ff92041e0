import { argon2, timingSafeEqual } from 'node:crypto';
import { Semaphore } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { randomBytes } from '../../base/random.ts';

/** OWASP's least cost for argon2id: 19 MiB, two passes. */
const memoryKiB = 19 * 1024;
const passes = 2;
const lanes = 1;
const saltSizeBytes = 16;
const hashSizeBytes = 32;

/** Passwords that are hashed at once, so that many who sign in take no more than two cores and 38 MiB. */
const hashCountMax = 2;

/** Passwords that wait for it; more are refused. */
const waitingCountMax = 50;

/** Hashes the passwords of people. Of one that is unknown the same work is done as of one that is known. */
export class Passwords {
  readonly #random: Random;
  readonly #slots = new Semaphore(hashCountMax);
  #waitingCount = 0;
  /** What a password of nobody is compared with. */
  #nobody: string | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A hash in the PHC form `$argon2id$…`. @throws TOO_MANY_TRIES if too many wait */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(this.#random, saltSizeBytes);
    const hash = await this.#derive(password, { salt, memoryKiB, passes, lanes });
    const cost = `m=${memoryKiB},t=${passes},p=${lanes}`;
    return `$argon2id$v=19$${cost}$${base64(salt)}$${base64(hash)}`;
  }

  /** @param hash undefined: there is no such user. @throws TOO_MANY_TRIES if too many wait */
  async isRight(password: string, hash: string | undefined): Promise<boolean> {
    this.#nobody ??= await this.hash('nobody has this password');
    const known = parseHash(hash ?? this.#nobody);
    const found = await this.#derive(password, known);
    const isEqual = timingSafeEqual(found, known.hash);
    return isEqual && hash !== undefined;
  }

  async #derive(password: string, cost: Omit<KnownHash, 'hash'>): Promise<Buffer> {
    if (this.#waitingCount >= waitingCountMax) {
      throw new HoldfastError('TOO_MANY_TRIES', { message: 'too many sign in at once' });
    }
    this.#waitingCount++;
    try {
      return await this.#slots.run(() => derive(password, cost));
    } finally {
      this.#waitingCount--;
    }
  }
}

interface KnownHash {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
}

function derive(password: string, cost: Omit<KnownHash, 'hash'>): Promise<Buffer> {
  const parameters = {
    // Names of the same letters are typed in more than one way: NFC is one of them.
    message: Buffer.from(password.normalize('NFC'), 'utf8'),
    nonce: cost.salt,
    parallelism: cost.lanes,
    tagLength: hashSizeBytes,
    memory: cost.memoryKiB,
    passes: cost.passes,
  };
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function parseHash(text: string): KnownHash {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(text);
  if (!found) {
    throw new HoldfastError('STATE_FAILED', {
      message: 'a stored password is in no form that is known',
    });
  }
  const [, memory, count, parallel, salt = '', hash = ''] = found;
  return {
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
    memoryKiB: Number(memory),
    passes: Number(count),
    lanes: Number(parallel),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

/** Different characters of a password at least. */
const differentMin = 5;

/** Why a password is too easy, or undefined. */
export function passwordObjection(password: string, user: string): string | undefined {
  const small = password.toLowerCase();
  if (new Set(small).size < differentMin) return 'has too few different characters';
  if (small.includes(user.toLowerCase()) && user.length >= 4) return 'must not contain the name';
  const easy = ['password', 'passwort', 'holdfast', 'qwerty', '12345', 'letmein', 'welcome'];
  const rest = easy.reduce((text, word) => text.replaceAll(word, ''), small);
  if (rest.length < small.length && rest.length < 8) return 'is made of words that are tried first';
  return undefined;
}
