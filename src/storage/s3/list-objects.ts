import { ListObjectsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';

import { HoldfastError } from '../../base/errors.ts';
import { listedNamesMax } from '../http-list.ts';
import type { S3Requests } from './s3-requests.ts';

/** An object of a listing. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** What is to be listed. */
export interface ListRequest {
  readonly prefix: string;
  /** What is listed, for people. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
}

/** How a listing is asked for, and how long it may be. */
export interface ListRules {
  readonly listsByVersion1: boolean;
  /** Default: as of any store. */
  readonly namesMax?: number;
}

/** One page of a listing, and where the next begins. */
interface Page {
  readonly objects: readonly ListedObject[];
  readonly next: string | undefined;
}

/**
 * Lists the objects below a prefix, page by page, as the server gives them.
 *
 * @throws BACKEND_READ_FAILED if the server goes in circles, UNSUPPORTED if it does not come to an end
 */
export async function* listObjects(
  requests: S3Requests,
  request: ListRequest,
  { listsByVersion1, namesMax = listedNamesMax }: ListRules,
): AsyncGenerator<ListedObject, void, undefined> {
  const listPage = listsByVersion1 ? listByVersion1 : listByVersion2;
  let count = 0;
  let from: string | undefined;
  do {
    const page: Page = await listPage(requests, request, from);
    if (page.next !== undefined && page.next === from) throw goesInCircles(request);
    // An empty page counts as well: a server may send nothing else.
    count += Math.max(page.objects.length, 1);
    if (count > namesMax) throw hasNoEnd(request, namesMax);
    yield* page.objects;
    from = page.next;
  } while (from !== undefined);
}

async function listByVersion2(
  requests: S3Requests,
  { prefix, ...call }: ListRequest,
  from: string | undefined,
): Promise<Page> {
  const input = {
    Bucket: requests.bucket,
    Prefix: prefix,
    ...(from !== undefined && { ContinuationToken: from }),
  };
  const answer = await requests.run({
    ...call,
    action: 'read',
    send: (client, options) => client.send(new ListObjectsV2Command(input), options),
  });
  const next = answer.IsTruncated ? answer.NextContinuationToken : undefined;
  if (answer.IsTruncated && next === undefined) throw goesInCircles(call);
  return { objects: objectsOf(answer.Contents), next };
}

async function listByVersion1(
  requests: S3Requests,
  { prefix, ...call }: ListRequest,
  from: string | undefined,
): Promise<Page> {
  const input = {
    Bucket: requests.bucket,
    Prefix: prefix,
    ...(from !== undefined && { Marker: from }),
  };
  const answer = await requests.run({
    ...call,
    action: 'read',
    send: (client, options) => client.send(new ListObjectsCommand(input), options),
  });
  const objects = objectsOf(answer.Contents);
  const next = answer.IsTruncated ? (answer.NextMarker ?? objects.at(-1)?.key) : undefined;
  if (answer.IsTruncated && next === undefined) throw goesInCircles(call);
  return { objects, next };
}

interface ContentEntry {
  readonly Key?: string | undefined;
  readonly Size?: number | undefined;
}

function objectsOf(contents: readonly ContentEntry[] | undefined): ListedObject[] {
  return (contents ?? []).flatMap(({ Key: key, Size: sizeBytes }) =>
    key === undefined || sizeBytes === undefined ? [] : [{ key, sizeBytes }],
  );
}

function goesInCircles({ subject }: Pick<ListRequest, 'subject'>): HoldfastError {
  return new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the storage does not say where its listing goes on',
    details: { list: subject },
  });
}

function hasNoEnd({ subject }: ListRequest, namesMax: number): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: 'the storage lists more names than a repository can have',
    details: { list: subject, names: namesMax },
  });
}
