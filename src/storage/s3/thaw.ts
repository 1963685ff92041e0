import {
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  RestoreObjectCommand,
  type RestoreRequest,
} from '@aws-sdk/client-s3';

import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { ThawingFile } from '../backend.ts';
import type { S3Requests } from './s3-requests.ts';
import type { ThawSettings } from './settings.ts';

/** An object that is wanted back, should it stand in an archive. */
export interface Archived {
  readonly key: string;
  /** For people: `pack 0123456789`. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
}

type Tier = ThawSettings['tier'];

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

interface Archive {
  /** Longest time from asking to reading, by Amazon's description; undefined: not to be had. */
  readonly expectedMs: Readonly<Record<Tier, number | undefined>>;
}

const flexible: Archive = {
  expectedMs: { Expedited: 5 * minuteMs, Standard: 5 * hourMs, Bulk: 12 * hourMs },
};
const deep: Archive = {
  expectedMs: { Expedited: undefined, Standard: 12 * hourMs, Bulk: 48 * hourMs },
};

/**
 * Classes whose objects are not read at once, and tiers of the class that moves objects by itself. Other vendors use the first two
 * names for theirs.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
 */
const archives: Readonly<Record<string, Archive>> = {
  GLACIER: flexible,
  DEEP_ARCHIVE: deep,
  ARCHIVE_ACCESS: flexible,
  DEEP_ARCHIVE_ACCESS: deep,
};

/**
 * Has an archived object brought back, unless somebody asked for that before.
 *
 * @returns undefined if it can be read now
 */
export async function thawObject(
  object: Archived,
  settings: ThawSettings,
  requests: S3Requests,
): Promise<ThawingFile | undefined> {
  const found = await look(object, requests);
  const storageClass = found.ArchiveStatus ?? found.StorageClass ?? '';
  const archive = archives[storageClass];
  if (!archive || found.Restore?.includes('ongoing-request="false"')) return undefined;
  const expectedMs = archive.expectedMs[settings.tier];
  if (found.Restore !== undefined) return { storageClass, isNew: false, expectedMs };
  if (expectedMs === undefined) throw noSuchTier(object, storageClass, settings.tier);
  const leavesForGood = found.ArchiveStatus !== undefined;
  const answer = await askFor(object, requestOf(settings, leavesForGood), requests);
  return answer === 'there' ? undefined : { storageClass, isNew: answer === 'asked', expectedMs };
}

async function look(
  { key, ...call }: Archived,
  requests: S3Requests,
): Promise<HeadObjectCommandOutput> {
  const input = { Bucket: requests.bucket, Key: key };
  return await requests.run({
    ...call,
    action: 'read',
    send: (client, options) => client.send(new HeadObjectCommand(input), options),
  });
}

/** What leaves its tier for good is not asked for a number of days. */
function requestOf({ days, tier }: ThawSettings, leavesForGood: boolean): RestoreRequest {
  return {
    ...(!leavesForGood && { Days: days }),
    GlacierJobParameters: { Tier: tier },
  };
}

/** What is the case afterwards: by this request, by one before, or without any. */
async function askFor(
  { key, ...call }: Archived,
  request: RestoreRequest,
  requests: S3Requests,
): Promise<'asked' | 'under way' | 'there'> {
  const input = { Bucket: requests.bucket, Key: key, RestoreRequest: request };
  try {
    await requests.run({
      ...call,
      action: 'write',
      send: (client, options) => client.send(new RestoreObjectCommand(input), options),
    });
    return 'asked';
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const { answer } = error.details;
    if (answer === '409 RestoreAlreadyInProgress') return 'under way';
    if (answer === '403 ObjectAlreadyInActiveTierError') return 'there';
    throw error;
  }
}

function noSuchTier({ subject }: Archived, storageClass: string, tier: Tier): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: `nothing comes back from ${storageClass} by the tier "${tier}"`,
    details: { file: subject },
    hint: 'Use "-o s3.restore-tier=Standard" or "-o s3.restore-tier=Bulk".',
  });
}
