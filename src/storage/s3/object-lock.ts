import { createHash } from 'node:crypto';

import {
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';

import type { Environment } from '../../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import {
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileLock,
  type FileVersion,
  type Retention,
  type RetentionMode,
  type RetentionPeriod,
  type VersionChangeOptions,
} from '../backend.ts';
import { hashParts } from '../content-names.ts';
import { PromisedLocks } from '../promised-locks.ts';
import { PartsBody } from './http-requests.ts';
import { makeBucket } from './make-bucket.ts';
import type { BucketPlace, S3Versions } from './object-versions.ts';

/** Of the config's object: `x-amz-meta-holdfast-lock`. */
const markName = 'holdfast-lock';
const daysPerYear = 365;
/** It is no file of the repository; this is only what is said of it. */
const canaryHandle: FileHandle = { type: 'parity', name: 'canary' };

/** What is to be stored. */
export interface StoredFile extends CallOptions {
  readonly handle: FileHandle;
  readonly parts: readonly Uint8Array[];
}

type LockFields = Partial<PutObjectCommandInput>;

/**
 * Object Lock of a bucket. What is promised stands beside the config, as metadata of its object: whoever reads the config
 * reads it, too, by the same request, and other programs look past it.
 *
 * @see docs/IMMUTABILITY.md
 */
export class S3Retention implements Retention {
  readonly #place: BucketPlace;
  readonly #environment: Environment;
  readonly #locks: PromisedLocks;
  /** Each put needs a hash of its own, which costs time: the bucket locks by itself. */
  #wantsHash = false;

  readonly #versions: S3Versions;
  readonly #canaryPath: string;

  constructor(place: BucketPlace, versions: S3Versions, environment: Environment) {
    this.#place = place;
    this.#versions = versions;
    this.#canaryPath = `${place.prefix}canary/holdfast`;
    this.#environment = environment;
    this.#locks = new PromisedLocks(environment.clock);
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
    const { requests } = this.#place;
    try {
      await makeBucket(requests, true, signal);
    } catch (error) {
      // A server without locks knows no buckets with locks.
      if (isHoldfastError(error, 'UNSUPPORTED')) throw cannotLock(requests.bucket);
      throw error;
    }
    if ((await this.#loadConfiguration(signal))?.ObjectLockEnabled === 'Enabled') return;
    throw cannotLock(requests.bucket);
  }

  async loadDefault({ signal }: CallOptions = {}): Promise<RetentionPeriod | undefined> {
    const configuration = await this.#loadConfiguration(signal);
    const rule = configuration?.Rule?.DefaultRetention;
    const days = rule?.Days || (rule?.Years ?? 0) * daysPerYear;
    const mode = modeOf(rule?.Mode);
    return mode && days > 0 ? { mode, days } : undefined;
  }

  async load(
    { handle, path, id }: FileVersion,
    { signal }: CallOptions = {},
  ): Promise<FileLock | undefined> {
    return await this.#ask(handle, { key: path, id, signal });
  }

  async save(
    { handle, path, id }: FileVersion,
    { mode, untilMs }: FileLock,
    { signal, bypass }: VersionChangeOptions = {},
  ): Promise<void> {
    const { requests } = this.#place;
    const input = {
      Bucket: requests.bucket,
      Key: path,
      VersionId: id,
      Retention: { Mode: fieldOf(mode), RetainUntilDate: new Date(untilMs) },
      ...(bypass && { BypassGovernanceRetention: true }),
    };
    await requests.run({
      action: 'write',
      subject: `the lock of ${describeHandle(handle)}`,
      signal,
      send: (client, options) => client.send(new PutObjectRetentionCommand(input), options),
    });
  }

  async putCanary(
    content: Uint8Array,
    lock: FileLock,
    { signal }: CallOptions = {},
  ): Promise<FileVersion> {
    return await this.#putCanary(content, lockFields(lock), signal);
  }

  async overwriteCanary(content: Uint8Array, { signal }: CallOptions = {}): Promise<FileVersion> {
    return await this.#putCanary(content, {}, signal);
  }

  async canaries({ signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    return await this.#versions.ofPath(this.#canaryPath, canaryHandle, signal);
  }

  /**
   * Stores a file with the lock that is promised. Object Lock wants a hash of the body that every server knows, also from those
   * who ask for no lock.
   *
   * @param store makes the request, with the fields that ask for the lock
   * @returns the entity tag of what was stored
   * @throws as `PromisedLocks.storing`
   */
  async storing(
    { handle, parts, signal }: StoredFile,
    store: (fields: LockFields) => Promise<PutObjectCommandOutput>,
  ): Promise<string | undefined> {
    let tag: string | undefined;
    const keep = ({ ETag, VersionId }: PutObjectCommandOutput): string | undefined => {
      tag = ETag;
      return VersionId;
    };
    await this.#locks.storing(handle, {
      store: async ({ lock, mark, isLockable }) => {
        const fields = {
          ...(lock && lockFields(lock)),
          ...(mark !== undefined && { Metadata: { [markName]: mark } }),
        };
        const withHash = (): Promise<PutObjectCommandOutput> =>
          store({ ...fields, ContentMD5: hashParts(parts, 'md5').toString('base64') });
        if (isLockable || this.#wantsHash) return keep(await withHash());
        try {
          return keep(await store(fields));
        } catch (error) {
          if (!isMissingHash(error)) throw error;
          const answer = await withHash();
          this.#wantsHash = true;
          return keep(answer);
        }
      },
      ask: (id) => this.#ask(handle, { key: this.#place.keyOf(handle), id, signal }),
    });
    return tag;
  }

  async #ask(
    handle: FileHandle,
    object: {
      readonly key: string;
      readonly id: string | undefined;
      signal: AbortSignal | undefined;
    },
  ): Promise<FileLock | undefined> {
    const { requests } = this.#place;
    const { key, id, signal } = object;
    const input = { Bucket: requests.bucket, Key: key, ...(id !== undefined && { VersionId: id }) };
    const answer = await requests.run({
      action: 'read',
      subject: `the lock of ${describeHandle(handle)}`,
      signal,
      send: (client, options) => client.send(new HeadObjectCommand(input), options),
    });
    const mode = modeOf(answer.ObjectLockMode);
    const untilMs = answer.ObjectLockRetainUntilDate?.getTime() ?? 0;
    const isOver = untilMs <= this.#environment.clock.wallMs();
    return mode === undefined || isOver ? undefined : { mode, untilMs };
  }

  async #putCanary(
    content: Uint8Array,
    fields: LockFields,
    signal: AbortSignal | undefined,
  ): Promise<FileVersion> {
    const { requests } = this.#place;
    const hash = createHash('sha256').update(content).digest('hex');
    const path = this.#canaryPath;
    const input = {
      Bucket: requests.bucket,
      Key: path,
      ContentLength: content.byteLength,
      ContentMD5: hashParts([content], 'md5').toString('base64'),
      ...fields,
    };
    const answer = await requests.run({
      action: 'write',
      subject: 'canary',
      signal,
      send: (client, options) => {
        const body = new PartsBody([content], hash);
        return client.send(new PutObjectCommand({ ...input, Body: body }), options);
      },
    });
    return {
      handle: canaryHandle,
      path,
      id: answer.VersionId ?? 'null',
      kind: 'content',
      isNewest: true,
      sizeBytes: content.byteLength,
      storedMs: this.#environment.clock.wallMs(),
      contentMark: answer.ETag ?? '',
    };
  }

  async #loadConfiguration(
    signal: AbortSignal | undefined,
  ): Promise<LockConfiguration | undefined> {
    const { requests } = this.#place;
    try {
      const answer = await requests.run({
        action: 'read',
        subject: `Object Lock of bucket ${requests.bucket}`,
        signal,
        send: (client, options) =>
          client.send(new GetObjectLockConfigurationCommand({ Bucket: requests.bucket }), options),
      });
      return answer.ObjectLockConfiguration;
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND', 'UNSUPPORTED')) return undefined;
      throw error;
    }
  }
}

interface LockConfiguration {
  readonly ObjectLockEnabled?: string | undefined;
  readonly Rule?:
    | {
        readonly DefaultRetention?:
          | {
              readonly Mode?: string | undefined;
              readonly Days?: number | undefined;
              readonly Years?: number | undefined;
            }
          | undefined;
      }
    | undefined;
}

/** What a bucket that locks every object says of a put without `Content-MD5`. */
function isMissingHash(error: unknown): boolean {
  return isHoldfastError(error, 'UNSUPPORTED') && error.details['answer'] === '400 InvalidRequest';
}

function cannotLock(bucket: string): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: `the bucket "${bucket}" cannot lock files: Object Lock is not turned on`,
    hint: 'Turn on versions and Object Lock of the bucket, or name one that does not exist: "init --lock" makes it so, where the server knows such locks.',
  });
}

function lockFields({ mode, untilMs }: FileLock): LockFields {
  return { ObjectLockMode: fieldOf(mode), ObjectLockRetainUntilDate: new Date(untilMs) };
}

function fieldOf(mode: RetentionMode): 'COMPLIANCE' | 'GOVERNANCE' {
  return mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
}

function modeOf(text: string | undefined): RetentionMode | undefined {
  if (text === 'COMPLIANCE') return 'compliance';
  return text === 'GOVERNANCE' ? 'governance' : undefined;
}
