import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  type CreateBucketCommandInput,
  HeadBucketCommand,
  ListObjectsCommand,
} from '@aws-sdk/client-s3';

import { isHoldfastError } from '../../base/errors.ts';
import type { S3Requests } from './s3-requests.ts';

/**
 * Makes the bucket if there is none.
 *
 * @param withLocks a new one gets Object Lock, which no later request can turn on with every vendor
 * @returns false if nobody may look whether it is there
 */
export async function makeBucket(
  requests: S3Requests,
  withLocks: boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { bucket, region, host } = requests;
  const call = { subject: `bucket ${bucket}`, signal };
  try {
    await lookAtBucket(requests, call);
  } catch (error) {
    if (isHoldfastError(error, 'PERMISSION_DENIED')) return false;
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    const isElsewhere = region !== 'us-east-1' && host.includes('amazonaws.com');
    const input: CreateBucketCommandInput = { Bucket: bucket };
    // Regions are more than the SDK's list of them knows.
    const place = region as BucketLocationConstraint;
    if (isElsewhere) input.CreateBucketConfiguration = { LocationConstraint: place };
    if (withLocks) input.ObjectLockEnabledForBucket = true;
    await requests.run({
      ...call,
      action: 'write',
      send: (client, options) => client.send(new CreateBucketCommand(input), options),
    });
  }
  return true;
}

/** Whether a refusal may have a reason that only a body tells: a bare 400 or 500 may be any. */
export function isVague(error: unknown): boolean {
  return isHoldfastError(
    error,
    'PERMISSION_DENIED',
    'LOCATION_INVALID',
    'CREDENTIALS_REFUSED',
    'UNSUPPORTED',
    'BACKEND_READ_FAILED',
  );
}

async function lookAtBucket(
  requests: S3Requests,
  call: { readonly subject: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { bucket } = requests;
  try {
    await requests.run({
      ...call,
      action: 'read',
      send: (client, options) => client.send(new HeadBucketCommand({ Bucket: bucket }), options),
    });
  } catch (error) {
    if (!isVague(error)) throw error;
    // The same question with an answer that has a body: it says why, and maybe which region is wanted.
    await requests.run({
      ...call,
      action: 'read',
      send: (client, options) =>
        client.send(new ListObjectsCommand({ Bucket: bucket, MaxKeys: 1 }), options),
    });
  }
}
