import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';

import type { Asker, Questions } from './asker.ts';
import { lockQuestions, versionQuestions } from './version-questions.ts';

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

/** All questions, each on top of those before. */
export const allQuestions: Questions = [
  ...access,
  ...objects,
  ...listings,
  ...versionQuestions,
  ...lockQuestions,
];
