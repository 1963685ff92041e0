import { throwIfAborted } from '../../base/abort.ts';
import { assert } from '../../base/assert.ts';
import { toHex, utf8, sizeOfParts } from '../../base/bytes.ts';
import type { Random } from '../../base/random.ts';
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
} from '../backend.ts';
import { handleAt, hashParts } from '../content-names.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from '../http-client.ts';
import { invalidAnswer } from '../http-errors.ts';
import { getFile } from '../http-get.ts';
import { FileList, listedNamesMax } from '../http-list.ts';
import { folderOf, placeOf, repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import type { LocationOf } from '../store.ts';
import { failureOf, isSuccess, readDocument } from './failures.ts';
import type { GoogleSettings } from './settings.ts';
import type { Authorization } from './tokens.ts';

/** What an open bucket is made of. */
export interface GoogleBackendOptions {
  readonly location: LocationOf<'gs'>;
  readonly settings: GoogleSettings;
  readonly http: HttpClient;
  readonly authorization: Authorization;
  readonly connectionCount: number;
  readonly random: Random;
}

/** The service gives no more at once. */
const namesPerPage = 1000;

/**
 * A repository in a bucket of Google Cloud Storage, by the JSON form of its API. A file is one object and one request, which
 * stores it whole or not at all, only if the MD5 sent with it is that of what came, and never over another one.
 *
 * @see docs/STORES.md#gs
 * @see https://cloud.google.com/storage/docs/json_api/v1
 */
export class GoogleBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #options: GoogleBackendOptions;
  readonly #prefix: string;
  #wasThere = false;

  constructor(options: GoogleBackendOptions) {
    const { bucket, prefix } = options.location;
    this.location = `gs:${bucket}:/${prefix}`;
    this.connectionCount = options.connectionCount;
    this.#options = options;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** Makes the bucket if there is none. Who may not look at it may still write into it. */
  async create({ signal }: CallOptions = {}): Promise<void> {
    const { settings, location } = this.#options;
    const file = `bucket ${location.bucket}`;
    const look = { method: 'GET', path: `${this.#bucketPath()}?fields=name`, file, signal };
    const status = await this.#exchange(look, async (answer) => {
      if (isSuccess(answer) || [403, 404].includes(answer.status)) return answer.status;
      throw await this.#failureOf(answer, file);
    });
    if (status !== 404) return;
    if (settings.projectId === undefined) {
      throw new HoldfastError('USAGE', {
        message: `there is no bucket "${location.bucket}", and none can be made: GOOGLE_PROJECT_ID is not set`,
      });
    }
    await this.#done({
      method: 'POST',
      path: `storage/v1/b?project=${encodeURIComponent(settings.projectId)}`,
      headers: { 'content-type': 'application/json' },
      body: [utf8(JSON.stringify({ name: location.bucket, location: settings.region }))],
      file,
      isWrite: true,
      signal,
    });
  }

  async put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    { replace = false, signal, onChecked }: PutOptions = {},
  ): Promise<void> {
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const file = describeHandle(handle);
    const md5Hash = hashParts(parts, 'md5').toString('base64');
    const boundary = `holdfast-${toHex(this.#options.random.fill(new Uint8Array(16)))}`;
    const condition = replace ? '' : '&ifGenerationMatch=0';
    const query = `uploadType=multipart&fields=size,md5Hash${condition}`;
    const request: HttpRequest = {
      method: 'POST',
      path: `upload/${this.#bucketPath()}/o?${query}`,
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: multipart(boundary, { name: this.#nameOf(handle), md5Hash }, parts),
      file,
      isWrite: true,
      signal,
    };
    await this.#exchange(request, async (answer) => {
      if (answer.status === 404) throw await this.#failureOf(answer, file, { isOfBucket: true });
      if (!isSuccess(answer)) throw await this.#failureOf(answer, file);
      const stored = await readDocument(answer, file);
      const sizeBytes = sizeOfParts(parts);
      if (memberOf(stored, 'md5Hash') === md5Hash && sizeIn(stored) === sizeBytes) {
        onChecked?.();
        return;
      }
      throw new HoldfastError('BACKEND_WRITE_FAILED', {
        message: 'what arrived at the storage is not what was sent',
        details: { file },
      });
    });
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    { signal }: GetOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    throwIfAborted(signal);
    const file = describeHandle(handle);
    const content = await getFile(this.#options.http, {
      handle,
      path: `${this.#objectPath(handle)}?alt=media`,
      range,
      headers: await this.#options.authorization(signal),
      signal,
      failureOf: (answer) => this.#failureOf(answer, file),
      stat: () => this.stat(handle, { signal }),
    });
    this.#wasThere = true;
    return content;
  }

  async stat(handle: FileHandle, { signal }: CallOptions = {}): Promise<FileStat> {
    const file = describeHandle(handle);
    const path = `${this.#objectPath(handle)}?fields=size`;
    return await this.#exchange({ method: 'GET', path, file, signal }, async (answer) => {
      if (answer.status === 404) throw new HoldfastError('FILE_NOT_FOUND', { details: { file } });
      if (!isSuccess(answer)) throw await this.#failureOf(answer, file);
      const sizeBytes = sizeIn(await readDocument(answer, file));
      if (sizeBytes !== undefined) return { name: handle.name, sizeBytes };
      throw invalidAnswer('the storage does not say how large a file is', { file });
    });
  }

  async *list(
    type: FileType,
    { signal }: CallOptions = {},
  ): AsyncGenerator<FileStat, void, undefined> {
    if (type === 'config') yield* this.#listConfig(signal);
    else yield* await this.#loadList(type, signal);
  }

  async remove(handle: FileHandle, { signal }: CallOptions = {}): Promise<void> {
    const path = this.#objectPath(handle);
    const file = describeHandle(handle);
    await this.#done({ method: 'DELETE', path, file, isWrite: true, signal });
  }

  async close(): Promise<void> {
    await this.#options.http.close();
  }

  async #exchange<T>(request: HttpRequest, take: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const { http, authorization } = this.#options;
    throwIfAborted(request.signal);
    const headers = { ...request.headers, ...(await authorization(request.signal)) };
    return await http.exchange({ ...request, headers }, async (answer) => {
      const result = await take(answer);
      this.#wasThere ||= isSuccess(answer);
      return result;
    });
  }

  async #done(request: HttpRequest): Promise<void> {
    await this.#exchange(request, async (answer) => {
      if (!isSuccess(answer)) throw await this.#failureOf(answer, request.file);
    });
  }

  #failureOf(
    answer: HttpAnswer,
    file: string,
    more: { isOfBucket?: boolean } = {},
  ): Promise<HoldfastError> {
    return failureOf(answer, { file, bucket: this.#options.location.bucket, ...more });
  }

  async *#listConfig(signal: AbortSignal | undefined): AsyncGenerator<FileStat, void, undefined> {
    try {
      yield await this.stat({ type: 'config', name: '' }, { signal });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }

  /** No bucket holds no files, as a missing folder holds none; but one that was there does not go away. */
  async #loadList(type: FileType, signal: AbortSignal | undefined): Promise<Iterable<FileStat>> {
    const list = new FileList(`${type} files`);
    const wasThere = this.#wasThere;
    let pageCount = 0;
    let from: string | undefined;
    try {
      do {
        const next = await this.#loadPage(list, type, { from, signal });
        if ((next && next === from) || ++pageCount > listedNamesMax) throw goesInCircles(type);
        from = next;
      } while (from);
    } catch (error) {
      if (wasThere || !isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    }
    return list.files();
  }

  /** @returns what the next page is asked for by */
  async #loadPage(
    list: FileList,
    type: FileType,
    {
      from,
      signal,
    }: { readonly from: string | undefined; readonly signal: AbortSignal | undefined },
  ): Promise<string | undefined> {
    const file = `${type} files`;
    const query = new URLSearchParams({
      prefix: `${this.#prefix}${folderOf(repositoryLayout, type)}/`,
      fields: 'kind,items(name,size),nextPageToken',
      maxResults: String(namesPerPage),
      ...(from !== undefined && { pageToken: from }),
    });
    const path = `${this.#bucketPath()}/o?${query.toString()}`;
    return await this.#exchange({ method: 'GET', path, file, signal }, async (answer) => {
      if (!isSuccess(answer)) throw await this.#failureOf(answer, file, { isOfBucket: true });
      const page = await readDocument(answer, file);
      const items = memberOf(page, 'items') ?? [];
      const next = memberOf(page, 'nextPageToken');
      // Any other document would be a listing of nothing.
      const isListing = memberOf(page, 'kind') === 'storage#objects' && Array.isArray(items);
      if (!isListing || (next !== undefined && typeof next !== 'string')) throw noListing(type);
      for (const item of items) this.#addObject(list, type, item);
      return next;
    });
  }

  #addObject(list: FileList, type: FileType, item: unknown): void {
    const path = memberOf(item, 'name');
    if (typeof path !== 'string') throw noListing(type);
    const file = handleAt(path, type, (handle) => this.#nameOf(handle));
    const sizeBytes = sizeIn(item);
    if (file && sizeBytes === undefined) throw noListing(type);
    list.add(file?.name ?? '', sizeBytes ?? 0);
  }

  #bucketPath(): string {
    return `storage/v1/b/${encodeURIComponent(this.#options.location.bucket)}`;
  }

  #objectPath(handle: FileHandle): string {
    return `${this.#bucketPath()}/o/${encodeURIComponent(this.#nameOf(handle))}`;
  }

  #nameOf(handle: FileHandle): string {
    const { folders, name } = placeOf(repositoryLayout, handle);
    return this.#prefix + [...folders, name].join('/');
  }
}

/** The body of an upload: what is known of the object, then its content (RFC 2387). */
function multipart(
  boundary: string,
  metadata: Readonly<Record<string, string>>,
  parts: readonly Uint8Array[],
): Uint8Array[] {
  const start = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(metadata)}\r\n`;
  const content = `--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
  return [utf8(start + content), ...parts, utf8(`\r\n--${boundary}--\r\n`)];
}

function memberOf(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined;
}

/** Sizes are written as strings. */
function sizeIn(object: unknown): number | undefined {
  const text = memberOf(object, 'size');
  return typeof text === 'string' && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function noListing(type: FileType): HoldfastError {
  return invalidAnswer('the storage sends something else than a listing', {
    list: `${type} files`,
  });
}

function goesInCircles(type: FileType): HoldfastError {
  return invalidAnswer('the storage lists without an end', { list: `${type} files` });
}
