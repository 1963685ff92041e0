import { Readable } from 'node:stream';

import type {
  BlobClient,
  BlobDownloadResponseParsed,
  BlobRequestConditions,
  BlockBlobClient,
  ContainerClient,
  ContainerListBlobFlatSegmentResponse,
} from '@azure/storage-blob';

import { throwIfAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import { toHex, sizeOfParts } from '../../base/bytes.ts';
import type { Environment } from '../../base/environment.ts';
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
import { handleAt, hashParts } from '../content-names.ts';
import { GenuineReads } from '../genuine-reads.ts';
import { readBody, readRange } from '../http-body.ts';
import type { HttpAnswer, HttpClient } from '../http-client.ts';
import { invalidAnswer } from '../http-errors.ts';
import { FileList, listedNamesMax } from '../http-list.ts';
import { folderOf, placeOf, repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import type { LocationOf } from '../store.ts';
import { AzureRetention, type LockFields } from './blob-locks.ts';
import { AzureVersions } from './blob-versions.ts';
import type { AzureCall, ContainerPlace, SdkOptions } from './container-place.ts';
import { PartsBody } from './sdk-requests.ts';
import type { AzureSettings } from './settings.ts';
import { translate } from './translate.ts';

/** What an open container is made of. */
export interface AzureBackendOptions {
  readonly location: LocationOf<'azure'>;
  readonly settings: AzureSettings;
  readonly http: HttpClient;
  readonly container: ContainerClient;
  readonly connectionCount: number;
  readonly environment: Environment;
  /** A file that is larger goes up in blocks of a quarter of this, so that a cut connection costs no more; default 256 MiB. */
  readonly putSizeBytesMax?: number;
}

const putSizeBytesMaxDefault = 256 << 20;
const blocksPerPut = 4;
/** The service gives no more at once. */
const namesPerPage = 5000;

/**
 * A repository in a container of Azure Blob Storage. A file is one block blob, which the service shows whole or not at all,
 * and never puts over another one: every put asks for that.
 *
 * @see docs/STORES.md#azure
 */
export class AzureBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #options: AzureBackendOptions;
  readonly #prefix: string;
  readonly versions: AzureVersions;
  readonly retention: AzureRetention;
  readonly #genuine: GenuineReads;
  #wasThere = false;

  constructor(options: AzureBackendOptions) {
    const { container, prefix } = options.location;
    this.location = `azure:${container}:/${prefix}`;
    this.connectionCount = options.connectionCount;
    this.#options = options;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    const { container: client, environment } = options;
    const place: ContainerPlace = {
      container: client,
      prefix: this.#prefix,
      pathOf: (handle) => this.#pathOf(handle),
      run: (call, work) => this.#run(call, work),
    };
    this.versions = new AzureVersions(place, {
      read: (blob, handle, how) => this.#download(blob, handle, how),
      store: (handle, content, signal) => this.#put(handle, [content], { replace: true, signal }),
    });
    this.retention = new AzureRetention(place, this.versions, environment);
    this.#genuine = new GenuineReads(this.versions, () => this.retention.promised !== undefined);
  }

  /** Makes the container if there is none. Who may not look at it may still write into it. */
  async create({ signal }: CallOptions = {}): Promise<void> {
    const { container } = this.#options;
    const call = { file: `container ${this.#options.location.container}`, signal };
    try {
      await this.#run({ ...call, isWrite: false }, (options) => container.getProperties(options));
    } catch (error) {
      if (isHoldfastError(error, 'PERMISSION_DENIED')) return;
      if (!isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
      await this.#run({ ...call, isWrite: true }, (options) =>
        container.createIfNotExists(options),
      );
    }
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
    { replace = false, signal }: PutOptions,
  ): Promise<void> {
    const { accessTier: tier } = this.#options.settings;
    const isColdable = handle.type === 'pack' && !handle.holdsTrees;
    const blob = this.#blobOf(handle);
    const call = { file: describeHandle(handle), isWrite: true, signal };
    await this.retention.storing(handle, { signal }, (more) => {
      const how = {
        conditions: replace ? {} : { ifNoneMatch: '*' },
        // What is read every day, or kept for minutes only, costs more in a colder tier.
        ...(tier && isColdable && { tier }),
        ...more,
      };
      return this.#run(call, (options) => this.#upload(blob, parts, { ...options, ...how }));
    });
  }

  async #upload(
    blob: BlockBlobClient,
    parts: readonly Uint8Array[],
    how: CommitOptions,
  ): Promise<string | undefined> {
    const sizeBytes = sizeOfParts(parts);
    const { putSizeBytesMax = putSizeBytesMaxDefault } = this.#options;
    if (sizeBytes > putSizeBytesMax) {
      const blockSizeBytes = Math.ceil(putSizeBytesMax / blocksPerPut);
      return await this.#putBlocks(blob, sliceParts(parts, blockSizeBytes), how);
    }
    // The SDK passes the hash on for every kind of upload, though only the types of the others have it.
    const upload = { ...how, transactionalContentMD5: hashParts(parts, 'md5') };
    return (await blob.upload(new PartsBody(parts), sizeBytes, upload)).versionId;
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    { signal, fresh = false }: GetOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    if (range && range.start === range.end) return await this.#getNothing(handle, range, signal);
    const read = { range, fresh, signal };
    return await this.#genuine.reading(handle, read, () =>
      this.#download(this.#blobOf(handle), handle, { range, signal }),
    );
  }

  async #download(
    blob: BlobClient,
    handle: FileHandle,
    { range, signal }: { readonly range?: ByteRange | undefined } & CallOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const file = describeHandle(handle);
    return await this.#run({ file, isWrite: false, signal }, async (options) => {
      const { start, end } = range ?? { start: 0, end: undefined };
      const count = end === undefined ? undefined : end - start;
      // By itself the SDK would put what further requests give behind what was cut, whatever that is.
      const response = await blob.download(start, count, { ...options, maxRetryRequests: 0 });
      try {
        if (handle.type === 'config') this.retention.learn(response.metadata);
        const answer = answerOf(response);
        return range ? await readPart(file, range, answer) : await readWhole(handle, answer);
      } finally {
        // What is refused unread would keep its connection.
        destroyStream(response.readableStreamBody);
      }
    });
  }

  async stat(handle: FileHandle, { signal }: CallOptions = {}): Promise<FileStat> {
    const blob = this.#blobOf(handle);
    const file = describeHandle(handle);
    const sizeBytes = await this.#run({ file, isWrite: false, signal }, async (options) => {
      const { contentLength } = await blob.getProperties(options);
      return contentLength;
    }).catch((error: unknown) => {
      // What is not there is no file, whatever else is missing.
      if (!isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
      throw new HoldfastError('FILE_NOT_FOUND', { details: { file } });
    });
    if (sizeBytes !== undefined) return { name: handle.name, sizeBytes };
    throw invalidAnswer('the storage does not say how large a file is', { file });
  }

  async *list(
    type: FileType,
    { signal }: CallOptions = {},
  ): AsyncGenerator<FileStat, void, undefined> {
    if (type === 'config') yield* this.#listConfig(signal);
    else yield* await this.#loadList(type, signal);
  }

  async remove(handle: FileHandle, { signal }: CallOptions = {}): Promise<void> {
    const blob = this.#blobOf(handle);
    const call = { file: describeHandle(handle), isWrite: true, signal };
    await this.#run(call, (options) => blob.delete(options));
  }

  /** Nobody may remove what is not there without the right to remove. */
  async mayRemove({ signal }: CallOptions = {}): Promise<boolean> {
    const name = toHex(this.#options.environment.random.fill(new Uint8Array(32)));
    try {
      await this.remove({ type: 'index', name }, { signal });
      return true;
    } catch (error) {
      if (isHoldfastError(error, 'PERMISSION_DENIED', 'READ_ONLY')) return false;
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return true;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#options.http.close();
  }

  async #run<T>(call: AzureCall, work: (options: SdkOptions) => Promise<T>): Promise<T> {
    const { signal } = call;
    throwIfAborted(signal);
    try {
      const result = await work(signal ? { abortSignal: signal } : {});
      this.#wasThere = true;
      return result;
    } catch (error) {
      const { location, settings, environment } = this.#options;
      const { host } = new URL(settings.serviceUrl);
      const { clock } = environment;
      throw translate(error, { ...call, container: location.container, host, clock });
    }
  }

  /** Blocks are shown by the last request only; until then, and for a week if it never comes, the service hides them. */
  async #putBlocks(
    blob: BlockBlobClient,
    blocks: Iterable<readonly Uint8Array[]>,
    { abortSignal, ...how }: CommitOptions,
  ): Promise<string | undefined> {
    const options = abortSignal ? { abortSignal } : {};
    // Somebody else may be sending blocks under the same name.
    const mark = toHex(this.#options.environment.random.fill(new Uint8Array(8)));
    const ids: string[] = [];
    for (const parts of blocks) {
      const id = Buffer.from(`${mark}-${String(ids.length).padStart(6, '0')}`).toString('base64');
      ids.push(id);
      await blob.stageBlock(id, new PartsBody(parts), sizeOfParts(parts), {
        ...options,
        transactionalContentMD5: hashParts(parts, 'md5'),
      });
    }
    return (await blob.commitBlockList(ids, { ...options, ...how })).versionId;
  }

  /** An empty range cannot be asked for. */
  async #getNothing(
    handle: FileHandle,
    { end }: ByteRange,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { sizeBytes } = await this.stat(handle, { signal });
    if (end <= sizeBytes) return new Uint8Array(0);
    const file = describeHandle(handle);
    throw new HoldfastError('RANGE_NOT_SATISFIABLE', { details: { file, end, sizeBytes } });
  }

  async *#listConfig(signal: AbortSignal | undefined): AsyncGenerator<FileStat, void, undefined> {
    try {
      yield await this.stat({ type: 'config', name: '' }, { signal });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }

  /** No container holds no files, as a missing folder holds none; but one that was there does not go away. */
  async #loadList(type: FileType, signal: AbortSignal | undefined): Promise<Iterable<FileStat>> {
    const list = new FileList(`${type} files`);
    const wasThere = this.#wasThere;
    try {
      await this.#run({ file: `${type} files`, isWrite: false, signal }, (options) =>
        this.#fillList(list, type, options),
      );
    } catch (error) {
      if (wasThere || !isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    }
    return list.files();
  }

  async #fillList(list: FileList, type: FileType, options: SdkOptions): Promise<void> {
    const prefix = `${this.#prefix}${folderOf(repositoryLayout, type)}/`;
    const { container } = this.#options;
    const pages = container
      .listBlobsFlat({ ...options, prefix })
      .byPage({ maxPageSize: namesPerPage });
    let pageCount = 0;
    let marker: string | undefined;
    for (let page = await nextPage(pages, type); page; page = await nextPage(pages, type)) {
      const next = page.continuationToken;
      if ((next && next === marker) || ++pageCount > listedNamesMax) throw goesInCircles(type);
      marker = next;
      for (const blob of page.segment.blobItems) this.#addBlob(list, type, blob);
    }
  }

  #addBlob(list: FileList, type: FileType, { name: path, properties }: ListedBlob): void {
    const file = handleAt(path, type, (handle) => this.#pathOf(handle));
    const sizeBytes = properties?.contentLength;
    if (file && sizeBytes === undefined) throw withoutSizes(type);
    list.add(file?.name ?? '', sizeBytes ?? 0);
  }

  #blobOf(handle: FileHandle): BlockBlobClient {
    return this.#options.container.getBlockBlobClient(this.#pathOf(handle));
  }

  #pathOf(handle: FileHandle): string {
    const { folders, name } = placeOf(repositoryLayout, handle);
    return this.#prefix + [...folders, name].join('/');
  }
}

/** An entry of a listing as it may come. */
interface ListedBlob {
  readonly name: string;
  readonly properties?: { readonly contentLength?: number | undefined };
}

/** The SDK takes a listing apart as if it could be nothing else. */
async function nextPage(
  pages: AsyncIterableIterator<ContainerListBlobFlatSegmentResponse>,
  type: FileType,
): Promise<ContainerListBlobFlatSegmentResponse | undefined> {
  try {
    const { value, done } = await pages.next();
    return done ? undefined : value;
  } catch (error) {
    throw error instanceof TypeError ? noListing(type) : error;
  }
}

interface CommitOptions extends SdkOptions, LockFields {
  readonly conditions: BlobRequestConditions;
  readonly tier?: string;
}

/** A download as the readers of bodies take it. */
function answerOf(response: BlobDownloadResponseParsed): HttpAnswer {
  const { status, headers } = response._response;
  const { readableStreamBody: stream } = response;
  assert(stream, 'a download has a body');
  return {
    status,
    headers: headers.toJson(),
    header: (name) => headers.get(name),
    sizeBytes: response.contentLength,
    chunks: () => stream as AsyncIterable<Uint8Array>,
    failure: () =>
      invalidAnswer('the storage answers with a status that it should not', { status }),
  };
}

async function readWhole(handle: FileHandle, answer: HttpAnswer): Promise<Uint8Array<ArrayBuffer>> {
  const file = describeHandle(handle);
  return await readBody(answer, {
    file,
    sizeBytesMax: wholeFileSizeBytesMax[handle.type],
    tooLarge: () =>
      new HoldfastError('UNPACKED_DAMAGED', {
        message: 'a repository file is too large to be one',
        details: { file, sizeBytes: answer.sizeBytes },
      }),
  });
}

async function readPart(
  file: string,
  range: ByteRange,
  answer: HttpAnswer,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = await readRange(answer, range, file);
  if (found) return found;
  throw new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the storage sends less of a file than was asked for',
    details: { file, ...range },
  });
}

function destroyStream(stream: NodeJS.ReadableStream | undefined): void {
  if (stream instanceof Readable) stream.destroy();
}

/** The same bytes in pieces of `sizeBytes`, the last one shorter, without copying. */
function* sliceParts(
  parts: readonly Uint8Array[],
  sizeBytes: number,
): Generator<readonly Uint8Array[], void, undefined> {
  let slice: Uint8Array[] = [];
  let room = sizeBytes;
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; ) {
      const piece = part.subarray(start, start + room);
      slice.push(piece);
      start += piece.byteLength;
      room -= piece.byteLength;
      if (room > 0) continue;
      yield slice;
      slice = [];
      room = sizeBytes;
    }
  }
  if (slice.length > 0) yield slice;
}

function noListing(type: FileType): HoldfastError {
  return invalidAnswer('the storage sends something else than a listing', {
    list: `${type} files`,
  });
}

function goesInCircles(type: FileType): HoldfastError {
  return invalidAnswer('the storage lists without an end', { list: `${type} files` });
}

function withoutSizes(type: FileType): HoldfastError {
  return invalidAnswer('the storage lists files without their sizes', { list: `${type} files` });
}
