import { sizeOfParts } from '../base/bytes.ts';
import { assert } from '../base/assert.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
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
} from './backend.ts';
import { digestOf } from './content-names.ts';
import { webPage } from './http-body.ts';
import type { HttpAnswer, HttpClient } from './http-client.ts';
import { invalidAnswer } from './http-errors.ts';
import { getFile } from './http-get.ts';
import { FileList } from './http-list.ts';
import { folderOf, type Layout, placeOf, repositoryLayout } from './layout.ts';
import { checkRange } from './range.ts';
import { RestListReader } from './rest-list.ts';

/** Names below the repository's URL: packs have no folders of their own. */
const restLayout: Layout = { ...repositoryLayout, fannedOut: [] };

const listVersion2 = 'application/vnd.x.restic.rest.v2';
const accept = { accept: listVersion2 };
/** Statuses of servers that refuse to replace a file. */
const refusals = [403, 405, 409, 412];
/** Statuses of servers that do not know a type of files, which is ours alone. */
const unknownTypeStatuses = [400, 404, 405, 410, 501];

/** What a backend of the REST protocol needs besides its client. */
export interface RestBackendOptions {
  readonly location: string;
  readonly connectionCount: number;
  /** Called once at the end, after the client is closed. */
  readonly onClose?: () => Promise<void>;
}

/**
 * A server of the REST protocol: rest-server, rclone, Holdfast's own.
 *
 * Servers differ in whether a file can be put over another one of its name; names follow from contents, so that does no
 * harm, and the config is looked for before it is stored.
 *
 * @see docs/STORES.md
 */
export class RestBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #client: HttpClient;
  readonly #onClose: (() => Promise<void>) | undefined;
  /** Paths whose put failed so that something may be there. */
  readonly #doubtful = new Set<string>();

  constructor(client: HttpClient, options: RestBackendOptions) {
    this.#client = client;
    this.location = options.location;
    this.connectionCount = options.connectionCount;
    this.#onClose = options.onClose;
  }

  async create(options?: CallOptions): Promise<void> {
    const request = { method: 'POST', path: '?create=true', file: 'repository', isWrite: true };
    await this.#client.exchange({ ...request, body: [], ...options }, async (answer) => {
      if (!isSuccess(answer)) throw answer.failure();
    });
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const replace = options?.replace ?? false;
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const path = pathOf(handle);
    // Of two who make a repository at once one must lose, also where the server would let both store it.
    if (handle.type === 'config' && !replace && (await this.#isThere(handle, options))) {
      throw exists(handle);
    }
    const isDone = await this.#post(handle, parts, options);
    if (isDone) return;
    const found = await this.#sizeIfThere(handle, options);
    if (found === undefined) throw refused(handle);
    const sizeBytes = sizeOfParts(parts);
    // What a put of ours left that was cut is not the file; nor is what is to be replaced.
    const isLeftover = handle.type !== 'config' && this.#doubtful.has(path) && found !== sizeBytes;
    if (!replace && !isLeftover) throw exists(handle);
    await this.remove(handle, options).catch(ignoreAbsent);
    if (!(await this.#post(handle, parts, options))) throw exists(handle);
  }

  async get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (range) checkRange(range);
    return await getFile(this.#client, {
      handle,
      path: pathOf(handle),
      range,
      headers: accept,
      signal: options?.signal,
      failureOf: (answer) => failureOf(handle, answer),
      stat: () => this.stat(handle, options),
    });
  }

  async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    const file = describeHandle(handle);
    const request = { method: 'HEAD', path: pathOf(handle), headers: accept, file };
    return await this.#client.exchange({ ...request, signal: options?.signal }, async (answer) => {
      if (!isSuccess(answer)) throw failureOf(handle, answer);
      if (answer.sizeBytes !== undefined) return { name: handle.name, sizeBytes: answer.sizeBytes };
      throw invalidAnswer('the storage does not say how large a file is', { file });
    });
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    if (type === 'config') {
      const sizeBytes = await this.#sizeIfThere({ type, name: '' }, options);
      if (sizeBytes !== undefined) yield { name: '', sizeBytes };
      return;
    }
    const { list, withSizes } = await this.#loadList(type, options);
    if (withSizes) yield* list.files();
    else yield* await this.#sizesOf(type, list, options);
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    const path = pathOf(handle);
    const request = { method: 'DELETE', path, file: describeHandle(handle), isWrite: true };
    await this.#client.exchange({ ...request, signal: options?.signal }, async (answer) => {
      if (!isSuccess(answer)) throw failureOf(handle, answer);
    });
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#onClose?.();
  }

  /** @returns false if the server does not let this file be stored, which may mean that it is there */
  async #post(
    handle: FileHandle,
    body: readonly Uint8Array[],
    options: PutOptions | undefined,
  ): Promise<boolean> {
    const path = pathOf(handle);
    const headers = { ...accept, 'content-type': 'application/octet-stream' };
    const file = describeHandle(handle);
    const request = { method: 'POST', path, headers, body, file, isWrite: true };
    try {
      return await this.#client.exchange(
        { ...request, signal: options?.signal },
        async (answer) => {
          if (isSuccess(answer)) {
            this.#doubtful.delete(path);
            const digest = answer.header('repr-digest');
            if (digest !== undefined && digest === digestOf(handle)) options?.onChecked?.();
            return true;
          }
          if (refusals.includes(answer.status)) return false;
          throw storeFailure(handle, answer);
        },
      );
    } catch (error) {
      if (isHoldfastError(error) && error.row.retry !== 'never') this.#doubtful.add(path);
      throw error;
    }
  }

  async #isThere(handle: FileHandle, options: CallOptions | undefined): Promise<boolean> {
    return (await this.#sizeIfThere(handle, options)) !== undefined;
  }

  async #sizeIfThere(
    handle: FileHandle,
    options: CallOptions | undefined,
  ): Promise<number | undefined> {
    const found = await this.stat(handle, options).catch(ignoreAbsent);
    return found?.sizeBytes;
  }

  #loadList(
    type: FileType,
    options: CallOptions | undefined,
  ): Promise<{ list: FileList; withSizes: boolean }> {
    const what = `${type} files`;
    const path = `${folderOf(restLayout, type)}/`;
    const request = { method: 'GET', path, headers: accept, file: what, signal: options?.signal };
    return this.#client.exchange(request, async (answer) => {
      const list = new FileList(what);
      if (isNoFolder(type, answer)) return { list, withSizes: true };
      if (answer.status === 404) throw notListed(what);
      if (!isSuccess(answer)) throw answer.failure();
      if (/^text\/html/i.test(answer.header('content-type') ?? '')) throw webPage(what);
      const withSizes = answer.header('content-type') === listVersion2;
      const reader = new RestListReader(what, ({ name, sizeBytes }) => {
        if (withSizes && sizeBytes === undefined) {
          throw invalidAnswer('the storage lists files without their sizes', { list: what });
        }
        list.add(name, sizeBytes ?? 0);
      });
      for await (const chunk of answer.chunks()) reader.push(chunk);
      reader.end();
      return { list, withSizes };
    });
  }

  /** Servers of the first version of the protocol list names only. Files that are gone by then are left out. */
  async #sizesOf(
    type: FileType,
    list: FileList,
    options: CallOptions | undefined,
  ): Promise<FileStat[]> {
    const found: FileStat[] = [];
    await forEachConcurrent(list.files(), this.connectionCount, async ({ name }) => {
      const stat = await this.stat({ type, name }, options).catch(ignoreAbsent);
      if (stat) found.push(stat);
    });
    return found;
  }
}

function pathOf(handle: FileHandle): string {
  const { folders, name } = placeOf(restLayout, handle);
  return [...folders, name].join('/');
}

function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

function failureOf(handle: FileHandle, answer: HttpAnswer): HoldfastError {
  if (handle.type === 'parity' && unknownTypeStatuses.includes(answer.status)) {
    return new HoldfastError('FILE_NOT_FOUND', { details: { file: describeHandle(handle) } });
  }
  return answer.failure();
}

function storeFailure(handle: FileHandle, answer: HttpAnswer): HoldfastError {
  if (handle.type === 'parity' && unknownTypeStatuses.includes(answer.status)) return noParity();
  // A folder of the repository is missing, which is no file that is missing.
  if (answer.status === 404) {
    return new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the storage has no place for the file: a folder of the repository is missing',
      details: { file: describeHandle(handle) },
    });
  }
  return answer.failure();
}

/** True if there is no folder of this type. For rclone 404 means that it could not list. */
function isNoFolder(type: FileType, answer: HttpAnswer): boolean {
  if (type === 'parity' && unknownTypeStatuses.includes(answer.status)) return true;
  return answer.status === 404 && !answer.header('server')?.startsWith('rclone/');
}

/** Who takes a failed listing for an empty folder loses data. */
function notListed(list: string): HoldfastError {
  const message = 'the storage could not list its files';
  return new HoldfastError('BACKEND_READ_FAILED', { message, details: { list } });
}

function exists(handle: FileHandle): HoldfastError {
  return new HoldfastError('FILE_EXISTS', { details: { file: describeHandle(handle) } });
}

function refused(handle: FileHandle): HoldfastError {
  if (handle.type === 'parity') return noParity();
  return new HoldfastError('PERMISSION_DENIED', {
    message: 'the storage does not let this be stored',
    details: { file: describeHandle(handle) },
    hint: 'Look at the rights of this user there.',
  });
}

function noParity(): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: 'the server of this repository takes no parity: it knows files of restic only',
  });
}

function ignoreAbsent(error: unknown): undefined {
  if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
  throw error;
}
