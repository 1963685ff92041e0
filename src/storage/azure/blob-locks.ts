import { createHash } from 'node:crypto';

import type { BlobImmutabilityPolicy } from '@azure/storage-blob';

import type { Environment } from '../../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import {
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileLock,
  type FileVersion,
  type Retention,
  type RetentionPeriod,
  type VersionChangeOptions,
} from '../backend.ts';
import { PromisedLocks } from '../promised-locks.ts';
import type { AzureVersions } from './blob-versions.ts';
import type { ContainerPlace } from './container-place.ts';
import { PartsBody } from './sdk-requests.ts';

/** Of the config's blob. Names of metadata there are those of C#. */
const markName = 'holdfastlock';
/** It is no file of the repository; this is only what is said of it. */
const canaryHandle: FileHandle = { type: 'parity', name: 'canary' };

/** What an upload asks for besides. */
export interface LockFields {
  readonly immutabilityPolicy?: BlobImmutabilityPolicy;
  readonly metadata?: Record<string, string>;
}

/**
 * Immutability of single versions: `Unlocked` is what S3 calls governance, `Locked` compliance. The container must have been made
 * with "version-level immutability", which this interface of the service cannot do.
 *
 * @see docs/IMMUTABILITY.md
 */
export class AzureRetention implements Retention {
  readonly #place: ContainerPlace;
  readonly #versions: AzureVersions;
  readonly #environment: Environment;
  readonly #locks: PromisedLocks;
  readonly #canaryPath: string;

  constructor(place: ContainerPlace, versions: AzureVersions, environment: Environment) {
    this.#place = place;
    this.#versions = versions;
    this.#environment = environment;
    this.#locks = new PromisedLocks(environment.clock);
    this.#canaryPath = `${place.prefix}canary/holdfast`;
  }

  get promised(): RetentionPeriod | undefined {
    return this.#locks.promised;
  }

  promise(period: RetentionPeriod): void {
    this.#locks.promised = period;
  }

  /** Takes in what came with the config. */
  learn(metadata: Readonly<Record<string, string>> | undefined): void {
    this.#locks.learn(metadata?.[markName]);
  }

  async prepare({ signal }: CallOptions = {}): Promise<void> {
    const { container, run } = this.#place;
    const call = { file: 'container', isWrite: false, signal };
    const found = await run(call, (options) => container.getProperties(options)).catch(ifThere);
    if (found?.isImmutableStorageWithVersioningEnabled) return;
    throw new HoldfastError('UNSUPPORTED', {
      message: `the container "${container.containerName}" cannot lock files: it has no version-level immutability`,
      hint: 'Turn on versions of the storage account, and make a container with "version-level immutability support" in the portal or with "az storage container-rm create --enable-vlw".',
    });
  }

  /** The service tells no default of a container here. */
  async loadDefault(): Promise<undefined> {}

  async load(version: FileVersion, { signal }: CallOptions = {}): Promise<FileLock | undefined> {
    const call = { file: describeHandle(version.handle), isWrite: false, signal };
    const blob = this.#versions.blobOf(version);
    const found = await this.#place.run(call, (options) => blob.getProperties(options));
    const untilMs = found.immutabilityPolicyExpiresOn?.getTime() ?? 0;
    if (untilMs <= this.#environment.clock.wallMs()) return undefined;
    // Answers differ in the case of this word.
    const isLocked = found.immutabilityPolicyMode?.toLowerCase() === 'locked';
    return { mode: isLocked ? 'compliance' : 'governance', untilMs };
  }

  /** The right to lift a lock of governance is that to delete the policy. */
  async save(
    version: FileVersion,
    lock: FileLock,
    { signal, bypass = false }: VersionChangeOptions = {},
  ): Promise<void> {
    const { run } = this.#place;
    const call = { file: describeHandle(version.handle), isWrite: true, signal };
    const blob = this.#versions.blobOf(version);
    if (bypass) await run(call, (options) => blob.deleteImmutabilityPolicy(options));
    await run(call, (options) => blob.setImmutabilityPolicy(policyOf(lock), options));
  }

  async canaries({ signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    const all = await this.#versions.ofPath(this.#canaryPath, canaryHandle, signal);
    return all.filter(({ kind }) => kind === 'content');
  }

  async putCanary(
    content: Uint8Array,
    lock: FileLock,
    { signal }: CallOptions = {},
  ): Promise<FileVersion> {
    return await this.#putCanary(content, { immutabilityPolicy: policyOf(lock) }, signal);
  }

  async overwriteCanary(content: Uint8Array, { signal }: CallOptions = {}): Promise<FileVersion> {
    return await this.#putCanary(content, {}, signal);
  }

  /**
   * Stores a file with the lock that is promised.
   *
   * @param store uploads it, and gives the version
   * @throws as `PromisedLocks.storing`
   */
  async storing(
    handle: FileHandle,
    { signal }: CallOptions,
    store: (fields: LockFields) => Promise<string | undefined>,
  ): Promise<void> {
    const path = this.#place.pathOf(handle);
    await this.#locks.storing(handle, {
      store: ({ lock, mark }) =>
        store({
          ...(lock && { immutabilityPolicy: policyOf(lock) }),
          ...(mark !== undefined && { metadata: { [markName]: mark } }),
        }),
      ask: (id) => this.load(versionOf(handle, path, id ?? ''), { signal }),
    });
  }

  async #putCanary(
    content: Uint8Array,
    fields: LockFields,
    signal: AbortSignal | undefined,
  ): Promise<FileVersion> {
    const { container, run } = this.#place;
    const path = this.#canaryPath;
    const md5 = createHash('md5').update(content).digest();
    const id = await run({ file: 'canary', isWrite: true, signal }, async (options) => {
      const upload = { ...options, ...fields, transactionalContentMD5: md5 };
      const blob = container.getBlockBlobClient(path);
      return (await blob.upload(new PartsBody([content]), content.byteLength, upload)).versionId;
    });
    return { ...versionOf(canaryHandle, path, id ?? ''), sizeBytes: content.byteLength };
  }
}

/** One that is made here could not lock. */
function ifThere(error: unknown): undefined {
  if (!isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
}

function versionOf(handle: FileHandle, path: string, id: string): FileVersion {
  const rest = { kind: 'content', isNewest: true, sizeBytes: 0, storedMs: 0 } as const;
  return { handle, path, id, contentMark: '', ...rest };
}

function policyOf({ mode, untilMs }: FileLock): BlobImmutabilityPolicy {
  const policyMode = mode === 'compliance' ? 'Locked' : 'Unlocked';
  return { expiriesOn: new Date(untilMs), policyMode };
}
