import { sizeOfParts } from '../../base/bytes.ts';
import { assert } from '../../base/assert.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { randomBelow } from '../../base/random.ts';
import {
  type Backend,
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileStat,
  type FileType,
  fileTypes,
  type GetOptions,
  type PutOptions,
  replaceableTypes,
} from '../backend.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from '../http-client.ts';
import { getFile } from '../http-get.ts';
import { FileList } from '../http-list.ts';
import { fanNames, folderOf, placeOf, repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import { MultistatusReader, type Resource } from './multistatus.ts';

/** What a backend of WebDAV needs besides its client. */
export interface WebdavBackendOptions {
  readonly location: string;
  readonly url: URL;
  readonly connectionCount: number;
  readonly environment: Environment;
}

const propertiesAsked = Buffer.from(
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>',
);
const leftoverAgeMsMin = 24 * 3600 * 1000;
const temporaryName = /^(?:config|[0-9a-f]{64})-tmp-[0-9]+$/;
/** Statuses of servers that do not move, or not here. */
const noMove = [400, 403, 405, 409, 500, 501, 502];

/** What is stored under one name. */
interface Upload {
  readonly handle: FileHandle;
  readonly path: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly replace: boolean;
  readonly options: CallOptions | undefined;
}

/** A folder of a WebDAV server (RFC 4918), in the layout of a local repository. */
export class WebdavBackend implements Backend {
  readonly location: string;
  readonly connectionCount: number;
  readonly #client: HttpClient;
  readonly #url: URL;
  readonly #environment: Environment;
  /** Once the server was seen not to move. */
  #cannotMove = false;
  /** Folders that are being made; true once they are there. */
  readonly #made = new Map<string, Promise<boolean>>();

  constructor(client: HttpClient, options: WebdavBackendOptions) {
    this.#client = client;
    this.location = options.location;
    this.connectionCount = options.connectionCount;
    this.#url = options.url;
    this.#environment = options.environment;
  }

  async create(options?: CallOptions): Promise<void> {
    await this.#makeRoot(options);
    const { folders, madeLater = [] } = repositoryLayout;
    const made = fileTypes.filter((type) => folders[type] !== '' && !madeLater.includes(type));
    await forEachConcurrent(made, this.connectionCount, async (type) => {
      await this.#makeFolder(`${folderOf(repositoryLayout, type)}/`, options);
    });
  }

  async put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const replace = options?.replace ?? false;
    assert(!replace || replaceableTypes.includes(handle.type), 'only some files are replaced');
    const sizeBytes = sizeOfParts(parts);
    const upload: Upload = { handle, path: pathOf(handle), parts, sizeBytes, replace, options };
    if (!this.#cannotMove && (await this.#putAndMove(upload))) return;
    this.#cannotMove = true;
    await this.#putInPlace(upload);
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
      headers: {},
      signal: options?.signal,
      failureOf: (answer) => answer.failure(),
      stat: () => this.stat(handle, options),
    });
  }

  async stat(handle: FileHandle, options?: CallOptions): Promise<FileStat> {
    const sizeBytes = await this.#sizeOf(pathOf(handle), describeHandle(handle), options);
    return { name: handle.name, sizeBytes };
  }

  async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat, void, undefined> {
    if (type === 'config') {
      const found = await this.stat({ type, name: '' }, options).catch(ignoreAbsent);
      if (found) yield found;
      return;
    }
    const list = new FileList(`${type} files`);
    const add = ({ name, isFolder, sizeBytes }: Resource): void => {
      if (!isFolder && sizeBytes !== undefined) list.add(name, sizeBytes);
    };
    await forEachConcurrent(
      this.#foldersOf(type, options),
      this.connectionCount,
      async (folder) => {
        await this.#resources(folder, { what: `${type} files`, each: add, options });
      },
    );
    yield* list.files();
  }

  async remove(handle: FileHandle, options?: CallOptions): Promise<void> {
    await this.#delete(pathOf(handle), describeHandle(handle), options);
  }

  async removeLeftovers(options?: CallOptions): Promise<number> {
    let count = 0;
    for (const type of fileTypes) {
      for await (const folder of this.#foldersOf(type, options)) {
        for (const name of await this.#oldTemporaries(folder, options)) {
          await this.#delete(`${folder}${name}`, 'leftover', options).catch(ignoreAbsent);
          count++;
        }
      }
    }
    return count;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** @returns false if the server does not move; nothing is left then */
  async #putAndMove(upload: Upload): Promise<boolean> {
    const { path, handle, options } = upload;
    const number = randomBelow(this.#environment.random, 2 ** 32);
    const temporary = `${path}-tmp-${number}`;
    const file = describeHandle(handle);
    try {
      await this.#putInFolder({ ...upload, path: temporary, replace: true });
      await this.#verify({ ...upload, path: temporary });
      const end = await this.#move(temporary, upload);
      if (end === 'moved') return true;
      await this.#delete(temporary, file, options).catch(() => undefined);
      if (end === 'exists') throw exists(handle);
      return false;
    } catch (error) {
      // A server that does not answer would hold this up, and gets the next try: leftovers are removed later.
      if (!isHoldfastError(error, 'BACKEND_UNAVAILABLE', 'CANCELLED', 'FILE_EXISTS')) {
        await this.#delete(temporary, file, options).catch(() => undefined);
      }
      throw error;
    }
  }

  /** For servers that do not move: the file is seen while it grows, and what is cut is taken away. */
  async #putInPlace(upload: Upload): Promise<void> {
    const { path, handle, options, replace } = upload;
    // Not every server minds the condition of the request.
    if (!replace && (await this.stat(handle, options).catch(ignoreAbsent))) throw exists(handle);
    await this.#putInFolder(upload);
    try {
      await this.#verify(upload);
    } catch (error) {
      await this.#delete(path, describeHandle(handle), options).catch(() => undefined);
      throw error;
    }
  }

  /** Makes the folder where it is missing: those of packs come with their first file. */
  async #putInFolder(upload: Upload): Promise<void> {
    if (await this.#putOnce(upload)) return;
    const { folders } = placeOf(repositoryLayout, upload.handle);
    for (let depth = 1; depth <= folders.length; depth++) {
      await this.#makeFolder(`${folders.slice(0, depth).join('/')}/`, upload.options);
    }
    if (await this.#putOnce(upload)) return;
    throw new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the storage has no place for the file: the folder of the repository is missing',
      details: { file: describeHandle(upload.handle) },
    });
  }

  /** @returns false if the folder is missing */
  async #putOnce({ path, handle, parts, replace, options }: Upload): Promise<boolean> {
    const headers = {
      'content-type': 'application/octet-stream',
      ...(!replace && { 'if-none-match': '*' }),
    };
    const request = { method: 'PUT', path, headers, body: parts, file: describeHandle(handle) };
    return await this.#send(request, options, (answer) => {
      if (isSuccess(answer)) return true;
      if (answer.status === 409 || answer.status === 404) return false;
      if (answer.status === 412) throw exists(handle);
      throw answer.failure();
    });
  }

  async #verify({ path, handle, sizeBytes, options }: Upload): Promise<void> {
    const file = describeHandle(handle);
    const stored = await this.#sizeOf(path, file, options);
    if (stored === sizeBytes) return;
    throw new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the storage reported a file stored, but has another size of it',
      details: { file, sizeBytes, storedSizeBytes: stored },
    });
  }

  async #move(from: string, { handle, path, replace, options }: Upload): Promise<Moved> {
    const headers = {
      destination: new URL(path, `${this.#url.origin}${this.#url.pathname}`).href,
      overwrite: replace ? 'T' : 'F',
    };
    const request = { method: 'MOVE', path: from, headers, file: describeHandle(handle) };
    return await this.#send(request, options, (answer) => {
      if (answer.status === 201 || answer.status === 204) return 'moved';
      if (answer.status === 412) return 'exists';
      if (noMove.includes(answer.status)) return 'not offered';
      throw answer.failure();
    });
  }

  async #delete(path: string, file: string, options: CallOptions | undefined): Promise<void> {
    await this.#send({ method: 'DELETE', path, file }, options, (answer) => {
      if (!isSuccess(answer)) throw answer.failure();
    });
  }

  /** Some servers do not say the size of a file by HEAD. */
  async #sizeOf(path: string, file: string, options: CallOptions | undefined): Promise<number> {
    const request = { method: 'HEAD', path, file, signal: options?.signal };
    const sizeBytes = await this.#client.exchange(request, async (answer) => {
      if (!isSuccess(answer)) throw answer.failure();
      return answer.sizeBytes;
    });
    if (sizeBytes !== undefined) return sizeBytes;
    let found: number | undefined;
    const each = (resource: Resource): void => {
      if (!resource.isFolder) found = resource.sizeBytes;
    };
    await this.#resources(path, { what: file, each, options, depth: 0 });
    if (found !== undefined) return found;
    throw new HoldfastError('FILE_NOT_FOUND', { details: { file } });
  }

  /** Folders that hold files of `type`. For packs those that are there. */
  async *#foldersOf(
    type: FileType,
    options: CallOptions | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const folder = folderOf(repositoryLayout, type);
    if (!repositoryLayout.fannedOut.includes(type)) {
      yield folder === '' ? '' : `${folder}/`;
      return;
    }
    const found = new Set<string>();
    const each = ({ name, isFolder }: Resource): void => {
      if (isFolder && fanNames.includes(name)) found.add(name);
    };
    await this.#resources(`${folder}/`, { what: `${type} files`, each, options });
    for (const name of found) yield `${folder}/${name}/`;
  }

  async #oldTemporaries(folder: string, options: CallOptions | undefined): Promise<string[]> {
    const found: Resource[] = [];
    const each = (resource: Resource): void => {
      if (!resource.isFolder && temporaryName.test(resource.name)) found.push(resource);
    };
    const nowMs = await this.#resources(folder, { what: 'leftovers', each, options });
    return found
      .filter(({ modifiedMs }) => modifiedMs !== undefined && nowMs - modifiedMs > leftoverAgeMsMin)
      .map(({ name }) => name);
  }

  /** Calls `each` for what stands in a folder; for nothing if that is missing. @returns the server's time */
  async #resources(path: string, how: Listing): Promise<number> {
    const { what, each, options, depth = 1 } = how;
    const headers = { depth: String(depth), 'content-type': 'application/xml' };
    const request: HttpRequest = {
      method: 'PROPFIND',
      path,
      headers,
      body: [propertiesAsked],
      file: what,
    };
    return await this.#client.exchange({ ...request, signal: options?.signal }, async (answer) => {
      const dateMs = Date.parse(answer.header('date') ?? '');
      const nowMs = Number.isNaN(dateMs) ? this.#environment.clock.wallMs() : dateMs;
      if (answer.status === 404) return nowMs;
      if (answer.status !== 207) throw notWebdav(answer);
      const reader = new MultistatusReader(what, each);
      for await (const chunk of answer.chunks()) reader.push(chunk);
      reader.end();
      return nowMs;
    });
  }

  /** The folder of the repository, and those above it where they are missing. */
  async #makeRoot(options: CallOptions | undefined): Promise<void> {
    if (await this.#makeOnce('', options)) return;
    const parts = this.#url.pathname.split('/').filter((part) => part !== '');
    for (let depth = 1; depth <= parts.length; depth++) {
      await this.#makeFolder('../'.repeat(parts.length - depth), options);
    }
  }

  async #makeFolder(path: string, options: CallOptions | undefined): Promise<void> {
    // The first packs all miss their folder. A server may lock what it makes, and refuse all but one of them.
    for (let running; (running = this.#made.get(path)); ) {
      if (await running.catch(() => false)) return;
    }
    const making = this.#makeOnce(path, options).finally(() => this.#made.delete(path));
    this.#made.set(path, making);
    if (await making) return;
    throw new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the storage cannot make a folder: the one above it is missing',
      details: { folder: path },
    });
  }

  /** @returns false if the folder above it is missing */
  async #makeOnce(path: string, options: CallOptions | undefined): Promise<boolean> {
    return await this.#send({ method: 'MKCOL', path, file: 'folder' }, options, (answer) => {
      // 405: it is there.
      if (isSuccess(answer) || answer.status === 405) return true;
      if (answer.status === 409) return false;
      throw answer.failure();
    });
  }

  #send<T>(
    request: HttpRequest,
    options: CallOptions | undefined,
    take: (answer: HttpAnswer) => T,
  ): Promise<T> {
    const whole = { ...request, isWrite: true, signal: options?.signal };
    return this.#client.exchange(whole, async (answer) => take(answer));
  }
}

type Moved = 'moved' | 'exists' | 'not offered';

interface Listing {
  readonly what: string;
  readonly each: (resource: Resource) => void;
  readonly options: CallOptions | undefined;
  readonly depth?: 0 | 1;
}

function pathOf(handle: FileHandle): string {
  const { folders, name } = placeOf(repositoryLayout, handle);
  return [...folders, name].join('/');
}

function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

function notWebdav(answer: HttpAnswer): HoldfastError {
  if (answer.status !== 200 && answer.status !== 405 && answer.status !== 501) {
    return answer.failure();
  }
  return new HoldfastError('SERVER_ANSWER_INVALID', {
    message: 'the server does not speak WebDAV at this place',
    details: { status: answer.status },
  });
}

function exists(handle: FileHandle): HoldfastError {
  return new HoldfastError('FILE_EXISTS', { details: { file: describeHandle(handle) } });
}

function ignoreAbsent(error: unknown): undefined {
  if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
  throw error;
}
