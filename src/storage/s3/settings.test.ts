import { expect, test } from 'vitest';

import { parseLocation, type S3Location } from '../location.ts';
import { readSettings, regionOfEndpoint } from './settings.ts';

function locationOf(text: string): S3Location {
  const location = parseLocation(text);
  if (location.scheme !== 's3') throw new Error('no location of S3');
  return location;
}

test.each([
  ['s3:s3.amazonaws.com/bucket', false],
  ['s3:s3.eu-central-1.amazonaws.com/bucket', false],
  ['s3:s3.cn-north-1.amazonaws.com.cn/bucket', false],
  ['s3:storage.googleapis.com/bucket', false],
  ['s3:oss-eu-central-1.aliyuncs.com/bucket', false],
  // No certificate for *.amazonaws.com fits these.
  ['s3:s3.amazonaws.com/with.dots', true],
  ['s3:s3.amazonaws.com/Upper', true],
  ['s3:http://127.0.0.1:9000/bucket', true],
  ['s3:minio.example.com/bucket', true],
  ['s3:amazonaws.com.example.com/bucket', true],
])('by itself, %s has its bucket in the path: %s', (text, isPathStyle) => {
  expect(readSettings(locationOf(text), new Map()).isPathStyle).toBe(isPathStyle);
});

test('names the bucket as it is told to', () => {
  const amazon = locationOf('s3:s3.amazonaws.com/bucket');
  const other = locationOf('s3:http://localhost:9000/bucket');
  expect(readSettings(amazon, new Map([['bucket-lookup', 'path']])).isPathStyle).toBe(true);
  expect(readSettings(other, new Map([['bucket-lookup', 'dns']])).isPathStyle).toBe(false);
});

test('has defaults, and reads what is said', () => {
  const location = locationOf('s3:host/bucket');
  expect(readSettings(location, new Map())).toEqual({
    isPathStyle: true,
    region: undefined,
    listsByVersion1: false,
    isAnonymous: false,
    storageClass: undefined,
    thaw: undefined,
  });
  const said = {
    region: 'eu-north-1',
    'storage-class': 'DEEP_ARCHIVE',
    'list-objects-v1': 'TRUE',
    'unsafe-anonymous-auth': '1',
    'enable-restore': 'true',
    'restore-days': '3',
    'restore-tier': 'expedited',
    'restore-timeout': '1h30m',
  };
  expect(readSettings(location, new Map(Object.entries(said)))).toEqual({
    isPathStyle: true,
    region: 'eu-north-1',
    listsByVersion1: true,
    isAnonymous: true,
    storageClass: 'DEEP_ARCHIVE',
    thaw: { days: 3, tier: 'Expedited', waitMsMax: 5_400_000 },
  });
});

test.each([
  ['s3.eu-central-1.amazonaws.com', 'eu-central-1'],
  ['s3.dualstack.us-gov-west-1.amazonaws.com:443', 'us-gov-west-1'],
  ['s3-us-west-2.amazonaws.com', 'us-west-2'],
  ['s3.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
  ['s3.us-west-004.backblazeb2.com', 'us-west-004'],
  ['s3.eu-central-1.wasabisys.com:443', 'eu-central-1'],
  ['s3.fr-par.scw.cloud', 'fr-par'],
  ['s3.wasabisys.com', undefined],
  ['s3.amazonaws.com', undefined],
  ['s3.eu-central-1.example.com', undefined],
])('%s is in the region %s', (endpoint, region) => {
  expect(regionOfEndpoint(endpoint)).toBe(region);
});
