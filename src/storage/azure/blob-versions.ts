import type { BlobClient, BlobItem } from '@azure/storage-blob';

import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import {
  type ByteRange,
  type CallOptions,
  describeHandle,
  type FileHandle,
  type FileType,
  type FileVersion,
  type VersionChangeOptions,
  type Versions,
} from '../backend.ts';
import { handleAt } from '../content-names.ts';
import { folderOf, repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import type { ContainerPlace } from './container-place.ts';

/** What versions need of the store that they are of. */
export interface AzureVersionTools {
  readonly read: (
    blob: BlobClient,
    handle: FileHandle,
    how: { readonly range?: ByteRange | undefined } & CallOptions,
  ) => Promise<Uint8Array<ArrayBuffer>>;
  /** Stores content as the newest version. */
  readonly store: (
    handle: FileHandle,
    content: Uint8Array,
    signal: AbortSignal | undefined,
  ) => Promise<void>;
}

/**
 * The versions of blobs, in an account that keeps them. A removed blob is one without a current version: the service has no mark
 * for it, and does not say when it was removed.
 */
export class AzureVersions implements Versions {
  readonly #place: ContainerPlace;
  readonly #tools: AzureVersionTools;

  constructor(place: ContainerPlace, tools: AzureVersionTools) {
    this.#place = place;
    this.#tools = tools;
  }

  async list(type: FileType, { signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    const { prefix, pathOf } = this.#place;
    if (type === 'config') return await this.of({ type, name: '' }, { signal });
    const handleOf = (path: string): FileHandle | undefined => handleAt(path, type, pathOf);
    return await this.#listAll(`${prefix}${folderOf(repositoryLayout, type)}/`, handleOf, signal);
  }

  async of(handle: FileHandle, { signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    return await this.ofPath(this.#place.pathOf(handle), handle, signal);
  }

  /** The versions of a blob, whether or not it is a file of the repository. */
  async ofPath(
    path: string,
    handle: FileHandle,
    signal: AbortSignal | undefined,
  ): Promise<readonly FileVersion[]> {
    return await this.#listAll(path, (found) => (found === path ? handle : undefined), signal);
  }

  async get(version: FileVersion, { signal }: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#tools.read(this.blobOf(version), version.handle, { signal });
  }

  async getPart(
    version: FileVersion,
    range: ByteRange,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(range);
    if (range.start === range.end) return new Uint8Array(0);
    return await this.#tools.read(this.blobOf(version), version.handle, { range, signal });
  }

  async putBack(
    { handle }: FileVersion,
    content: Uint8Array,
    { signal }: CallOptions = {},
  ): Promise<void> {
    await this.#tools.store(handle, content, signal);
  }

  /** The right to lift a lock of governance is that to delete the policy. */
  async remove(
    version: FileVersion,
    { signal, bypass = false }: VersionChangeOptions = {},
  ): Promise<void> {
    if (version.kind === 'removal') {
      throw new HoldfastError('UNSUPPORTED', {
        message: 'this storage has no mark of a removal that could be taken away',
        details: { file: describeHandle(version.handle) },
      });
    }
    const blob = this.blobOf(version);
    const call = { file: describeHandle(version.handle), isWrite: true, signal };
    if (bypass) await this.#place.run(call, (options) => blob.deleteImmutabilityPolicy(options));
    await this.#place.run(call, (options) => blob.delete(options));
  }

  blobOf({ path, id }: FileVersion): BlobClient {
    return this.#place.container.getBlobClient(path).withVersion(id);
  }

  async #listAll(
    prefix: string,
    handleOf: (path: string) => FileHandle | undefined,
    signal: AbortSignal | undefined,
  ): Promise<FileVersion[]> {
    const { container, run } = this.#place;
    const call = { file: 'versions', isWrite: false, signal };
    const byPath = await run(call, async (options) => {
      const found = new Map<string, FileVersion[]>();
      const listing = container.listBlobsFlat({ ...options, prefix, includeVersions: true });
      for await (const blob of listing) {
        const handle = handleOf(blob.name);
        if (!handle) continue;
        const versions = found.get(blob.name);
        if (versions) versions.push(versionOf(blob, handle));
        else found.set(blob.name, [versionOf(blob, handle)]);
      }
      return found;
    });
    return Array.from(byPath.values(), withRemoval).flat();
  }
}

function versionOf(blob: BlobItem, handle: FileHandle): FileVersion {
  const { contentLength, contentMD5, lastModified } = blob.properties;
  return {
    handle,
    path: blob.name,
    id: blob.versionId ?? '',
    kind: 'content',
    // An account that keeps no versions does not name the one there is.
    isNewest: blob.isCurrentVersion === true || blob.versionId === undefined,
    sizeBytes: contentLength ?? 0,
    storedMs: lastModified.getTime(),
    contentMark: contentMD5 ? toHex(contentMD5) : '',
  };
}

/** The newest first, and before it what stands for a removal. The names of versions are times that sort. */
function withRemoval(versions: readonly FileVersion[]): FileVersion[] {
  const sorted = versions.toSorted((a, b) => (a.id < b.id ? 1 : -1));
  const [last] = sorted;
  if (!last || sorted.some(({ isNewest }) => isNewest)) return sorted;
  const unknownMs = Number.MAX_SAFE_INTEGER;
  const removal = { id: '', kind: 'removal', isNewest: true, sizeBytes: 0 } as const;
  return [{ ...last, ...removal, storedMs: unknownMs, contentMark: '' }, ...sorted];
}
