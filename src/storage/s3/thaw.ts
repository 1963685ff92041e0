import { HeadObjectCommand, RestoreObjectCommand } from '@aws-sdk/client-s3';

import type { Clock } from '../../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Monitor } from '../../base/monitor.ts';
import type { S3Requests } from './s3-requests.ts';
import type { ThawSettings } from './settings.ts';

/** An archived object that is wanted back. */
export interface Archived {
  readonly key: string;
  /** For people: `pack 0123456789`. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
}

/** What bringing back needs besides. */
export interface ThawTools {
  readonly requests: S3Requests;
  readonly clock: Clock;
  readonly monitor?: Monitor | undefined;
}

/** The fastest way out of an archive takes some minutes. */
const askEveryMs = 60_000;

/**
 * Has an archived object brought back, and waits until it can be read.
 *
 * @throws FILE_ARCHIVED if that takes longer than `waitMsMax`
 */
export async function thaw(
  object: Archived,
  settings: ThawSettings,
  tools: ThawTools,
): Promise<void> {
  const { clock, monitor } = tools;
  await askFor(object, settings, tools);
  monitor?.note(
    `${object.subject} stands in an archive; waiting until the storage has brought it back`,
  );
  const endMs = clock.monotonicMs() + settings.waitMsMax;
  while (!(await isBack(object, tools))) {
    if (clock.monotonicMs() + askEveryMs > endMs) {
      throw new HoldfastError('FILE_ARCHIVED', {
        message: 'a file stands in an archive, and the storage has not brought it back in time',
        details: { file: object.subject },
        hint: 'It was asked for. Run the command again later, or wait longer with "-o s3.restore-timeout".',
      });
    }
    await clock.sleep(askEveryMs, object.signal);
  }
}

async function askFor(
  { key, ...call }: Archived,
  { days, tier }: ThawSettings,
  { requests }: ThawTools,
): Promise<void> {
  const input = {
    Bucket: requests.bucket,
    Key: key,
    RestoreRequest: { Days: days, GlacierJobParameters: { Tier: tier } },
  };
  try {
    await requests.run({
      ...call,
      action: 'write',
      send: (client, options) => client.send(new RestoreObjectCommand(input), options),
    });
  } catch (error) {
    // Somebody asked for it before.
    if (!isHoldfastError(error) || error.details['answer'] !== '409 RestoreAlreadyInProgress')
      throw error;
  }
}

async function isBack({ key, ...call }: Archived, { requests }: ThawTools): Promise<boolean> {
  const input = { Bucket: requests.bucket, Key: key };
  const { Restore: restore, StorageClass: storageClass } = await requests.run({
    ...call,
    action: 'read',
    send: (client, options) => client.send(new HeadObjectCommand(input), options),
  });
  if (restore !== undefined) return restore.includes('ongoing-request="false"');
  return storageClass !== 'GLACIER' && storageClass !== 'DEEP_ARCHIVE';
}
