import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ScryptParameters } from '../kernels/scrypt.ts';
import { type SealKey, sealOverheadBytes } from '../kernels/seal.ts';
import { JsonWriter } from './json.ts';
import { type DocumentFields, parseDocument } from './repository-document.ts';
import { formatTime, localZone, zeroTime } from './time-format.ts';

/** What a file in `keys/` holds: the master key, sealed with a key made from a password. */
export interface KeyFile {
  readonly created: Timestamp;
  readonly username: string;
  readonly hostname: string;
  readonly parameters: ScryptParameters;
  /** 64 bytes. */
  readonly salt: Uint8Array;
  /** The sealed JSON of the master key. */
  readonly data: Uint8Array;
}

/** Length of the scrypt salt; restic accepts no other. */
export const saltSizeBytes = 64;

/** Key files are about 500 bytes; the names of user and host are what can grow. */
export const keyFileSizeBytesMax = 65_536;

/**
 * JSON of a key file, byte for byte as restic writes it.
 * @see docs/FORMAT.md#keys
 */
export function encodeKeyFile(key: KeyFile): Uint8Array<ArrayBuffer> {
  assert(key.salt.byteLength === saltSizeBytes, 'key salt has 64 bytes');
  const writer = new JsonWriter(1024);
  writer.ascii('{"created":"');
  writer.ascii(formatTime(key.created, localZone));
  writer.ascii('","username":');
  writer.string(key.username);
  writer.ascii(',"hostname":');
  writer.string(key.hostname);
  writer.ascii(',"kdf":"scrypt","N":');
  writer.integer(key.parameters.N);
  writer.ascii(',"r":');
  writer.integer(key.parameters.r);
  writer.ascii(',"p":');
  writer.integer(key.parameters.p);
  writer.ascii(',"salt":"');
  writer.base64(key.salt);
  writer.ascii('","data":"');
  writer.base64(key.data);
  writer.ascii('"}');
  return writer.finish();
}

/**
 * Reads a key file. It is not authenticated: whoever writes to the storage chooses what stands in it.
 * Whether the scrypt parameters are safe to run is for `deriveKey` to say.
 * @throws KEY_DAMAGED
 */
export function decodeKeyFile(json: Uint8Array): KeyFile {
  try {
    const fields = parseDocument(json, keyFileSizeBytesMax);
    const kdf = fields.text('kdf');
    if (kdf !== 'scrypt') throw damaged('its key derivation is not scrypt');
    const salt = fields.required('salt', fields.bytes('salt'));
    if (salt.byteLength !== saltSizeBytes) throw damaged('its salt has not 64 bytes');
    const data = fields.required('data', fields.bytes('data'));
    if (data.byteLength < sealOverheadBytes) throw damaged('its data is too short');
    return {
      created: fields.time('created') ?? zeroTime,
      username: fields.text('username') ?? '',
      hostname: fields.text('hostname') ?? '',
      parameters: readParameters(fields),
      salt,
      data,
    };
  } catch (error) {
    throw error instanceof HoldfastError && error.code === 'KEY_DAMAGED'
      ? error
      : new HoldfastError('KEY_DAMAGED', { cause: error });
  }
}

function readParameters(fields: DocumentFields): ScryptParameters {
  const [N, r, p] = [fields.integer('N'), fields.integer('r'), fields.integer('p')];
  if (!N || !r || !p || N < 2 || r < 1 || p < 1) throw damaged('its scrypt parameters are invalid');
  return { N, r, p };
}

function damaged(why: string): HoldfastError {
  return new HoldfastError('KEY_DAMAGED', { message: `a key file is damaged: ${why}` });
}

/** JSON of a master key, as it stands sealed in `KeyFile.data`. Holds secrets: wipe it after use. */
export function encodeMasterKey(key: SealKey): Uint8Array<ArrayBuffer> {
  const writer = new JsonWriter(256);
  writer.ascii('{"mac":{"k":"');
  writer.base64(key.macK);
  writer.ascii('","r":"');
  writer.base64(key.macR);
  writer.ascii('"},"encrypt":"');
  writer.base64(key.encrypt);
  writer.ascii('"}');
  const json = writer.finish();
  writer.bytes.fill(0);
  return json;
}

/**
 * Reads the JSON of a master key.
 * @throws KEY_DAMAGED; also for all-zero parts, which nothing is ever sealed with
 */
export function decodeMasterKey(json: Uint8Array): SealKey {
  try {
    const fields = parseDocument(json, keyFileSizeBytesMax);
    const mac = fields.required('mac', fields.object('mac'));
    return {
      encrypt: keyPart(fields, 'encrypt', 32),
      macK: keyPart(mac, 'k', 16),
      macR: keyPart(mac, 'r', 16),
    };
  } catch (error) {
    throw new HoldfastError('KEY_DAMAGED', {
      message: 'a key file opened, but holds no master key',
      cause: error,
    });
  }
}

function keyPart(fields: DocumentFields, name: string, sizeBytes: number): Uint8Array {
  const part = fields.required(name, fields.bytes(name));
  if (part.byteLength !== sizeBytes || part.every((byte) => byte === 0)) {
    throw damaged(`its part "${name}" is invalid`);
  }
  return part;
}
