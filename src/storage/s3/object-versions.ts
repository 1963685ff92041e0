import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandInput,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';

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
import { repositoryLayout } from '../layout.ts';
import { checkRange } from '../range.ts';
import { readObject } from './read-object.ts';
import type { S3Requests } from './s3-requests.ts';

/** Where a repository is in a bucket. */
export interface BucketPlace {
  readonly requests: S3Requests;
  /** Of all keys, with a slash at its end; or empty. */
  readonly prefix: string;
  readonly keyOf: (handle: FileHandle) => string;
}

/** What versions need of the store that they are of. */
export interface VersionTools {
  /** Takes in what stands beside a config. */
  readonly learn: (metadata: Readonly<Record<string, string>> | undefined) => void;
  /** Stores content as the newest version. */
  readonly store: (
    handle: FileHandle,
    content: Uint8Array,
    signal: AbortSignal | undefined,
  ) => Promise<void>;
}

/** More than any repository has, each with a few versions. */
const versionCountMax = 100_000_000;

/** The versions of objects, in a bucket that keeps them. In one that keeps none every object has one version, `null`. */
export class S3Versions implements Versions {
  readonly #place: BucketPlace;

  readonly #tools: VersionTools;

  constructor(place: BucketPlace, tools: VersionTools) {
    this.#place = place;
    this.#tools = tools;
  }

  async list(type: FileType, { signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    const { prefix, keyOf } = this.#place;
    if (type === 'config') return await this.of({ type, name: '' }, { signal });
    const handleOf = (key: string): FileHandle | undefined => handleAt(key, type, keyOf);
    const folder = `${prefix}${repositoryLayout.folders[type]}/`;
    return await this.#listAll(folder, handleOf, signal);
  }

  async of(handle: FileHandle, { signal }: CallOptions = {}): Promise<readonly FileVersion[]> {
    return await this.ofPath(this.#place.keyOf(handle), handle, signal);
  }

  /** The versions of an object, whether or not it is a file of the repository. */
  async ofPath(
    path: string,
    handle: FileHandle,
    signal: AbortSignal | undefined,
  ): Promise<readonly FileVersion[]> {
    return await this.#listAll(path, (key) => (key === path ? handle : undefined), signal);
  }

  async get(version: FileVersion, { signal }: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#read(version, undefined, signal);
  }

  async getPart(
    version: FileVersion,
    range: ByteRange,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(range);
    if (range.start === range.end) return new Uint8Array(0);
    return await this.#read(version, range, signal);
  }

  async remove(
    { handle, path, id }: FileVersion,
    { signal, bypass }: VersionChangeOptions = {},
  ): Promise<void> {
    const { requests } = this.#place;
    const more = bypass ? { BypassGovernanceRetention: true } : {};
    const input = { Bucket: requests.bucket, Key: path, VersionId: id, ...more };
    await requests.run({
      action: 'write',
      subject: `a version of ${describeHandle(handle)}`,
      signal,
      send: (client, options) => client.send(new DeleteObjectCommand(input), options),
    });
  }

  async putBack(
    { handle }: FileVersion,
    content: Uint8Array,
    { signal }: CallOptions = {},
  ): Promise<void> {
    await this.#tools.store(handle, content, signal);
  }

  async #read(
    { handle, path, id }: FileVersion,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { requests } = this.#place;
    const part = range && { Range: `bytes=${range.start}-${range.end - 1}` };
    const input = { Bucket: requests.bucket, Key: path, VersionId: id, ...part };
    return await requests.run({
      action: 'read',
      subject: `a version of ${describeHandle(handle)}`,
      signal,
      send: async (client, options) => {
        const answer = await client.send(new GetObjectCommand(input), options);
        if (handle.type === 'config') this.#tools.learn(answer.Metadata);
        return await readObject(answer, handle, range);
      },
    });
  }

  async #listAll(
    prefix: string,
    handleOf: (key: string) => FileHandle | undefined,
    signal: AbortSignal | undefined,
  ): Promise<FileVersion[]> {
    const { requests } = this.#place;
    const input: ListObjectVersionsCommandInput = { Bucket: requests.bucket, Prefix: prefix };
    const found: FileVersion[] = [];
    for (;;) {
      const page = await requests.run({
        action: 'read',
        subject: 'a listing of versions',
        signal,
        send: (client, options) => client.send(new ListObjectVersionsCommand(input), options),
      });
      found.push(...versionsOf(page, handleOf));
      if (!page.IsTruncated) break;
      const { NextKeyMarker: key, NextVersionIdMarker: id } = page;
      const isStuck = key === input.KeyMarker && id === input.VersionIdMarker;
      if (key === undefined || isStuck || found.length > versionCountMax) throw goesInCircles();
      input.KeyMarker = key;
      if (id === undefined) delete input.VersionIdMarker;
      else input.VersionIdMarker = id;
    }
    return found.sort(byFile);
  }
}

/** By file, and of one file the newest first: contents and removals come in two lists, each by time. */
function byFile(a: FileVersion, b: FileVersion): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return Number(b.isNewest) - Number(a.isNewest) || b.storedMs - a.storedMs;
}

function versionsOf(
  { Versions: contents = [], DeleteMarkers: removals = [] }: ListObjectVersionsCommandOutput,
  handleOf: (key: string) => FileHandle | undefined,
): FileVersion[] {
  const all = [
    ...contents.map((entry) => ({ ...entry, kind: 'content' as const })),
    ...removals.map((entry) => ({ ...entry, Size: 0, ETag: '', kind: 'removal' as const })),
  ];
  return all.flatMap(({ Key: path, VersionId: id = 'null', kind, ...entry }) => {
    const handle = path === undefined ? undefined : handleOf(path);
    if (!handle || path === undefined) return [];
    return [
      {
        handle,
        path,
        id,
        kind,
        isNewest: entry.IsLatest === true,
        sizeBytes: entry.Size ?? 0,
        storedMs: entry.LastModified?.getTime() ?? 0,
        contentMark: entry.ETag ?? '',
      },
    ];
  });
}

function goesInCircles(): HoldfastError {
  return new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the storage does not say where its listing of versions goes on',
  });
}
