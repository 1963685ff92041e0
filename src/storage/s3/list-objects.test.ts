import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { endlessListing, fault } from '../../../test/model-s3/faults.ts';
import { type ModelS3, modelUser, startModelS3 } from '../../../test/model-s3/model-s3.ts';
import { systemClock } from '../../base/clock.ts';
import { codeOf } from '../conformance.ts';
import { HttpRequests } from './http-requests.ts';
import { listObjects } from './list-objects.ts';
import { S3Requests } from './s3-requests.ts';

let model: ModelS3;
let requests: S3Requests;
beforeEach(async () => {
  model = await startModelS3();
  const url = new URL(model.endpoint);
  requests = new S3Requests({
    location: {
      scheme: 's3',
      endpoint: url.host,
      isEncrypted: false,
      bucket: 'bucket',
      prefix: '',
    },
    http: new HttpRequests({
      server: { url, proxy: undefined },
      connectionCount: 1,
      stuckMs: 60_000,
      clock: systemClock,
      userAgent: 'test',
    }),
    region: 'us-east-1',
    isRegionFixed: true,
    isPathStyle: true,
    host: url.host,
    credentials: modelUser,
    clock: systemClock,
  });
});
afterEach(async () => {
  requests.close();
  await model.stop();
});

const request = { prefix: 'data/', subject: 'pack files' };

async function count(names: AsyncIterable<unknown>): Promise<number> {
  let sum = 0;
  for await (const _ of names) sum++;
  return sum;
}

test('of names without an end comes to one, in pages of any size', async () => {
  for (const pageSize of [0, 1, 1000]) {
    model.faults = [fault('ListObjectsV2', endlessListing('data/', { pageSize }))];
    const names = count(listObjects(requests, request, { listsByVersion1: false, namesMax: 100 }));
    expect(await codeOf(names)).toBe(pageSize === 0 ? 'BACKEND_READ_FAILED' : 'UNSUPPORTED');
  }
});

test('takes memory for names alone, not for the pages that they came in', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const nameCount = 40_000;
  model.faults = [
    fault('ListObjectsV2', endlessListing('data/', { pageSize: 1000, countMax: nameCount })),
  ];
  const names: string[] = [];
  collect();
  const before = process.memoryUsage().heapUsed;
  for await (const { key } of listObjects(requests, request, { listsByVersion1: false })) {
    names.push(key.slice(key.lastIndexOf('/') + 1));
  }
  model.seen.length = 0;
  collect();
  expect(names).toHaveLength(nameCount);
  expect((process.memoryUsage().heapUsed - before) / nameCount).toBeLessThan(300);
});
