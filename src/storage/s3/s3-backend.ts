import { createHash } from 'node:crypto';

import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';

import { assert } from '../../base/assert.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
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
  wholeFileSizeBytesMax,
} from '../backend.ts';
import { placeOf, repositoryLayout } from '../layout.ts';
import type { S3Location } from '../location.ts';
import { checkRange } from '../range.ts';
import type { StoreOptions } from '../store.ts';
import { PartsBody, webPage } from './http-requests.ts';
import { type ListedObject, listObjects, type ListRequest } from './list-objects.ts';
import { readBody } from './read-body.ts';
import { payloadHashes, type S3Requests } from './s3-requests.ts';
import type { S3Settings } from './settings.ts';

export interface S3BackendOptions extends StoreOptions {
  readonly location: S3Location;
  readonly settings: S3Settings;
  readonly requests: S3Requests;
}

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

  constructor({ location, settings, requests, connectionCount }: S3BackendOptions) {
    const { isEncrypted, endpoint, bucket, prefix } = location;
    const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
    this.location = `s3:${isEncrypted ? 'https' : 'http'}://${endpoint}/${path}`;
    this.connectionCount = connectionCount;
    this.#requests = requests;
    this.#settings = settings;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** Makes the bucket if there is none. */
  async create({ signal }: CallOptions = {}): Promise<void> {
    const { bucket, region } = this.#requests;
    const call = { subject: `bucket ${bucket}`, signal };
    try {
      await this.#requests.run({
        ...call,
        action: 'read',
        send: (client, options) => client.send(new HeadBucketCommand({ Bucket: bucket }), options),
      });
    } catch (error) {
      // Who may not look at the bucket may still write into it.
      if (isHoldfastError(error, 'PERMISSION_DENIED')) return;
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      const isElsewhere = region !== 'us-east-1' && this.location.includes('amazonaws.com');
      const place = isElsewhere ? { LocationConstraint: region } : undefined;
      const input = { Bucket: bucket, ...(place && { CreateBucketConfiguration: place }) };
      await this.#requests.run({
        ...call,
        action: 'write',
        send: (client, options) => client.send(new CreateBucketCommand(input as never), options),
      });
    }
  }

  async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    { replace = false, signal }: PutOptions = {},
  ): Promise<void> {
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    assert(sizeBytes <= putSizeBytesMax, 'a file is stored by one request');
    const key = this.#keyOf(handle);
    if (handle.type === 'config' && !replace) await this.#refuseExisting(handle, signal);
    const input: PutObjectCommandInput = {
      Bucket: this.#requests.bucket,
      Key: key,
      Body: new PartsBody(parts),
      ContentLength: sizeBytes,
      ...(!replace && { IfNoneMatch: '*' }),
      ...this.#storageClassOf(handle),
    };
    payloadHashes.set(input, hashOf(handle, parts));
    await this.#requests.run({
      action: 'write',
      subject: describeHandle(handle),
      signal,
      send: (client, options) => client.send(new PutObjectCommand(input), options),
    });
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    { signal }: GetOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    const key = this.#keyOf(handle);
    if (range && range.start === range.end) return await this.#getNothing(handle, range, signal);
    const input = {
      Bucket: this.#requests.bucket,
      Key: key,
      ...(range && { Range: `bytes=${range.start}-${range.end - 1}` }),
    };
    return await this.#requests.run({
      action: 'read',
      subject: describeHandle(handle),
      signal,
      send: async (client, options) => {
        const answer = await client.send(new GetObjectCommand(input), options);
        return await readAnswer(answer, handle, range);
      },
    });
  }

  async stat(handle: FileHandle, { signal }: CallOptions = {}): Promise<FileStat> {
    const input = { Bucket: this.#requests.bucket, Key: this.#keyOf(handle) };
    const sizeBytes = await this.#requests.run({
      action: 'read',
      subject: describeHandle(handle),
      signal,
      send: async (client, options) =>
        (await client.send(new HeadObjectCommand(input), options)).ContentLength,
    });
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

  #keyOf(handle: FileHandle): string {
    const { folders, name } = placeOf(repositoryLayout, handle);
    return this.#prefix + [...folders, name].join('/');
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

type GetAnswer = Awaited<ReturnType<typeof sendGet>>;
declare function sendGet(): Promise<import('@aws-sdk/client-s3').GetObjectCommandOutput>;

async function readAnswer(
  answer: GetAnswer,
  handle: FileHandle,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { Body: body, ContentLength: sizeBytes } = answer;
  void webPage;
  if (!body || sizeBytes === undefined) throw new Error('todo');
  const sizeBytesMax = range ? range.end - range.start : wholeFileSizeBytesMax[handle.type];
  if (range && sizeBytes < range.end - range.start) throw tooShort(handle, range.end, sizeBytes);
  assert(sizeBytes <= sizeBytesMax, 'todo');
  return await readBody(body as never, sizeBytes);
}

function hashOf(handle: FileHandle, parts: readonly Uint8Array[]): string {
  if (handle.type !== 'config' && handle.type !== 'parity') return handle.name;
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function tooShort(handle: FileHandle, end: number, sizeBytes: number): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', {
    details: { file: describeHandle(handle), end, sizeBytes },
  });
}
