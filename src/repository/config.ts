import type { Backend, CallOptions, GetOptions } from '../storage/backend.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Random, randomBytes } from '../base/random.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import {
  formatPolynomial,
  isIrreducible,
  type Polynomial,
  parsePolynomial,
} from '../kernels/polynomial.ts';
import type { Sealer } from '../kernels/seal.ts';
import type { Id } from './id.ts';
import { JsonWriter } from './json.ts';
import { parseDocument } from './repository-document.ts';
import { noConfigError } from './repository-vacancy.ts';

/** What the file `config` holds. */
export interface RepositoryConfig {
  /** Format version; 2 is version 1 with compression. */
  readonly version: 1 | 2;
  /** Random, fixed for the life of the repository. */
  readonly id: Id;
  /** Irreducible, of degree 53: where files are cut. */
  readonly polynomial: Polynomial;
}

/** A config has three short fields; anything larger is not one. */
export const configSizeBytesMax = 65_536;

const polynomialDegree = 53n;

/**
 * JSON of a config, before sealing.
 * @see docs/FORMAT.md#config
 */
export function encodeConfig(config: RepositoryConfig): Uint8Array<ArrayBuffer> {
  const writer = new JsonWriter(256);
  writer.ascii('{"version":');
  writer.integer(config.version);
  writer.ascii(',"id":');
  writer.string(config.id);
  writer.ascii(',"chunker_polynomial":');
  writer.string(formatPolynomial(config.polynomial));
  writer.ascii('}');
  return writer.finish();
}

/**
 * Reads the JSON of a config; unknown keys are ignored.
 * @throws CONFIG_DAMAGED, FORMAT_UNSUPPORTED (a version other than 1 and 2)
 */
export function decodeConfig(json: Uint8Array): RepositoryConfig {
  try {
    const fields = parseDocument(json, configSizeBytesMax);
    const version = fields.required('version', fields.integer('version'));
    if (version !== 1 && version !== 2) throw unsupportedVersion(version);
    const id = fields.required('id', fields.id('id'));
    const text = fields.required('chunker_polynomial', fields.text('chunker_polynomial'));
    return { version, id, polynomial: decodePolynomial(text) };
  } catch (error) {
    if (isHoldfastError(error, 'FORMAT_UNSUPPORTED', 'CONFIG_DAMAGED')) throw error;
    throw new HoldfastError('CONFIG_DAMAGED', { cause: error });
  }
}

function unsupportedVersion(version: number): HoldfastError {
  return new HoldfastError('FORMAT_UNSUPPORTED', {
    details: { version },
    hint: 'Versions 1 and 2 can be opened. Use the program that made this repository.',
  });
}

/** The last one that was found usable: a process opens the same config again and again. */
let usablePolynomial = 0n;

function decodePolynomial(text: string): Polynomial {
  const polynomial = /^[0-9a-f]{14}$/.test(text) ? parsePolynomial(text) : 0n;
  if (polynomial !== 0n && polynomial === usablePolynomial) return polynomial;
  if (polynomial >> polynomialDegree !== 1n || !isIrreducible(polynomial)) {
    throw new HoldfastError('CONFIG_DAMAGED', {
      message: 'the repository config holds no usable chunker polynomial',
    });
  }
  usablePolynomial = polynomial;
  return polynomial;
}

/** A fresh random repository id. */
export function newRepositoryId(random: Random): Id {
  return toHex(randomBytes(random, 32));
}

/**
 * The sealed bytes of the config.
 * @throws REPOSITORY_NOT_FOUND when there is none; CONFIG_DAMAGED when it is empty, which an
 *   interrupted write on a storage without atomic files leaves
 */
export async function loadSealedConfig(
  backend: Backend,
  options: GetOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const sealed = await getConfig(backend, options);
  if (sealed.byteLength === 0) {
    throw new HoldfastError('CONFIG_DAMAGED', {
      message: 'the repository config is empty',
      details: { location: backend.location },
    });
  }
  return sealed;
}

async function getConfig(backend: Backend, options: GetOptions): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await backend.get({ type: 'config', name: '' }, undefined, options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    throw await noConfigError(backend, options);
  }
}

/**
 * Opens the sealed bytes of a config.
 * @throws SEAL_BROKEN when `sealer` is not of this repository or the bytes are damaged; CONFIG_DAMAGED,
 *   FORMAT_UNSUPPORTED
 */
export function openConfig(sealed: Uint8Array, sealer: Sealer): RepositoryConfig {
  if (sealed.byteLength > configSizeBytesMax) {
    throw new HoldfastError('CONFIG_DAMAGED', { details: { sizeBytes: sealed.byteLength } });
  }
  return decodeConfig(sealer.open(sealed));
}

/** The sealed bytes of a config, opened again before they are returned. @throws VERIFY_FAILED */
export function sealConfig(config: RepositoryConfig, sealer: Sealer): Uint8Array<ArrayBuffer> {
  const sealed = sealer.seal(encodeConfig(config));
  const opened = openConfig(sealed, sealer);
  const isSame = opened.id === config.id && opened.polynomial === config.polynomial;
  if (!isSame || opened.version !== config.version) {
    throw new HoldfastError('VERIFY_FAILED', { details: { type: 'config' } });
  }
  return sealed;
}

/** True if the storage gives exactly these bytes as the config. Asks twice: an answer is not always the truth. */
export async function isConfigStored(
  backend: Backend,
  sealed: Uint8Array,
  options: CallOptions = {},
): Promise<boolean> {
  for (let attempt = 1; attempt <= 2; attempt++) {
    try {
      const handle = { type: 'config', name: '' } as const;
      const stored = await backend.get(handle, undefined, { ...options, fresh: true });
      if (equalBytes(stored, sealed)) return true;
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }
  return false;
}
