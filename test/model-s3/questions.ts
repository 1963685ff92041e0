import { createHash } from 'node:crypto';

import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';

import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/storage/s3/credentials.ts';

/** A server that is asked. */
export interface AskedServer {
  readonly endpoint: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** What a server said to one question: a status, the code of an error, and what else matters. */
export type Said = Readonly<Record<string, unknown>>;

/** What is asked, by a name for it; later questions build on what earlier ones have done. */
export type Questions = readonly (readonly [
  name: string,
  ask: (asker: Asker) => Promise<unknown>,
])[];

const dayMs = 24 * 3_600_000;

/** Puts questions to one server. */
export class Asker {
  readonly client: S3Client;
  readonly ids: Record<string, string> = {};
  readonly #server: AskedServer;

  constructor(server: AskedServer) {
    this.#server = server;
    this.client = this.clientWith({});
  }

  /** A client like the usual one, but for `more`. */
  clientWith(more: S3ClientConfig): S3Client {
    const { endpoint, variables } = this.#server;
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      logger: silentLogger,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      credentials: this.credentials(variables['AWS_SECRET_ACCESS_KEY'] ?? ''),
      ...more,
    });
    client.middlewareStack.add(
      (next) => async (args) => {
        addMd5(args.request);
        return await next(args);
      },
      { step: 'build', name: 'md5' },
    );
    return client;
  }

  credentials(secretAccessKey: string): { accessKeyId: string; secretAccessKey: string } {
    return { accessKeyId: this.#server.variables['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey };
  }

  put(bucket: string, key: string, more: Partial<PutObjectCommand['input']> = {}): Promise<Out> {
    return this.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: `content of ${key}`, ...more }),
    );
  }
}

type Out = { readonly $metadata: unknown };

function addMd5(request: unknown): void {
  if (typeof request !== 'object' || request === null || !('headers' in request)) return;
  const { headers } = request;
  const body = 'body' in request ? request.body : undefined;
  if (typeof headers !== 'object' || headers === null) return;
  if (typeof body !== 'string' || !body.startsWith('<')) return;
  Object.assign(headers, { 'content-md5': createHash('md5').update(body).digest('base64') });
}

/** Puts all questions, one after the other. */
export async function askAll(
  server: AskedServer,
  questions: Questions,
): Promise<Record<string, Said>> {
  const asker = new Asker(server);
  const answers: Record<string, Said> = {};
  try {
    for (const [name, ask] of questions) answers[name] = await said(ask(asker));
  } finally {
    asker.client.destroy();
  }
  return answers;
}

async function said(answer: Promise<unknown>): Promise<Said> {
  try {
    return shown(await answer);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { $metadata: metadata } = error as { $metadata?: { httpStatusCode?: number } };
    return { status: metadata?.httpStatusCode, code: error.name };
  }
}

const compared: readonly string[] = [
  'ContentLength',
  'ETag',
  'IsTruncated',
  'KeyCount',
  'MaxKeys',
  'DeleteMarker',
  'ObjectLockMode',
  'Status',
];

/** What of an answer can be the same on two servers. */
function shown(answer: unknown): Said {
  if (typeof answer !== 'object' || answer === null) return { answer };
  const all = answer as Record<string, unknown>;
  const metadata = all['$metadata'] as { httpStatusCode?: number } | undefined;
  const picked = Object.fromEntries(
    compared.filter((name) => all[name] !== undefined).map((name) => [name, all[name]]),
  );
  return {
    status: metadata?.httpStatusCode,
    ...picked,
    ...(metadata?.httpStatusCode === 206 && { ContentRange: all['ContentRange'] }),
    ...(all['VersionId'] !== undefined && {
      VersionId: all['VersionId'] === 'null' ? 'null' : 'some',
    }),
    ...lists(all),
    ...('more' in all && { more: all['more'] }),
  };
}

function lists(answer: Record<string, unknown>): Said {
  const read = (name: string, ...members: readonly string[]): Said => {
    const entries = answer[name];
    if (!Array.isArray(entries)) return {};
    const show = (entry: Record<string, string | number | boolean | undefined>): string =>
      members.map((member) => `${entry[member] ?? false}`).join(' ');
    const shownEntries = entries.map(show);
    // Servers remove at once, in an order of their own.
    return { [name]: name === 'Deleted' || name === 'Errors' ? shownEntries.sort() : shownEntries };
  };
  return {
    ...read('Contents', 'Key', 'Size', 'ETag'),
    ...read('CommonPrefixes', 'Prefix'),
    ...read('Versions', 'Key', 'Size', 'IsLatest'),
    ...read('DeleteMarkers', 'Key', 'IsLatest'),
    ...read('Deleted', 'Key', 'DeleteMarker'),
    ...read('Errors', 'Key', 'Code'),
  };
}

function days(count: number): Date {
  // Whole seconds: not every server keeps more.
  return new Date(Math.floor((systemClock.wallMs() + count * dayMs) / 1000) * 1000);
}

const keys = ['a/1', 'a/2', 'a b', 'b/ü', 'b/&<>', 'c'] as const;

/** Who may ask at all. */
const access: Questions = [
  ['makes a bucket', ({ client }) => client.send(new CreateBucketCommand({ Bucket: 'plain' }))],
  ['makes it again', ({ client }) => client.send(new CreateBucketCommand({ Bucket: 'plain' }))],
  ['looks at it', ({ client }) => client.send(new HeadBucketCommand({ Bucket: 'plain' }))],
  ['looks at none', ({ client }) => client.send(new HeadBucketCommand({ Bucket: 'nowhere' }))],
  [
    'lists a bucket that is not there',
    ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'nowhere' })),
  ],
  [
    'reads in a bucket that is not there',
    ({ client }) => client.send(new GetObjectCommand({ Bucket: 'nowhere', Key: 'x' })),
  ],
  [
    'has the wrong secret',
    (asker) =>
      asker
        .clientWith({ credentials: asker.credentials('wrong') })
        .send(new ListObjectsV2Command({ Bucket: 'plain' })),
  ],
  [
    'has a key that nobody knows',
    (asker) =>
      asker
        .clientWith({ credentials: { accessKeyId: 'NOBODYSKEYATALL00000', secretAccessKey: 'x' } })
        .send(new ListObjectsV2Command({ Bucket: 'plain' })),
  ],
  [
    'has a clock that is an hour late',
    (asker) =>
      asker
        .clientWith({ systemClockOffset: -3_600_000 })
        .send(new GetObjectCommand({ Bucket: 'plain', Key: 'x' })),
  ],
  [
    'has a clock that is an hour early',
    (asker) =>
      asker
        .clientWith({ systemClockOffset: 3_600_000 })
        .send(new GetObjectCommand({ Bucket: 'plain', Key: 'x' })),
  ],
  [
    'signs for another region',
    (asker) =>
      asker
        .clientWith({ region: 'eu-central-1' })
        .send(new ListObjectsV2Command({ Bucket: 'plain' })),
  ],
  [
    'signs nothing',
    (asker) =>
      asker
        .clientWith({ signer: { sign: async (request) => request } })
        .send(new ListObjectsV2Command({ Bucket: 'plain' })),
  ],
];

/** Files as the store makes, reads and removes them. */
const objects: Questions = [
  ...keys.map((key) => [`puts ${key}`, (asker: Asker) => asker.put('plain', key)] as const),
  ['puts an empty one', (asker) => asker.put('plain', 'empty', { Body: '' })],
  ['reads', ({ client }) => client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'a/1' }))],
  ['looks', ({ client }) => client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'a/1' }))],
  [
    'looks at none',
    ({ client }) => client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'x' })),
  ],
  ['reads none', ({ client }) => client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'x' }))],
  ...[
    'bytes=0-3',
    'bytes=3-1000',
    'bytes=-4',
    'bytes=5-',
    'bytes=100-200',
    'bytes=4-2',
    'lines=1',
  ].map(
    (range) =>
      [
        `reads ${range}`,
        ({ client }: Asker) =>
          client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'a/1', Range: range })),
      ] as const,
  ),
  [
    'reads a part of nothing',
    ({ client }) =>
      client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'empty', Range: 'bytes=0-0' })),
  ],
  [
    'puts what does not fit its MD5',
    (asker) => asker.put('plain', 'bad', { ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' }),
  ],
  ['puts with an MD5 that is none', (asker) => asker.put('plain', 'bad', { ContentMD5: 'x' })],
  ['puts unless it is there, and it is', (asker) => asker.put('plain', 'c', { IfNoneMatch: '*' })],
  [
    'puts unless it is there, and it is not',
    (asker) => asker.put('plain', 'd', { IfNoneMatch: '*' }),
  ],
  [
    'puts with a wrong checksum',
    (asker) => asker.put('plain', 'sum', { ChecksumCRC32: 'AAAAAA==' }),
  ],
  [
    'puts with a wrong checksum that it names',
    (asker) => asker.put('plain', 'sum', { ChecksumCRC32: 'AAAAAA==', ChecksumAlgorithm: 'CRC32' }),
  ],
  [
    'copies',
    ({ client }) =>
      client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'copy', CopySource: 'plain/a/1' })),
  ],
  [
    'removes one',
    ({ client }) => client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'copy' })),
  ],
  [
    'removes one that is not there',
    ({ client }) => client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'copy' })),
  ],
  [
    'removes several',
    ({ client }) =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: 'plain',
          Delete: { Objects: [{ Key: 'sum' }, { Key: 'bad' }, { Key: 'd' }] },
        }),
      ),
  ],
];

/** Listings. */
const listings: Questions = [
  ['lists', ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'plain' }))],
  [
    'lists below a prefix',
    ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'plain', Prefix: 'a/' })),
  ],
  [
    'lists folders',
    ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'plain', Delimiter: '/' })),
  ],
  [
    'lists from a name on',
    ({ client }) => client.send(new ListObjectsV2Command({ Bucket: 'plain', StartAfter: 'b/&<>' })),
  ],
  ['lists in pages of two', (asker) => pages(asker, 2)],
  ['lists in pages of one', (asker) => pages(asker, 1)],
  ['lists by version 1', ({ client }) => client.send(new ListObjectsCommand({ Bucket: 'plain' }))],
  [
    'lists by version 1 from a name on',
    ({ client }) =>
      client.send(new ListObjectsCommand({ Bucket: 'plain', Marker: 'a/2', MaxKeys: 2 })),
  ],
  [
    'removes a bucket that is not empty',
    ({ client }) => client.send(new DeleteBucketCommand({ Bucket: 'plain' })),
  ],
];

async function pages({ client }: Asker, size: number): Promise<unknown> {
  const found: (string | undefined)[][] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: 'plain',
        MaxKeys: size,
        ...(token !== undefined && { ContinuationToken: token }),
      }),
    );
    found.push((page.Contents ?? []).map(({ Key: key }) => key));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return { more: found };
}

/** Versions of a file. */
const versions: Questions = [
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
const locks: Questions = [
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

/** All questions, each on top of those before. */
export const allQuestions: Questions = [...access, ...objects, ...listings, ...versions, ...locks];
