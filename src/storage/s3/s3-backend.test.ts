import { randomUUID } from 'node:crypto';

import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';

import { describeNeeding, needs } from '../../../test/tools/peers.ts';
import {
  radosgwStartMsMax,
  radosgws,
  type S3Server,
  startRadosgw,
} from '../../../test/tools/radosgw.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import type { Backend } from '../backend.ts';
import { describeBackend, type Lack } from '../conformance.ts';
import { testEnvironment } from '../test-support.ts';
import { openS3 } from './open-s3.ts';

const scratch = scratchFolder('s3');

describeNeeding('radosgw').each(radosgws)(`S3, on radosgw %s${needs('radosgw')}`, (_, options) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startRadosgw(scratch.fresh('server'), options);
  }, radosgwStartMsMax);
  afterAll(() => server.stop());

  const open = (bucket: string, prefix: string): Promise<Backend> => {
    const endpoint = new URL(server.endpoint).host;
    const location = { scheme: 's3', endpoint, isEncrypted: false, bucket, prefix } as const;
    return openS3(location, {
      environment: testEnvironment(),
      connectionCount: 5,
      extended: new Map(),
      transport: {},
      variables: server.variables,
    });
  };

  const lacks: ReadonlySet<Lack> = new Set(['exclusive-race', 'absence', 'any-content']);
  describeBackend('store', async () => {
    const prefix = randomUUID();
    const backend = await open('conformance', prefix);
    await backend.create();
    return {
      backend,
      other: await open('conformance', prefix),
      plant: (path, content) => plant(server, `${prefix}/${path}`, content),
      fileCount: 40,
      tellsChecksum: true,
      lacks,
      dispose: async () => {},
    };
  });
});

async function plant(
  { endpoint, variables }: S3Server,
  key: string,
  content: Uint8Array,
): Promise<void> {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } =
    variables;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  await client.send(new PutObjectCommand({ Bucket: 'conformance', Key: key, Body: content }));
  client.destroy();
}
