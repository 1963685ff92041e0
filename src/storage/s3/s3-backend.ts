import { createHash } from 'node:crypto';

import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  type CreateBucketCommandInput,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';

import { sizeOfParts } from '../../base/bytes.ts';
import { assert } from '../../base/assert.ts';
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
  wholeFileSizeBytesMax,
} from '../backend.ts';
import { isNamedByContent } from '../content-names.ts';
import { placeOf, repositoryLayout } from '../layout.ts';
import type { S3Location } from '../location.ts';
import { checkRange } from '../range.ts';
import type { StoreOptions } from '../store.ts';
import { PartsBody } from './http-requests.ts';
import { type ListedObject, listObjects, type ListRequest } from './list-objects.ts';
import { readBody } from './read-body.ts';
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
  #takesConditions = true;

  constructor(options: S3BackendOptions) {
    const { location, settings, requests, connectionCount } = options;
    const { isEncrypted, endpoint, bucket, prefix } = location;
    const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
    this.location = `s3:${isEncrypted ? 'https' : 'http'}://${endpoint}/${path}`;
    this.connectionCount = connectionCount;
    this.#requests = requests;
    this.#settings = settings;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** If told so. Who reads then waits around the limit of connections, not here. */
  get thawing(): ThawTerms | undefined {
    return this.#settings.thaw;
  }

  /** Makes the bucket if there is none. */
  async create({ signal }: CallOptions = {}): Promise<void> {
    const { bucket, region } = this.#requests;
    const call = { subject: `bucket ${bucket}`, signal };
    try {
      await this.#lookAtBucket(call);
    } catch (error) {
      // Who may not look at the bucket may still write into it.
      if (isHoldfastError(error, 'PERMISSION_DENIED')) return;
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      const isElsewhere = region !== 'us-east-1' && this.location.includes('amazonaws.com');
      const input: CreateBucketCommandInput = { Bucket: bucket };
      // Regions are more than the SDK's list of them knows.
      const place = region as BucketLocationConstraint;
      if (isElsewhere) input.CreateBucketConfiguration = { LocationConstraint: place };
      await this.#requests.run({
        ...call,
        action: 'write',
        send: (client, options) => client.send(new CreateBucketCommand(input), options),
      });
    }
  }

  async #lookAtBucket(call: Pick<ListRequest, 'subject' | 'signal'>): Promise<void> {
    const { bucket } = this.#requests;
    try {
      await this.#requests.run({
        ...call,
        action: 'read',
        send: (client, options) => client.send(new HeadBucketCommand({ Bucket: bucket }), options),
      });
    } catch (error) {
      if (!isVague(error)) throw error;
      // The same question with an answer that has a body: it says why, and maybe which region is wanted.
      await this.#requests.run({
        ...call,
        action: 'read',
        send: (client, options) =>
          client.send(new ListObjectsCommand({ Bucket: bucket, MaxKeys: 1 }), options),
      });
    }
  }

  async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    { replace = false, signal, onChecked }: PutOptions = {},
  ): Promise<void> {
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const sizeBytes = sizeOfParts(parts);
    assert(sizeBytes <= putSizeBytesMax, 'a file is stored by one request');
    const input: PutObjectCommandInput = {
      Bucket: this.#requests.bucket,
      Key: this.#keyOf(handle),
      ContentLength: sizeBytes,
      ...this.#storageClassOf(handle),
    };
    if (handle.type === 'config' && !replace) await this.#refuseExisting(handle, signal);
    const hash = isNamedByContent(handle) ? handle.name : hashOf(parts);
    const send: Send = (more) =>
      this.#store(
        { ...input, ...more, Body: new PartsBody(parts, hash) },
        { subject: describeHandle(handle), signal },
      );
    try {
      const tag = await (replace || !this.#takesConditions
        ? send({})
        : this.#sendUnlessThere(send));
      if (onChecked && tag === `"${hashOf(parts, 'md5')}"`) onChecked();
    } catch (error) {
      if (input.StorageClass !== undefined && isHoldfastError(error, 'FILE_EXISTS')) {
        if (await this.#isStored(handle, parts, signal)) return;
      }
      // The server found other bytes than those of the name: were they lost on the way, or never there?
      const isDoubtful = isHoldfastError(error, 'BACKEND_WRITE_FAILED', 'UNSUPPORTED');
      if (isDoubtful && isNamedByContent(handle) && hashOf(parts) !== hash)
        throw notAsNamed(handle);
      throw error;
    }
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    { signal }: GetOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    if (range && range.start === range.end) return await this.#getNothing(handle, range, signal);
    return await this.#read(handle, range, signal);
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
      const name = object.key.slice(object.key.lastIndexOf('/') + 1);
      const isOurs = /^[0-9a-f]{64}$/.test(name) && this.#keyOf({ type, name }) === object.key;
      if (isOurs) yield { name, sizeBytes: object.sizeBytes };
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
      send: async (client, options) =>
        await readFile(await client.send(new GetObjectCommand(input), options), handle, range),
    });
  }

  #keyOf(handle: FileHandle): string {
    const { folders, name } = placeOf(repositoryLayout, handle);
    return this.#prefix + [...folders, name].join('/');
  }

  async #store(
    input: PutObjectCommandInput,
    call: { readonly subject: string; readonly signal: AbortSignal | undefined },
  ): Promise<string | undefined> {
    const { ETag: tag } = await this.#requests.run({
      ...call,
      action: 'write',
      send: (client, options) => client.send(new PutObjectCommand(input), options),
    });
    return tag;
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
    if (hashOf(parts) !== handle.name) return false;
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

/** Whether a refusal may have a reason that only a body tells. */
function isVague(error: unknown): boolean {
  return isHoldfastError(
    error,
    'PERMISSION_DENIED',
    'LOCATION_INVALID',
    'CREDENTIALS_REFUSED',
    'UNSUPPORTED',
  );
}

/** @throws RANGE_NOT_SATISFIABLE, BACKEND_READ_FAILED, UNPACKED_DAMAGED */
async function readFile(
  { Body: body, ContentLength: sizeBytes }: GetObjectCommandOutput,
  handle: FileHandle,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = describeHandle(handle);
  if (sizeBytes === undefined) {
    throw new HoldfastError('BACKEND_READ_FAILED', {
      message: 'the storage does not say how large a file is',
      details: { file },
    });
  }
  if (range) {
    const wanted = range.end - range.start;
    if (sizeBytes < wanted) throw tooShort(handle, range.end, range.start + sizeBytes);
    if (sizeBytes > wanted) {
      throw new HoldfastError('BACKEND_READ_FAILED', {
        message: 'the storage sent more than a part of a file',
        details: { file, wanted, sizeBytes },
      });
    }
  } else if (sizeBytes > wholeFileSizeBytesMax[handle.type]) {
    throw new HoldfastError('UNPACKED_DAMAGED', {
      message: 'a repository file is larger than any such file can be',
      details: { file, sizeBytes },
    });
  }
  return await readBody(body, sizeBytes);
}

function hashOf(parts: readonly Uint8Array[], algorithm: 'sha256' | 'md5' = 'sha256'): string {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function notAsNamed(handle: FileHandle): HoldfastError {
  return new HoldfastError('VERIFY_FAILED', {
    message: 'a file does not hold the bytes that it is named after, and was not stored',
    details: { file: describeHandle(handle) },
  });
}

function tooShort(handle: FileHandle, end: number, sizeBytes: number): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', {
    details: { file: describeHandle(handle), end, sizeBytes },
  });
}
