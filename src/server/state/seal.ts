import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../../base/random.ts';
import { randomBytes } from '../../base/random.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { readWholeFile, writeFileAtomic } from '../../platform/whole-file.ts';

const keySizeBytes = 32;
const nonceSizeBytes = 12;
const tagSizeBytes = 16;
const version = 'v1';

/** Seals what must not stand in the database, by a key that is not in it. AES-256-GCM with a fresh nonce for each text. */
export class Sealer {
  readonly #key: Uint8Array;
  readonly #random: Random;

  constructor(key: Uint8Array, random: Random) {
    this.#key = key;
    this.#random = random;
  }

  /**
   * @param place where it is stored, such as `repositories/home/secrets`: elsewhere it does not open
   */
  seal(text: string, place: string): string {
    const nonce = randomBytes(this.#random, nonceSizeBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return `${version}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64')}`;
  }

  /** @throws SECRET_NOT_OPENED: another key, another place, or a damaged text */
  open(sealed: string, place: string): string {
    const [form, content = ''] = sealed.split('.', 2);
    const bytes = Buffer.from(content, 'base64');
    try {
      if (form !== version) throw new RangeError('an unknown form');
      const nonce = bytes.subarray(0, nonceSizeBytes);
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, {
        authTagLength: tagSizeBytes,
      });
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(bytes.subarray(nonceSizeBytes, nonceSizeBytes + tagSizeBytes));
      const rest = bytes.subarray(nonceSizeBytes + tagSizeBytes);
      return Buffer.concat([decipher.update(rest), decipher.final()]).toString('utf8');
    } catch {
      throw new HoldfastError('SECRET_NOT_OPENED', { details: { place } });
    }
  }
}

/**
 * The key of a file, which is made if it is missing, for its owner alone.
 * @throws STATE_FAILED if the file holds no key; PERMISSION_DENIED and kin
 */
export function openKeyFile(path: string, random: Random): Uint8Array {
  const name = Buffer.from(path);
  try {
    const text = Buffer.from(readWholeFile(name, { sizeBytesMax: 4096 }))
      .toString('utf8')
      .trim();
    if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
    throw new HoldfastError('STATE_FAILED', {
      message: `the file ${JSON.stringify(path)} holds no key`,
    });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
  }
  const key = randomBytes(random, keySizeBytes);
  writeFileAtomic(name, Buffer.from(`${Buffer.from(key).toString('hex')}\n`), 0o600);
  return key;
}
