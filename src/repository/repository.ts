import { cancelled } from '../base/abort.ts';
import { equalBytes } from '../base/bytes.ts';
import type { Environment } from '../base/environment.ts';
import { type ErrorDetail, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { withGrace } from '../base/grace.ts';
import { type Random, randomBytes } from '../base/random.ts';
import { releaseBuffer } from '../base/release.ts';
import { type Polynomial, randomPolynomial } from '../kernels/polynomial.ts';
import type { ScryptParameters } from '../kernels/scrypt.ts';
import { type SealKey, Sealer } from '../kernels/seal.ts';
import { type CompressionMode, Compressor } from '../kernels/zstd.ts';
import type { Backend, CallOptions } from '../storage/backend.ts';
import {
  isConfigStored,
  loadSealedConfig,
  newRepositoryId,
  openConfig,
  type RepositoryConfig,
  sealConfig,
} from './config.ts';
import type { Id } from './id.ts';
import { loadKeyFile } from './key-search.ts';
import {
  addKey,
  collectKeys,
  type KeyCandidates,
  type OpenedKey,
  openWithPassword,
} from './keys.ts';
import { ParitySetting } from './parity-setting.ts';
import { readUntilSound } from './readings.ts';
import { assertNothingStored } from './repository-vacancy.ts';
import { Absences, GuardedBackend, removedAsLeft, type WriteGuard } from './repository-guard.ts';
import {
  type DocumentPieces,
  fileOf,
  getVerified,
  openDocument,
  putConfirmed,
  putContent,
  type SealedDocument,
  sealDocument,
  type UnpackedTools,
  type UnpackedType,
} from './unpacked.ts';
import { throwUnopened } from './upgrade-told.ts';

export type { UnpackedType } from './unpacked.ts';

/** How a repository is opened, and how it stores what is new. */
export interface OpenOptions {
  readonly environment: Environment;
  /** As given, UTF-8, not normalised; a function is called once, when it is known that there is a repository. */
  readonly password: Uint8Array | (() => Promise<Uint8Array>);
  /** Beginning of the id of the key to try first. */
  readonly keyHint?: string | undefined;
  /** The key file that opened it the last time: read first, and the others are listed only if it does not open it again. */
  readonly knownKey?: Id | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Of new blobs in version 2; default `auto`. Unpacked files are always compressed. */
  readonly compression?: CompressionMode | undefined;
  /** Size at which a pack is full; default 16 MiB. */
  readonly packSizeBytes?: number | undefined;
  /** Nothing else is to be done while the key is derived, which may then keep two cores busy: there are so many. */
  readonly isAlone?: boolean | undefined;
  /** Work without lock files, for storage that cannot be written. */
  readonly noLock?: boolean | undefined;
}

/** What a new repository is made with. Host and user name stand in its first key file, for people. */
export interface CreateOptions extends OpenOptions {
  /** Default 2. */
  readonly version?: 1 | 2 | undefined;
  /** Default: random. Give that of another repository to share chunk boundaries with it. */
  readonly polynomial?: Polynomial | undefined;
  readonly hostname: string;
  readonly username: string;
  /** Default: measured for half a second on this machine. */
  readonly scrypt?: ScryptParameters | undefined;
}

/** Size at which a pack is full unless another is given: 16 MiB, as in restic. */
export const packSizeBytesDefault: number = 16 * 1024 * 1024;

interface RepositoryParts {
  readonly backend: Backend;
  readonly config: RepositoryConfig;
  readonly keyId: Id;
  readonly masterKey: SealKey;
  readonly options: OpenOptions;
}

/**
 * How documents are compressed. Indexes are mostly hex: what is quickest also makes the smallest files of them, by a
 * tenth in three quarters of the time; documents are compressed even where blobs are not.
 */
const documentModes = {
  off: 'fastest',
  auto: 'fastest',
  fastest: 'fastest',
  better: 'better',
  max: 'max',
} as const satisfies Record<CompressionMode, CompressionMode>;

/**
 * An open repository: its config and master key, and the files that hold one document each. Blobs need an index as
 * well: see `IndexedRepository`.
 *
 * All methods may run concurrently. `backend` holds changes back while a lock of this repository is not certain.
 */
export class Repository {
  readonly backend: Backend;
  readonly environment: Environment;
  readonly config: RepositoryConfig;
  /** The key file that the password opened. */
  readonly keyId: Id;
  readonly masterKey: SealKey;
  readonly sealer: Sealer;
  readonly compression: CompressionMode;
  readonly packSizeBytes: number;
  readonly noLock: boolean;
  /** How much parity new packs get. */
  readonly parity: ParitySetting;
  /** When the lock of the work was not certain. */
  readonly absences: Absences = new Absences();
  readonly #guarded: GuardedBackend;
  readonly #tools: UnpackedTools;

  constructor({ backend, config, keyId, masterKey, options }: RepositoryParts) {
    const compression = options.compression ?? 'auto';
    this.#guarded = new GuardedBackend(backend);
    this.backend = this.#guarded;
    this.environment = options.environment;
    this.config = config;
    this.keyId = keyId;
    this.masterKey = masterKey;
    this.sealer = new Sealer(masterKey, options.environment.random);
    this.parity = new ParitySetting(this.backend, this.sealer);
    this.compression = compression;
    this.packSizeBytes = options.packSizeBytes ?? packSizeBytesDefault;
    this.noLock = options.noLock ?? false;
    this.#tools = {
      version: config.version,
      sealer: this.sealer,
      compressor: onceCreated(documentModes[compression]),
    };
  }

  /**
   * Loads the JSON of an unpacked file. Its bytes are checked against its name, and read again if they differ.
   * @throws FILE_NOT_FOUND; UNPACKED_DAMAGED; REPOSITORY_LOCKED if the repository was upgraded meanwhile
   */
  async loadUnpacked(
    type: UnpackedType,
    id: Id,
    options: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const sealed = await this.loadSealed(type, id, options);
    try {
      return this.openUnpacked(type, id, sealed);
    } catch (error) {
      return await throwUnopened(this, error, options);
    }
  }

  /**
   * The first half of `loadUnpacked`: the bytes as they are stored, some fifth of the document. For who reads ahead, and
   * asks `throwUnopened` himself.
   * @throws FILE_NOT_FOUND; UNPACKED_DAMAGED
   */
  loadSealed(
    type: UnpackedType,
    id: Id,
    options: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    return getVerified(this.backend, { type, name: id }, options);
  }

  /** The other half of it. @param sealed is used up @throws UNPACKED_DAMAGED */
  openUnpacked(
    type: UnpackedType,
    id: Id,
    sealed: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    try {
      return openDocument(this.#tools, type, sealed);
    } catch (error) {
      if (!isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN')) throw error;
      throw new HoldfastError('UNPACKED_DAMAGED', {
        message: `${fileOf(type)} is not of this repository, or was damaged before it was stored`,
        details: { type, id },
        cause: error,
      });
    } finally {
      releaseBuffer(sealed.buffer);
    }
  }

  /** Seals a document without storing it, for who must know its id first. @throws VERIFY_FAILED */
  sealUnpacked(type: UnpackedType, json: Uint8Array | DocumentPieces): SealedDocument {
    return sealDocument(this.#tools, type, json);
  }

  /**
   * Stores a JSON document as an unpacked file; what is stored was opened again and compared before.
   * @param json is read before this gives its promise, not later
   * @returns its id
   * @throws VERIFY_FAILED; what `Backend.put` throws
   */
  async saveUnpacked(
    type: UnpackedType,
    json: Uint8Array | DocumentPieces,
    options: CallOptions = {},
  ): Promise<Id> {
    const { id, sealed } = this.sealUnpacked(type, json);
    // Nothing refers to a lock, and its holder looks after it anyway.
    if (type === 'lock') await putContent(this.backend, { type, name: id }, sealed, options);
    else {
      const file = { type, name: id, bytes: sealed };
      await this.storeSurely({ type, id }, () => putConfirmed(this.backend, file, options));
    }
    // Index files of very small blobs come so, several at a time.
    if (!(json instanceof Uint8Array)) releaseBuffer(sealed.buffer);
    return id;
  }

  /**
   * Runs `store`, which asks the storage for what it stored. Who sleeps in between is taken for gone, and what nothing refers to
   * is removed: that it is not there then is no failure of the storage.
   * @param details say which file it is
   * @throws LOCK_LOST then; what `store` throws
   */
  async storeSurely(
    details: Readonly<Record<string, ErrorDetail>>,
    store: () => Promise<void>,
  ): Promise<void> {
    const { count } = this.absences;
    try {
      await store();
    } catch (error) {
      if (!isHoldfastError(error, 'BACKEND_WRITE_FAILED')) throw error;
      await this.certain();
      throw this.absences.count > count ? removedAsLeft(details, error) : error;
    }
  }

  /** @throws FILE_NOT_FOUND; what `Backend.remove` throws */
  removeUnpacked(type: UnpackedType, id: Id, options: CallOptions = {}): Promise<void> {
    return this.backend.remove({ type, name: id }, options);
  }

  /**
   * Where the file of a pack is, for threads that read it themselves; undefined unless packs are files of this machine.
   * @see docs/FORMAT.md#layout
   */
  packPath(id: Id): string | undefined {
    const root = this.backend.localPath;
    return root === undefined ? undefined : `${root}/data/${id.slice(0, 2)}/${id}`;
  }

  /** The folder of the snapshots, for threads that read them themselves; undefined as for `packPath`. */
  get snapshotFolder(): string | undefined {
    const root = this.backend.localPath;
    return root === undefined ? undefined : `${root}/snapshots`;
  }

  /**
   * Removes a file that was stored just now and that nobody was told of, even when the lock is lost: what it refers to
   * may be gone. Nothing else may be removed without a lock.
   */
  retract(type: UnpackedType, id: Id, options: CallOptions = {}): Promise<void> {
    return this.#guarded.removeUnguarded({ type, name: id }, options);
  }

  /**
   * Waits until it is certain that the lock is held, and was while the changes made so far were on their way: a change that
   * was allowed may reach the storage long after, when the process stood still in between. Asks the storage for the lock.
   * @throws LOCK_LOST; what a check of `absences` throws
   */
  certain(): Promise<void> {
    return this.#guarded.passSurely();
  }

  /** Asks `guard` before every change from now on. Returns what ends that. */
  addWriteGuard(guard: WriteGuard): () => void {
    return this.#guarded.addGuard(guard);
  }

  /** Closes the backend. Release locks before. */
  close(): Promise<void> {
    return this.backend.close();
  }
}

function onceCreated(mode: Exclude<CompressionMode, 'off'>): () => Compressor {
  let compressor: Compressor | undefined;
  return () => (compressor ??= new Compressor(mode));
}

/**
 * Opens a repository with a password. The storage calls run side by side and the key derivation, some quarter of a
 * second, runs outside the event loop: do other work meanwhile.
 * @throws REPOSITORY_NOT_FOUND, PASSWORD_WRONG, CONFIG_DAMAGED, FORMAT_UNSUPPORTED, KEY_DAMAGED, KEY_LIMIT
 */
export async function openRepository(backend: Backend, options: OpenOptions): Promise<Repository> {
  const { environment, signal } = options;
  const all = (): Promise<KeyCandidates> => collectKeys(backend, options.keyHint, { signal });
  const known = knownCandidate(backend, options);
  const first = known.then((candidate) => candidate ?? all());
  // Without a config its result does not matter.
  first.catch(() => undefined);
  const sealedConfig = await loadSealedConfig(backend, { signal });
  const password = await passwordOf(options);
  let config: RepositoryConfig | undefined;
  const openFrom = (candidates: KeyCandidates, sealed: Uint8Array): Promise<OpenedKey> =>
    openWithPassword(candidates, {
      environment,
      password,
      signal,
      isAlone: options.isAlone,
      accept: (masterKey) => {
        config = openConfig(sealed, new Sealer(masterKey, environment.random));
      },
    });
  const open = async (sealed: Uint8Array): Promise<OpenedKey> => {
    const candidates = await first;
    try {
      return await openFrom(candidates, sealed);
    } catch (error) {
      const isOther = isHoldfastError(error, 'PASSWORD_WRONG', 'KEY_LIMIT', 'KEY_DAMAGED');
      if (!isOther || !(await known)) throw error;
      return openFrom(await all(), sealed);
    }
  };
  const key = await open(sealedConfig).catch(async (error: unknown) => {
    if (!isHoldfastError(error, 'CONFIG_DAMAGED')) throw error;
    // No name tells what bytes it should have: only reading again does.
    return readUntilSound(
      async () => {
        const again = await loadSealedConfig(backend, { signal, fresh: true });
        if (equalBytes(again, sealedConfig)) throw error;
        return open(again);
      },
      (cause) => isHoldfastError(cause, 'CONFIG_DAMAGED'),
    );
  });
  const { id: keyId, masterKey } = key;
  return new Repository({ backend, config: config!, keyId, masterKey, options });
}

/** The key file that opened the repository the last time; undefined if there is none that can be tried. */
async function knownCandidate(
  backend: Backend,
  { knownKey, keyHint, signal }: OpenOptions,
): Promise<KeyCandidates | undefined> {
  if (knownKey === undefined || keyHint) return undefined;
  try {
    const file = await loadKeyFile(backend, knownKey, { signal });
    return { keys: [{ id: knownKey, file }], damaged: [], keyCount: 1 };
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND', 'KEY_DAMAGED')) return undefined;
    throw error;
  }
}

async function passwordOf({ password }: OpenOptions): Promise<Uint8Array> {
  return typeof password === 'function' ? await password() : password;
}

/** An interrupt is to end everything within five seconds; the config gets some of them. */
const configGraceMs = 3000;

/**
 * Creates a repository: the folders, a proven key, then the config, which alone makes it one. Of several that try at
 * once, one wins. After an error or a crash there is no repository; a key file may be left.
 * @throws REPOSITORY_EXISTS when there is a config, or a key or snapshot of a repository that lost its config;
 *   VERIFY_FAILED when the config cannot be read back
 */
export async function createRepository(
  backend: Backend,
  options: CreateOptions,
): Promise<Repository> {
  const { environment, signal } = options;
  await assertNothingStored(backend, { signal });
  const password = await passwordOf(options);
  await backend.create({ signal });
  const masterKey = newMasterKey(environment.random);
  const config: RepositoryConfig = {
    version: options.version ?? 2,
    id: newRepositoryId(environment.random),
    polynomial: options.polynomial ?? randomPolynomial(environment.random),
  };
  const sealedConfig = sealConfig(config, new Sealer(masterKey, environment.random));
  const keyId = await addKey({ backend, environment, masterKey }, { ...options, password });
  if (signal?.aborted) {
    // Nothing of the config is on its way: a key alone would have to be removed by hand.
    await backend.remove({ type: 'key', name: keyId }).catch(() => undefined);
    throw cancelled(signal);
  }
  const put = (late: AbortSignal | undefined): Promise<void> =>
    backend.put({ type: 'config', name: '' }, [sealedConfig], { signal: late });
  try {
    // Cut off on its way it could be counted on neither way, and the key beside it not be taken back.
    await withGrace(put, { signal, clock: environment.clock, graceMs: configGraceMs });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    const existing = await loadSealedConfig(backend, { signal });
    if (!equalBytes(existing, sealedConfig)) {
      await backend.remove({ type: 'key', name: keyId }).catch(() => undefined);
      throw new HoldfastError('REPOSITORY_EXISTS', {
        message: 'another process created a repository at this location just now',
        details: { location: backend.location },
        cause: error,
      });
    }
  }
  if (!(await isConfigStored(backend, sealedConfig, { signal }))) throw notStored(backend);
  return new Repository({ backend, config, keyId, masterKey, options });
}

/** Without its config no backup of the new repository could ever be opened. */
function notStored(backend: Backend): HoldfastError {
  return new HoldfastError('VERIFY_FAILED', {
    message:
      'the storage reported the config of the new repository stored, but does not give it back',
    details: { location: backend.location },
    hint: 'There is no repository. Check the storage, empty the location and run "holdfast init" again.',
  });
}

function newMasterKey(random: Random): SealKey {
  return {
    encrypt: randomBytes(random, 32),
    macK: randomBytes(random, 16),
    macR: randomBytes(random, 16),
  };
}
