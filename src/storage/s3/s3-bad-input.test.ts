import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type DialectName, dialectNames, dialects } from '../../../test/model-s3/dialects.ts';
import {
  type Act,
  disorder,
  endless,
  endlessListing,
  error,
  fault,
  lateError,
  redirect,
  refuseDeletions,
  repeatToken,
  shorten,
  slowDown,
  truncate,
  webPage,
  webPageAsXml,
} from '../../../test/model-s3/faults.ts';
import { type ModelS3, modelUser, startModelS3 } from '../../../test/model-s3/model-s3.ts';
import { utf8 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { describeError, HoldfastError } from '../../base/errors.ts';
import type { Backend } from '../backend.ts';
import { handleOf, listAll } from '../conformance.ts';
import { testEnvironment } from '../test-support.ts';
import { openS3 } from './open-s3.ts';

const content = utf8('content of a pack');
const pack = handleOf('pack', content);

/** How a failure is told to a person, with its code; no secret stands in any of it. */
async function told(work: Promise<unknown>): Promise<string> {
  const failure = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(failure instanceof HoldfastError)) throw new Error(`no HoldfastError: ${String(failure)}`);
  const line = describeError(failure);
  expect(`${line} ${failure.hint} ${JSON.stringify(failure.details)}`).not.toMatch(
    /SECRET|KNOWNKEY|WRONG/,
  );
  expect(line).not.toContain('\n');
  return `${failure.code}: ${failure.message}`;
}

/** One call of each kind; all end alike. */
async function tellAll(backend: Backend): Promise<ReadonlySet<string>> {
  const calls = [
    backend.get(pack),
    backend.get(pack, { start: 1, end: 3 }),
    backend.stat(pack),
    listAll(backend, 'pack'),
    backend.put(handleOf('lock', content), [content]),
    backend.remove(handleOf('lock', content)),
  ];
  return new Set(await Promise.all(calls.map(told)));
}

describe.each(dialectNames)('S3, as of %s,', (dialect) => {
  let model: ModelS3;
  let opened: Backend[];
  beforeEach(async () => {
    model = await startModelS3({ dialect, pageSizeMax: 3 });
    opened = [];
    for (let i = 0; i < 5; i++) plantPack(utf8(`pack ${i}`));
    plantPack(content);
  });
  afterEach(async () => {
    for (const backend of opened) await backend.close();
    await model.stop();
  });

  function plantPack(bytes: Uint8Array): void {
    const { name } = handleOf('pack', bytes);
    model.plant('bucket', `repo/data/${name.slice(0, 2)}/${name}`, bytes);
  }

  async function open(
    extended: Readonly<Record<string, string>> = {},
    variables: Readonly<Record<string, string>> = model.variables,
    bucket = 'bucket',
  ): Promise<Backend> {
    const location = {
      scheme: 's3',
      endpoint: model.address,
      isEncrypted: false,
      bucket,
      prefix: 'repo',
    } as const;
    const { random } = testEnvironment();
    const backend = await openS3(location, {
      environment: { clock: systemClock, random },
      connectionCount: 5,
      extended: new Map(Object.entries({ region: model.region, ...extended })),
      transport: {},
      variables,
    });
    opened.push(backend);
    return backend;
  }

  test('a wrong region is named, where it matters', async () => {
    const backend = await open({ region: 'xx-wrong-1' });
    const sentences: Readonly<Record<DialectName, string>> = {
      aws: 'LOCATION_INVALID: the bucket "bucket" is in the region "us-east-1"',
      minio: 'LOCATION_INVALID: the bucket "bucket" is in the region "us-east-1"',
      r2: 'LOCATION_INVALID: the storage knows no such region',
      b2: 'CREDENTIALS_REFUSED: the secret key does not fit the access key',
      radosgw16: '',
      radosgw20: '',
    };
    if (dialects[dialect].regions === 'any') expect(await backend.get(pack)).toEqual(content);
    else expect(await tellAll(backend)).toEqual(new Set([sentences[dialect]]));
  });

  test('wrong keys are told from each other', async () => {
    const wrong = await open({}, { ...model.variables, AWS_SECRET_ACCESS_KEY: 'WRONGSECRET' });
    expect(await tellAll(wrong)).toEqual(
      new Set(['CREDENTIALS_REFUSED: the secret key does not fit the access key']),
    );
    const unknown = await open({}, { ...model.variables, AWS_ACCESS_KEY_ID: 'WRONGKEY' });
    const [sentence, ...others] = await tellAll(unknown);
    expect(sentence).toMatch(/^CREDENTIALS_REFUSED: /);
    expect(others).toEqual([]);
  });

  test('an expired session is told', async () => {
    model.users = [{ ...modelUser, sessionToken: 'SECRET-TOKEN', isExpired: true }];
    const backend = await open({}, { ...model.variables, AWS_SESSION_TOKEN: 'SECRET-TOKEN' });
    const [sentence, ...others] = await tellAll(backend);
    expect(sentence).toMatch(/^CREDENTIALS_REFUSED: the session of the credentials .*has expired$/);
    expect(others).toEqual([]);
  });

  test.each([
    [60, 'behind'],
    [-60, 'ahead of'],
  ])('a clock %d min away is told', async (minutes, side) => {
    model.skewMs = minutes * 60_000;
    expect(await told((await open()).get(pack))).toBe(
      `CLOCK_SKEWED: the clock of this machine is 60 min ${side} the storage's`,
    );
  });

  test('a missing bucket is named; as a repository it is empty', async () => {
    const backend = await open({}, model.variables, 'nowhere');
    expect(await told(backend.get(pack))).toBe('FILE_NOT_FOUND: there is no bucket "nowhere"');
    expect(await told(backend.put(pack, [content]))).toBe(
      'FILE_NOT_FOUND: there is no bucket "nowhere"',
    );
    expect(await listAll(backend, 'pack')).toEqual([]);
  });

  test('what is not allowed is told', async () => {
    model.users = [{ ...modelUser, may: () => false }];
    expect(await tellAll(await open())).toEqual(new Set(['PERMISSION_DENIED: permission denied']));
  });

  const unreadable: readonly (readonly [string, Act, string])[] = [
    ['a web page', webPage(200), 'SERVER_ANSWER_INVALID'],
    ['a web page of a proxy', webPage(502), 'BACKEND_UNAVAILABLE'],
    ['a web page that is forbidden', webPage(403), 'PERMISSION_DENIED'],
    ['a redirect for good', redirect(301, 'elsewhere.example'), 'LOCATION_INVALID'],
    ['a redirect for now', redirect(307, 'elsewhere.example'), 'LOCATION_INVALID'],
    ['a request for patience', slowDown(7), 'BACKEND_UNAVAILABLE'],
    ['an error of the server', error({ status: 500, code: 'InternalError' }), 'BACKEND_'],
    ['what nobody knows', error({ status: 418, code: 'Teapot' }), 'UNSUPPORTED'],
  ];

  test.each(unreadable)('%s is no answer', async (_, act, code) => {
    model.faults = [fault(() => true, act)];
    for (const sentence of await tellAll(await open())) expect(sentence).toContain(code);
  });

  test('a web page that says it is XML lists nothing that is there', async () => {
    model.faults = [fault('ListObjectsV2', webPageAsXml)];
    const backend = await open();
    expect(await told(listAll(backend, 'pack'))).toMatch(/^SERVER_ANSWER_INVALID: /);
  });

  test.each([
    ['is cut off', truncate(5), 'BACKEND_UNAVAILABLE'],
    ['never ends', endless('binary/octet-stream', 'x'), 'BACKEND_READ_FAILED'],
  ])('a file that %s is told', async (_, act, code) => {
    model.faults = [fault('GetObject', act)];
    expect(await told((await open()).get(pack))).toContain(code);
  });

  test('a file that is shorter than it was is told of a part', async () => {
    model.faults = [fault('GetObject', shorten(2))];
    expect(await told((await open()).get(pack, { start: 0, end: 5 }))).toContain(
      'RANGE_NOT_SATISFIABLE',
    );
  });

  test('a document without an end takes no memory', async () => {
    model.faults = [
      fault(() => true, endless('application/xml', '<Contents><Key>k</Key></Contents>')),
    ];
    expect(await told(listAll(await open(), 'pack'))).toBe(
      'SERVER_ANSWER_INVALID: the storage answers without an end',
    );
  });

  test('a listing in circles is told, and one in disorder read', async () => {
    model.faults = [fault('ListObjectsV2', repeatToken)];
    expect(await told(listAll(await open(), 'pack'))).toContain('BACKEND_READ_FAILED');
    model.faults = [fault('ListObjectsV2', disorder)];
    expect(await listAll(await open(), 'pack')).toHaveLength(6);
  });

  test('names without an end can be left at any time', async () => {
    model.faults = [fault('ListObjectsV2', endlessListing('repo/data/', { pageSize: 100 }))];
    let count = 0;
    for await (const _ of (await open()).list('pack')) if (++count === 1000) break;
    expect(model.counts()['ListObjectsV2']).toBe(10);
  });

  test.each([
    ['each is refused', refuseDeletions('AccessDenied')],
    ['the error comes late', lateError('InternalError')],
    ['it is too often', slowDown()],
  ])('no file counts as removed if %s', async (_, act) => {
    model.faults = [fault('DeleteObjects', act)];
    const backend = await open();
    expect(await backend.removeSeveral?.('pack', [pack.name])).toEqual([]);
    expect(await backend.get(pack)).toEqual(content);
  });
});
