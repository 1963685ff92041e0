import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe } from 'vitest';

import { type DialectName, dialects } from '../../../test/model-s3/dialects.ts';
import {
  type ModelS3,
  type ModelS3Options,
  startModelS3,
} from '../../../test/model-s3/model-s3.ts';
import type { Backend } from '../backend.ts';
import { describeBackend, type Lack } from '../conformance.ts';
import { testEnvironment } from '../test-support.ts';
import { openS3 } from './open-s3.ts';

interface Setting extends ModelS3Options {
  readonly title: string;
  readonly dialect: DialectName;
  readonly extended?: Readonly<Record<string, string>>;
  /** What the bucket is before it is used. */
  readonly bucket?: 'versioned';
}

/** Names its region. */
const b2Host = 's3.us-west-004.backblazeb2.com';
const host = 's3.model.test';

/** Each vendor, and what can be set: without it, radosgw is there itself (`s3-backend.test.ts`). */
const settings: readonly Setting[] = [
  { dialect: 'aws', title: 'of another region', region: 'eu-central-1', pageSizeMax: 7 },
  {
    dialect: 'aws',
    title: 'the bucket in the host, versioned',
    hosts: [host],
    bucket: 'versioned',
    extended: { 'bucket-lookup': 'dns' },
  },
  { dialect: 'r2', title: 'as it comes', pageSizeMax: 7 },
  { dialect: 'b2', title: 'the region in the host', pageSizeMax: 7 },
  { dialect: 'minio', title: 'of another region', region: 'somewhere' },
  { dialect: 'radosgw16', title: 'versioned', bucket: 'versioned' },
  {
    dialect: 'radosgw20',
    title: 'strict, listed by version 1',
    isStrict: true,
    pageSizeMax: 7,
    extended: { 'list-objects-v1': 'true' },
  },
];

describe.each(settings)('S3, as of $dialect, $title', (setting) => {
  let model: ModelS3;
  beforeAll(async () => {
    model = await startModelS3(setting);
    if (setting.bucket) model.bucket('conformance').versioning = 'Enabled';
  });
  afterAll(() => model.stop());

  const open = (prefix: string): Promise<Backend> => {
    const endpoint = setting.dialect === 'b2' ? b2Host : setting.hosts ? host : model.address;
    const location = {
      scheme: 's3',
      endpoint,
      isEncrypted: false,
      bucket: 'conformance',
      prefix,
    } as const;
    return openS3(location, {
      environment: testEnvironment(),
      connectionCount: 5,
      extended: new Map(Object.entries(setting.extended ?? {})),
      transport: {},
      // As a proxy, it is reached under any name.
      variables: { ...model.variables, HTTP_PROXY: model.endpoint },
    });
  };

  describeBackend('store', async () => {
    const prefix = randomUUID();
    const backend = await open(prefix);
    await backend.create();
    return {
      backend,
      other: await open(prefix),
      plant: async (path, content) => void model.plant('conformance', `${prefix}/${path}`, content),
      fileCount: 40,
      tellsChecksum: true,
      lacks: lacksOf(setting),
      dispose: async () => {},
    };
  });
});

function lacksOf({ dialect, bucket }: Setting): ReadonlySet<Lack> {
  const { conditionalPut } = dialects[dialect];
  const replaces =
    conditionalPut === 'refused' ||
    (conditionalPut === 'ignored-with-versions' && bucket !== undefined);
  // Of writers of other bytes under one name each is refused for its bytes.
  const all: readonly Lack[] = ['exclusive-race', 'absence', 'any-content'];
  return new Set(replaces ? ['exclusive-put', ...all] : all);
}
