import {
  DeleteObjectCommand,
  type DeleteObjectCommandOutput,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
} from '@aws-sdk/client-s3';

import { sizeOfParts, toHex } from '../../base/bytes.ts';
import { assert } from '../../base/assert.ts';
import { type Random, randomBytes } from '../../base/random.ts';
import { endsWork, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  type GetOptions,
  type PutOptions,
  replaceableTypes,
  type ThawingFile,
  type ThawTerms,
} from '../backend.ts';
import { handleAt, hashParts, isNamedByContent } from '../content-names.ts';
import { GenuineReads } from '../genuine-reads.ts';
import { placeOf, repositoryLayout } from '../layout.ts';
import type { S3Location } from '../location.ts';
import { checkRange } from '../range.ts';
import type { StoreOptions } from '../store.ts';
import { PartsBody } from './http-requests.ts';
import { type ListedObject, listObjects, type ListRequest } from './list-objects.ts';
import { isVague, makeBucket } from './make-bucket.ts';
import { S3Retention } from './object-lock.ts';
import { S3Versions } from './object-versions.ts';
import { readObject, tooShort } from './read-object.ts';
import type { S3Requests } from './s3-requests.ts';
import type { S3Settings } from './settings.ts';
import { thawObject } from './thaw.ts';

/** What a repository in a bucket is opened with. */
export interface S3BackendOptions extends StoreOptions {
  readonly location: S3Location;
  readonly settings: S3Settings;
  readonly requests: S3Requests;
}

/** Sends a file. @returns its entity tag, which is the MD5 of its content where the server does not encrypt it */
type Send = (more: Partial<PutObjectCommandInput>) => Promise<string | undefined>;

/** As many as one request takes, by the description of DeleteObjects. */
const removalsAtOnceMax = 1000;
/** The most that one request may store; larger files come in parts, and no file of a repository is larger. */
const putSizeBytesMax = 5 * 2 ** 30;

/**
 * A repository in a bucket.
 *
 * A file is one object, and a put is one request, which stores the whole object or nothing. Files that are named after their
 * content are sent with their name as the hash of the body, which the server holds against what it gets: wrong bytes
 * cannot get under such a name, and an overwritten file is the same as before. So nothing rests on conditional puts, which some servers ignore.
 *
 * @see docs/STORES.md#s3
 */
export class S3Backend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #requests: S3Requests;
  readonly #settings: S3Settings;
  readonly #prefix: string;
  readonly #random: Random;
  readonly versions: S3Versions;
  readonly retention: S3Retention;
  readonly #genuine: GenuineReads;
  #takesConditions = true;

  constructor(options: S3BackendOptions) {
    const { location, settings, requests, connectionCount, environment } = options;
    const { isEncrypted, endpoint, bucket, prefix } = location;
    const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
    this.location = `s3:${isEncrypted ? 'https' : 'http'}://${endpoint}/${path}`;
    this.connectionCount = connectionCount;
    this.#requests = requests;
    this.#settings = settings;
    this.#random = environment.random;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    const keyOf = (handle: FileHandle): string => this.#keyOf(handle);
    const place = { requests, prefix: this.#prefix, keyOf };
    this.versions = new S3Versions(place, {
      learn: (metadata) => this.retention.learn(metadata),
      store: (handle, content, signal) => this.#put(handle, [content], { replace: true, signal }),
    });
    this.retention = new S3Retention(place, this.versions, environment);
    this.#genuine = new GenuineReads(this.versions, () => this.retention.promised !== undefined);
  }

  /** If told so. Who reads then waits around the limit of connections, not here. */
  get thawing(): ThawTerms | undefined {
    return this.#settings.thaw;
  }

  /** Makes the bucket if there is none. */
  async create({ signal }: CallOptions = {}): Promise<void> {
    // Who may not look at the bucket may still write into it.
    await makeBucket(this.#requests, false, signal);
  }

  async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    options: PutOptions = {},
  ): Promise<void> {
    const { replace = false } = options;
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    await this.#put(handle, parts, options);
  }

  async #put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    { replace = false, signal, onChecked }: PutOptions,
  ): Promise<void> {
    const sizeBytes = sizeOfParts(parts);
    assert(sizeBytes <= putSizeBytesMax, 'a file is stored by one request');
    const input: PutObjectCommandInput = {
      Bucket: this.#requests.bucket,
      Key: this.#keyOf(handle),
      ContentLength: sizeBytes,
      ...this.#storageClassOf(handle),
    };
    if (handle.type === 'config' && !replace) await this.#refuseExisting(handle, signal);
    const hash = isNamedByContent(handle)
      ? handle.name
      : hashParts(parts, 'sha256').toString('hex');
    const send: Send = (more) =>
      this.retention.storing({ handle, parts, signal }, (lock) =>
        this.#store(
          { ...input, ...lock, ...more, Body: new PartsBody(parts, hash) },
          { subject: describeHandle(handle), signal },
        ),
      );
    try {
      const tag = await (replace || !this.#takesConditions
        ? send({})
        : this.#sendUnlessThere(send));
      this.#genuine.forget(handle);
      if (onChecked && tag === `"${hashParts(parts, 'md5').toString('hex')}"`) onChecked();
    } catch (error) {
      if (input.StorageClass !== undefined && isHoldfastError(error, 'FILE_EXISTS')) {
        if (await this.#isStored(handle, parts, signal)) return;
      }
      // The server found other bytes than those of the name: were they lost on the way, or never there?
      const isDoubtful = isHoldfastError(error, 'BACKEND_WRITE_FAILED', 'UNSUPPORTED');
      if (
        isDoubtful &&
        isNamedByContent(handle) &&
        hashParts(parts, 'sha256').toString('hex') !== hash
      )
        throw notAsNamed(handle);
      throw error;
    }
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    { signal, fresh = false }: GetOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    if (range && range.start === range.end) return await this.#getNothing(handle, range, signal);
    return await this.#genuine.reading(handle, { range, fresh, signal }, () =>
      this.#read(handle, range, signal),
    );
  }

  async stat(handle: FileHandle, { signal }: CallOptions = {}): Promise<FileStat> {
    const input = { Bucket: this.#requests.bucket, Key: this.#keyOf(handle) };
    const sizeBytes = await this.#explained(handle, signal, () =>
      this.#requests.run({
        action: 'read',
        subject: describeHandle(handle),
        signal,
        send: async (client, options) =>
          (await client.send(new HeadObjectCommand(input), options)).ContentLength,
      }),
    );
    if (sizeBytes === undefined) {
      throw new HoldfastError('BACKEND_READ_FAILED', {
        message: 'the storage does not say how large a file is',
        details: { file: describeHandle(handle) },
      });
    }
    return { name: handle.name, sizeBytes };
  }

  async *list(
    type: FileType,
    { signal }: CallOptions = {},
  ): AsyncGenerator<FileStat, void, undefined> {
    if (type === 'config') {
      yield* this.#listConfig(signal);
      return;
    }
    const folder = `${this.#prefix}${repositoryLayout.folders[type]}/`;
    const request = { prefix: folder, subject: `${type} files`, signal };
    for await (const object of this.#listObjects(request)) {
      const file = handleAt(object.key, type, (handle) => this.#keyOf(handle));
      if (file) yield { name: file.name, sizeBytes: object.sizeBytes };
    }
  }

  /** One that is not there counts as removed: S3 does not tell. */
  async remove(handle: FileHandle, { signal }: CallOptions = {}): Promise<void> {
    const input = { Bucket: this.#requests.bucket, Key: this.#keyOf(handle) };
    await this.#requests.run({
      action: 'write',
      subject: describeHandle(handle),
      signal,
      send: (client, options) => client.send(new DeleteObjectCommand(input), options),
    });
  }

  /** Up to 1000 by one request. One that was not there is among those that are gone. */
  async removeSeveral(
    type: FileType,
    names: readonly string[],
    { signal, admit }: CallOptions = {},
  ): Promise<readonly string[]> {
    const gone: string[] = [];
    for (let start = 0; start < names.length; start += removalsAtOnceMax) {
      // A change that has to wait is left to whoever removes each.
      const refusal = admit?.();
      refusal?.catch(() => undefined);
      if (refusal) break;
      const some = names.slice(start, start + removalsAtOnceMax);
      try {
        gone.push(...(await this.#removeAtOnce(type, some, signal)));
      } catch (error) {
        // What is worth another try gets it with each file: this call is made once.
        if (!isHoldfastError(error)) throw error;
        if (endsWork(error) && error.row.retry === 'never') throw error;
        break;
      }
    }
    return gone;
  }

  /** Removing what is not there needs the right to do so as well. Where versions are kept it leaves a mark, which is taken back. */
  async mayRemove({ signal }: CallOptions = {}): Promise<boolean> {
    const name = toHex(randomBytes(this.#random, 32));
    const input = { Bucket: this.#requests.bucket, Key: this.#keyOf({ type: 'index', name }) };
    const remove = (more: { readonly VersionId?: string }): Promise<DeleteObjectCommandOutput> =>
      this.#requests.run({
        action: 'write',
        subject: 'a file that is not there',
        signal,
        send: (client, options) =>
          client.send(new DeleteObjectCommand({ ...input, ...more }), options),
      });
    try {
      const { VersionId: id, DeleteMarker: leavesMark } = await remove({});
      if (leavesMark && id !== undefined) await remove({ VersionId: id }).catch(() => undefined);
      return true;
    } catch (error) {
      if (isHoldfastError(error, 'PERMISSION_DENIED', 'READ_ONLY')) return false;
      throw error;
    }
  }

  async thaw(handle: FileHandle, { signal }: CallOptions = {}): Promise<ThawingFile | undefined> {
    const settings = this.#settings.thaw;
    if (!settings) return undefined;
    const object = { key: this.#keyOf(handle), subject: describeHandle(handle), signal };
    return await this.#explained(handle, signal, () =>
      thawObject(object, settings, this.#requests),
    );
  }

  async close(): Promise<void> {
    this.#requests.close();
  }

  /** No bucket holds no files, as a missing folder holds none; but a bucket that was there does not go away. */
  async *#listObjects(request: ListRequest): AsyncGenerator<ListedObject, void, undefined> {
    try {
      yield* listObjects(this.#requests, request, this.#settings);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      if (!this.#requests.hasSucceeded) return;
      throw new HoldfastError('BACKEND_READ_FAILED', {
        message: 'the storage does not find the bucket that it had just now',
        details: { bucket: this.#requests.bucket },
      });
    }
  }

  async #read(
    handle: FileHandle,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const input = {
      Bucket: this.#requests.bucket,
      Key: this.#keyOf(handle),
      ...(range && { Range: `bytes=${range.start}-${range.end - 1}` }),
    };
    return await this.#requests.run({
      action: 'read',
      subject: describeHandle(handle),
      signal,
      send: async (client, options) => {
        const answer = await client.send(new GetObjectCommand(input), options);
        if (handle.type === 'config') this.retention.learn(answer.Metadata);
        return await readObject(answer, handle, range);
      },
    });
  }

  #keyOf(handle: FileHandle): string {
    const { folders, name } = placeOf(repositoryLayout, handle);
    return this.#prefix + [...folders, name].join('/');
  }

  async #store(
    input: PutObjectCommandInput,
    call: { readonly subject: string; readonly signal: AbortSignal | undefined },
  ): Promise<PutObjectCommandOutput> {
    return await this.#requests.run({
      ...call,
      action: 'write',
      send: (client, options) => client.send(new PutObjectCommand(input), options),
    });
  }

  /** Saves a second version of a file that is there, on servers that know the condition. */
  async #sendUnlessThere(send: Send): Promise<string | undefined> {
    try {
      return await send({ IfNoneMatch: '*' });
    } catch (error) {
      if (!isHoldfastError(error, 'UNSUPPORTED')) throw error;
      const tag = await send({});
      this.#takesConditions = false;
      return tag;
    }
  }

  /**
   * Whether a file is there as it should be, without reading it: who would compare it after a lost answer may wait for an
   * archive. Under this name the server takes these bytes only.
   */
  async #isStored(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (hashParts(parts, 'sha256').toString('hex') !== handle.name) return false;
    return (await this.stat(handle, { signal })).sizeBytes === sizeOfParts(parts);
  }

  async #removeAtOnce(
    type: FileType,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const byKey = new Map(names.map((name) => [this.#keyOf({ type, name }), name]));
    const input = {
      Bucket: this.#requests.bucket,
      Delete: { Objects: [...byKey.keys()].map((key) => ({ Key: key })) },
    };
    const { Deleted: deleted = [] } = await this.#requests.run({
      action: 'write',
      subject: `${names.length} ${type} files`,
      signal,
      send: (client, options) => client.send(new DeleteObjectsCommand(input), options),
    });
    return deleted.flatMap(({ Key: key }) => byKey.get(key ?? '') ?? []);
  }

  async #refuseExisting(handle: FileHandle, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.stat(handle, { signal });
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return;
      throw error;
    }
    throw new HoldfastError('FILE_EXISTS', { details: { file: describeHandle(handle) } });
  }

  /** The answer to a HEAD has no body, so it does not say why: the same question as a GET does. */
  async #explained<T>(
    handle: FileHandle,
    signal: AbortSignal | undefined,
    ask: () => Promise<T>,
  ): Promise<T> {
    const { region } = this.#requests;
    try {
      return await ask();
    } catch (error) {
      if (!isVague(error)) throw error;
      try {
        await this.#read(handle, { start: 0, end: 1 }, signal);
      } catch (why) {
        const isAnswer = isHoldfastError(
          why,
          'FILE_NOT_FOUND',
          'RANGE_NOT_SATISFIABLE',
          'FILE_ARCHIVED',
        );
        if (!isAnswer) throw why;
      }
      if (this.#requests.region === region) throw error;
      // By another region that the answer named, it is allowed.
      return await ask();
    }
  }

  /** An empty range cannot be asked for. */
  async #getNothing(
    handle: FileHandle,
    { end }: ByteRange,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { sizeBytes } = await this.stat(handle, { signal });
    if (end > sizeBytes) throw tooShort(handle, end, sizeBytes);
    return new Uint8Array(0);
  }

  async *#listConfig(signal: AbortSignal | undefined): AsyncGenerator<FileStat, void, undefined> {
    try {
      yield await this.stat({ type: 'config', name: '' }, { signal });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }

  /** Only packs of data: a colder class is a bad place for what is read every day, or kept for minutes. */
  #storageClassOf(handle: FileHandle): Pick<PutObjectCommandInput, 'StorageClass'> {
    const { storageClass } = this.#settings;
    if (storageClass === undefined || handle.type !== 'pack' || handle.holdsTrees) return {};
    // Other vendors have names of their own.
    return { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> };
  }
}

function notAsNamed(handle: FileHandle): HoldfastError {
  return new HoldfastError('VERIFY_FAILED', {
    message: 'a file does not hold the bytes that it is named after, and was not stored',
    details: { file: describeHandle(handle) },
  });
}
