import { createHash } from 'node:crypto';

import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';

import { systemClock } from '../../src/base/clock.ts';
import { type Asker, lists, type Questions } from './asker.ts';

const dayMs = 24 * 3_600_000;

function days(count: number): Date {
  // Whole seconds: not every server keeps more.
  return new Date(Math.floor((systemClock.wallMs() + count * dayMs) / 1000) * 1000);
}

/** Versions of a file. */
export const versionQuestions: Questions = [
  [
    'makes a bucket for versions',
    ({ client }) => client.send(new CreateBucketCommand({ Bucket: 'versions' })),
  ],
  [
    'asks whether it has them',
    ({ client }) => client.send(new GetBucketVersioningCommand({ Bucket: 'versions' })),
  ],
  ['puts before it has them', (asker) => asker.put('versions', 'old')],
  [
    'has it keep them',
    ({ client }) =>
      client.send(
        new PutBucketVersioningCommand({
          Bucket: 'versions',
          VersioningConfiguration: { Status: 'Enabled' },
        }),
      ),
  ],
  [
    'asks again',
    ({ client }) => client.send(new GetBucketVersioningCommand({ Bucket: 'versions' })),
  ],
  [
    'puts the first',
    (asker) => remember(asker, 'first', asker.put('versions', 'x', { Body: 'one' })),
  ],
  [
    'puts the second',
    (asker) => remember(asker, 'second', asker.put('versions', 'x', { Body: 'second' })),
  ],
  ['puts over what has no version', (asker) => asker.put('versions', 'old', { Body: 'new' })],
  [
    'puts unless there is a version',
    (asker) => asker.put('versions', 'x', { Body: 'third', IfNoneMatch: '*' }),
  ],
  [
    'reads the first',
    ({ client, ids }) =>
      client.send(new GetObjectCommand({ Bucket: 'versions', Key: 'x', VersionId: ids['first'] })),
  ],
  [
    'looks at the one without a version',
    ({ client }) =>
      client.send(new HeadObjectCommand({ Bucket: 'versions', Key: 'old', VersionId: 'null' })),
  ],
  [
    'deletes',
    (asker) =>
      remember(
        asker,
        'marker',
        asker.client.send(new DeleteObjectCommand({ Bucket: 'versions', Key: 'x' })),
      ),
  ],
  [
    'reads what is deleted',
    ({ client }) => client.send(new GetObjectCommand({ Bucket: 'versions', Key: 'x' })),
  ],
  [
    'reads the mark',
    ({ client, ids }) =>
      client.send(new GetObjectCommand({ Bucket: 'versions', Key: 'x', VersionId: ids['marker'] })),
  ],
  [
    'lists versions',
    ({ client }) => client.send(new ListObjectVersionsCommand({ Bucket: 'versions' })),
  ],
  [
    'lists what is there',
    ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'versions' })),
  ],
  ['lists versions in pages', versionPages],
  [
    'takes the mark away',
    ({ client, ids }) =>
      client.send(
        new DeleteObjectCommand({ Bucket: 'versions', Key: 'x', VersionId: ids['marker'] }),
      ),
  ],
  [
    'reads again',
    ({ client }) => client.send(new GetObjectCommand({ Bucket: 'versions', Key: 'x' })),
  ],
  [
    'removes the first for good',
    ({ client, ids }) =>
      client.send(
        new DeleteObjectCommand({ Bucket: 'versions', Key: 'x', VersionId: ids['first'] }),
      ),
  ],
  [
    'reads the first that is gone',
    ({ client, ids }) =>
      client.send(new GetObjectCommand({ Bucket: 'versions', Key: 'x', VersionId: ids['first'] })),
  ],
  [
    'removes several, one version',
    ({ client, ids }) =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: 'versions',
          Delete: { Objects: [{ Key: 'old' }, { Key: 'x', VersionId: ids['second'] }] },
        }),
      ),
  ],
];

async function remember(asker: Asker, name: string, made: Promise<unknown>): Promise<unknown> {
  const answer = await made;
  const { VersionId: id } = answer as { VersionId?: string };
  if (id !== undefined) asker.ids[name] = id;
  return answer;
}

async function versionPages({ client }: Asker): Promise<unknown> {
  const found: unknown[] = [];
  let from: { key: string | undefined; id: string | undefined } | undefined;
  do {
    const page = await client.send(
      new ListObjectVersionsCommand({
        Bucket: 'versions',
        MaxKeys: 1,
        ...(from && { KeyMarker: from.key, VersionIdMarker: from.id }),
      }),
    );
    found.push(lists({ Versions: page.Versions, DeleteMarkers: page.DeleteMarkers }));
    from = page.IsTruncated ? { key: page.NextKeyMarker, id: page.NextVersionIdMarker } : undefined;
  } while (from !== undefined && found.length < 20);
  return { more: found };
}

type Mode = 'GOVERNANCE' | 'COMPLIANCE';

function lockedPut(asker: Asker, key: string, mode: Mode): Promise<unknown> {
  const made = asker.put('locks', key, {
    ObjectLockMode: mode,
    ObjectLockRetainUntilDate: days(2),
    ContentMD5: createHash('md5').update(`content of ${key}`).digest('base64'),
  });
  return remember(asker, key, made);
}

interface Removal {
  readonly key: string;
  readonly bypass?: true;
}

function removeVersion({ client, ids }: Asker, { key, bypass }: Removal): Promise<unknown> {
  const input = { Bucket: 'locks', Key: key, VersionId: ids[key] };
  return client.send(
    new DeleteObjectCommand({ ...input, ...(bypass && { BypassGovernanceRetention: true }) }),
  );
}

interface Change extends Removal {
  readonly mode: Mode;
  readonly days: number;
}

function changeLock(
  { client }: Asker,
  { key, mode, days: count, bypass }: Change,
): Promise<unknown> {
  return client.send(
    new PutObjectRetentionCommand({
      Bucket: 'locks',
      Key: key,
      Retention: { Mode: mode, RetainUntilDate: days(count) },
      ...(bypass && { BypassGovernanceRetention: true }),
    }),
  );
}

/** Locks of files. */
export const lockQuestions: Questions = [
  [
    'makes a bucket that locks',
    ({ client }) =>
      client.send(new CreateBucketCommand({ Bucket: 'locks', ObjectLockEnabledForBucket: true })),
  ],
  [
    'asks how it locks',
    ({ client }) => client.send(new GetObjectLockConfigurationCommand({ Bucket: 'locks' })),
  ],
  [
    'asks how a plain one locks',
    ({ client }) => client.send(new GetObjectLockConfigurationCommand({ Bucket: 'plain' })),
  ],
  [
    'asks whether it keeps versions',
    ({ client }) => client.send(new GetBucketVersioningCommand({ Bucket: 'locks' })),
  ],
  [
    'has it keep none',
    ({ client }) =>
      client.send(
        new PutBucketVersioningCommand({
          Bucket: 'locks',
          VersioningConfiguration: { Status: 'Suspended' },
        }),
      ),
  ],
  ['puts under governance', (asker) => lockedPut(asker, 'governed', 'GOVERNANCE')],
  ['puts under compliance', (asker) => lockedPut(asker, 'complied', 'COMPLIANCE')],
  [
    'looks at it',
    ({ client }) => client.send(new HeadObjectCommand({ Bucket: 'locks', Key: 'complied' })),
  ],
  [
    'asks for the lock of it',
    ({ client }) =>
      client.send(new GetObjectRetentionCommand({ Bucket: 'locks', Key: 'complied' })),
  ],
  [
    'puts a lock into a plain bucket',
    (asker) =>
      asker.put('plain', 'c', { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: days(1) }),
  ],
  [
    'puts a lock that is over',
    (asker) =>
      asker.put('locks', 'over', {
        ObjectLockMode: 'GOVERNANCE',
        ObjectLockRetainUntilDate: days(-1),
      }),
  ],
  ['puts without a lock', (asker) => remember(asker, 'open', asker.put('locks', 'open'))],
  [
    'asks for the lock of what has none',
    ({ client }) => client.send(new GetObjectRetentionCommand({ Bucket: 'locks', Key: 'open' })),
  ],
  ['removes what is complied', (asker) => removeVersion(asker, { key: 'complied' })],
  ['removes it with bypass', (asker) => removeVersion(asker, { key: 'complied', bypass: true })],
  ['removes what is governed', (asker) => removeVersion(asker, { key: 'governed' })],
  [
    'removes several that are locked',
    ({ client, ids }) =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: 'locks',
          Delete: {
            Objects: [
              { Key: 'complied', VersionId: ids['complied'] },
              { Key: 'governed', VersionId: ids['governed'] },
              { Key: 'open', VersionId: ids['open'] },
            ],
          },
        }),
      ),
  ],
  [
    'shortens compliance',
    (asker) => changeLock(asker, { key: 'complied', mode: 'COMPLIANCE', days: 1 }),
  ],
  [
    'shortens it with bypass',
    (asker) => changeLock(asker, { key: 'complied', mode: 'COMPLIANCE', days: 1, bypass: true }),
  ],
  [
    'weakens compliance',
    (asker) => changeLock(asker, { key: 'complied', mode: 'GOVERNANCE', days: 3 }),
  ],
  [
    'extends compliance',
    (asker) => changeLock(asker, { key: 'complied', mode: 'COMPLIANCE', days: 3 }),
  ],
  [
    'shortens governance',
    (asker) => changeLock(asker, { key: 'governed', mode: 'GOVERNANCE', days: 1 }),
  ],
  [
    'extends governance',
    (asker) => changeLock(asker, { key: 'governed', mode: 'GOVERNANCE', days: 3 }),
  ],
  [
    'shortens governance with bypass',
    (asker) => changeLock(asker, { key: 'governed', mode: 'GOVERNANCE', days: 1, bypass: true }),
  ],
  [
    'removes what is governed with bypass',
    (asker) => removeVersion(asker, { key: 'governed', bypass: true }),
  ],
  [
    'locks what is not there',
    (asker) => changeLock(asker, { key: 'nothing', mode: 'GOVERNANCE', days: 1 }),
  ],
  [
    'locks by itself',
    ({ client }) =>
      client.send(
        new PutObjectLockConfigurationCommand({
          Bucket: 'locks',
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
          },
        }),
      ),
  ],
  [
    'puts what is locked by itself',
    (asker) =>
      remember(
        asker,
        'default',
        asker.put('locks', 'default', {
          ContentMD5: createHash('md5').update('content of default').digest('base64'),
        }),
      ),
  ],
  [
    'looks at that',
    ({ client }) => client.send(new HeadObjectCommand({ Bucket: 'locks', Key: 'default' })),
  ],
  ['removes that', (asker) => removeVersion(asker, { key: 'default' })],
  [
    'deletes that',
    ({ client }) => client.send(new DeleteObjectCommand({ Bucket: 'locks', Key: 'default' })),
  ],
  [
    'locks a plain bucket by itself',
    ({ client }) =>
      client.send(
        new PutObjectLockConfigurationCommand({
          Bucket: 'plain',
          ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
        }),
      ),
  ],
];
