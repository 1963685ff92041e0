import { scryptSync } from 'node:crypto';
import { Sealer } from '../../src/kernels/seal.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { SimulatedStore } from './simulated-store.ts';

interface KeyDocument {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  readonly data: string;
}

/** The passwords of a repository that somebody knows. */
export class Keyring {
  /** The one that everybody uses now. */
  password = 'first';
  readonly #known: string[] = [this.password];

  get knownCount(): number {
    return this.#known.length;
  }

  /** All, the one that is taken for right first, then the newest. */
  candidates(): string[] {
    return [this.password, ...this.#known.toReversed()];
  }

  learn(password: string): void {
    this.#known.push(password);
  }

  /** True if one of the key files that are stored opens with a password that somebody knows. */
  opens(store: SimulatedStore): boolean {
    for (const name of store.namesOf('key')) {
      const json = Buffer.from(store.get({ type: 'key', name })).toString();
      const key = JSON.parse(json) as KeyDocument;
      if (this.candidates().some((password) => opensWith(key, password))) return true;
    }
    return false;
  }
}

function opensWith({ N, r, p, salt, data }: KeyDocument, password: string): boolean {
  const derived = scryptSync(password, Buffer.from(salt, 'base64'), 64, { N, r, p });
  const key = {
    encrypt: derived.subarray(0, 32),
    macK: derived.subarray(32, 48),
    macR: derived.subarray(48, 64),
  };
  try {
    new Sealer(key, systemRandom).open(Buffer.from(data, 'base64'));
    return true;
  } catch {
    return false;
  }
}
