import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Answer, errorAnswer, ScriptedServer } from '../../../test/tools/scripted-http.ts';
import { TcpProxy } from '../../../test/tools/tcp-proxy.ts';
import { utf8 } from '../../base/bytes.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { describeError, HoldfastError } from '../../base/errors.ts';
import type { Backend, FileHandle } from '../backend.ts';
import { codeOf, listAll } from '../conformance.ts';
import { parseLocation } from '../location.ts';
import { openBackend } from '../open.ts';
import { type JumpingClock, testEnvironment } from '../test-support.ts';
import { openS3 } from './open-s3.ts';

const keys = { AWS_ACCESS_KEY_ID: 'KNOWNKEY', AWS_SECRET_ACCESS_KEY: 'SECRET-OF-KEY' };
const content = utf8('content');
const pack: FileHandle = {
  type: 'pack',
  name: createHash('sha256').update(content).digest('hex'),
};

let server: ScriptedServer;
let endpoint: string;
let opened: Backend[];
let clock: JumpingClock;
beforeEach(async () => {
  server = new ScriptedServer();
  endpoint = await server.listen();
  opened = [];
});
afterEach(async () => {
  for (const backend of opened) await backend.close();
  await server.close();
});

interface OpenSettings {
  readonly extended?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  readonly stuckMs?: number;
  readonly clock?: Clock;
}

async function open(settings: OpenSettings = {}): Promise<Backend> {
  const location = parseLocation(`s3:http://${endpoint}/bucket/some/prefix`);
  if (location.scheme !== 's3') throw new Error('no location of S3');
  const environment = testEnvironment();
  ({ clock } = environment);
  const backend = await openS3(location, {
    environment: { ...environment, ...(settings.clock && { clock: settings.clock }) },
    connectionCount: 5,
    extended: new Map(Object.entries(settings.extended ?? {})),
    transport: settings.stuckMs === undefined ? {} : { stuckRequestMs: settings.stuckMs },
    variables: settings.variables ?? keys,
  });
  opened.push(backend);
  return backend;
}

/** The line that an error is told by, with its code and advice; no secret may stand in it. */
async function told(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof HoldfastError)) throw new Error(`not a HoldfastError: ${String(error)}`);
  const line = describeError(error).replaceAll(endpoint, 'HOST');
  expect(`${line} ${error.hint} ${JSON.stringify(error.details)}`).not.toMatch(/SECRET|KNOWNKEY/);
  return `${error.code} (${error.row.retry}): ${line}`;
}

const europe = '<Region>eu-central-1</Region>';

test.each([
  [
    'InvalidAccessKeyId',
    403,
    'CREDENTIALS_REFUSED (never): the storage does not know the access key',
  ],
  ['SignatureDoesNotMatch', 403, 'CREDENTIALS_REFUSED (never): the secret key does not fit'],
  ['ExpiredToken', 400, 'CREDENTIALS_REFUSED (never): the session of the credentials has expired'],
  ['AccessDenied', 403, 'PERMISSION_DENIED (never): permission denied'],
  ['NoSuchBucket', 404, 'FILE_NOT_FOUND (never): there is no bucket "bucket"'],
  ['NoSuchKey', 404, 'FILE_NOT_FOUND (never)'],
  ['InvalidObjectState', 403, 'FILE_ARCHIVED (never): a file stands in an archive'],
  ['SlowDown', 503, 'BACKEND_UNAVAILABLE (later): the storage is too busy'],
  ['TooManyRequests', 429, 'BACKEND_UNAVAILABLE (later): the storage is too busy'],
  ['InternalError', 500, 'BACKEND_READ_FAILED (later)'],
  ['NotImplemented', 501, 'UNSUPPORTED (never): the storage refused a request'],
  ['SomethingNew', 400, 'UNSUPPORTED (never): the storage refused a request'],
])('says what the answer %s means', async (code, status, expected) => {
  server.answer = errorAnswer(status, code);
  const backend = await open();
  const line = await told(backend.get(pack));
  expect(line).toContain(expected);
  expect(line).toContain(`pack ${pack.name.slice(0, 10)}`);
  expect(server.seen).toHaveLength(1);
});

test('asks a second time for what the answer to a HEAD does not say', async () => {
  server.answer = errorAnswer(403, 'InvalidAccessKeyId');
  const backend = await open();
  expect(await told(backend.stat(pack))).toContain('does not know the access key');
  expect(server.seen.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
});

describe('a request that the server could not make out', () => {
  const unread: readonly (readonly [string, Answer])[] = [
    ['nothing', (_, response) => response.writeHead(400).end()],
    [
      'a page',
      (_, response) => response.writeHead(400, { 'content-type': 'text/html' }).end('<html>'),
    ],
    [
      'text',
      (_, response) =>
        response.writeHead(400, { 'content-type': 'text/plain' }).end('400 Bad Request'),
    ],
    ['that it was bad', errorAnswer(400, 'BadRequest')],
  ];

  test.each(unread)('is made again where the answer is 400 and %s', async (_, answer) => {
    server.answer = answer;
    const backend = await open();
    const refused = ': the storage could not make out a request';
    expect(await told(backend.get(pack))).toContain(`BACKEND_READ_FAILED (later)${refused}`);
    expect(await told(backend.stat(pack))).toContain(`BACKEND_READ_FAILED (later)${refused}`);
    const writes = [backend.put(pack, [content]), backend.remove(pack)];
    for (const line of await Promise.all(writes.map(told))) {
      expect(line).toContain(`BACKEND_WRITE_FAILED (later)${refused}`);
    }
  });

  test('is explained, where a HEAD has 400 for an answer and a GET says more', async () => {
    server.answer = errorAnswer(400, 'InvalidArgument');
    expect(await told((await open()).stat(pack))).toContain('UNSUPPORTED (never)');
  });

  test('goes through at last, also where the line cuts it within its first bytes', async () => {
    server.answer = (_, response) => response.writeHead(200, { 'content-length': 7 }).end(content);
    const proxy = await TcpProxy.start({
      port: Number(endpoint.split(':')[1]),
      faults: [{ does: 'truncate', way: 'up', afterBytes: 10, times: 2 }],
    });
    try {
      const backend = await openBackend(`s3:http://127.0.0.1:${proxy.port}/bucket`, {
        environment: testEnvironment(),
        variables: keys,
      });
      opened.push(backend);
      expect(await backend.get(pack)).toEqual(content);
      expect((await proxy.state()).strikes).toEqual([2]);
    } finally {
      await proxy.stop();
    }
  });
});

test('names the side and the size of a wrong clock', async () => {
  const backend = await open();
  const date = new Date(clock.nowMs + 3_600_000).toUTCString();
  server.answer = errorAnswer(403, 'RequestTimeTooSkewed', { headers: { date } });
  expect(await told(backend.get(pack))).toContain(
    "CLOCK_SKEWED (never): the clock of this machine is 60 min behind the storage's",
  );
});

test('names the region that the server names, where another was asked for', async () => {
  server.answer = errorAnswer(400, 'AuthorizationHeaderMalformed', { xml: europe });
  const fixed = await open({ extended: { region: 'us-west-2' } });
  expect(await told(fixed.get(pack))).toContain(
    'LOCATION_INVALID (never): the bucket "bucket" is in the region "eu-central-1"',
  );
  expect(server.seen).toHaveLength(1);
  server.answer = errorAnswer(301, 'PermanentRedirect', {
    headers: { 'x-amz-bucket-region': 'eu-central-1' },
  });
  expect(await told(fixed.stat(pack))).toContain('is in the region "eu-central-1"');
});

test('takes the region that the server names, where nobody named one', async () => {
  server.answer = (request, response) => {
    const isRight = String(request.headers.authorization).includes('/eu-central-1/s3/');
    if (isRight) response.writeHead(200, { 'content-length': '7' }).end(content);
    else errorAnswer(400, 'AuthorizationHeaderMalformed', { xml: europe })(request, response);
  };
  const backend = await open();
  expect(await Promise.all([backend.get(pack), backend.get(pack)])).toEqual([content, content]);
  expect(await backend.get(pack)).toEqual(content);
  expect(server.seen).toHaveLength(5);
});

test('follows no redirect', async () => {
  const other = new ScriptedServer();
  const location = `http://${await other.listen()}/stolen`;
  server.answer = (_, response) => response.writeHead(307, { location }).end();
  const backend = await open();
  expect(await told(backend.put(pack, [content]))).toContain(
    'LOCATION_INVALID (never): the storage sends us to another host, which is not followed',
  );
  expect(other.seen).toEqual([]);
  await other.close();
});

test.each([200, 403, 502])('is not taken in by a web page with status %d', async (status) => {
  server.answer = (_, response) =>
    response
      .writeHead(status, { 'content-type': 'text/html; charset=utf-8' })
      .end('<html>Hello</html>');
  const backend = await open();
  const codes = {
    200: 'SERVER_ANSWER_INVALID',
    403: 'PERMISSION_DENIED',
    502: 'BACKEND_UNAVAILABLE',
  };
  const calls = [
    () => backend.get(pack),
    () => listAll(backend, 'pack'),
    () => backend.put(pack, [content]),
  ];
  for (const call of calls) {
    expect(await told(call())).toContain(codes[status as 200]);
  }
});

test.each(['', 'no XML', '<ListBucketResult><Contents>', '<other/>'])(
  'takes %j for no listing, or for one of nothing',
  async (body) => {
    server.answer = (_, response) =>
      response.writeHead(200, { 'content-type': 'application/xml' }).end(body);
    const backend = await open();
    const files = await listAll(backend, 'pack').catch((error: HoldfastError) => error.code);
    expect([[], 'SERVER_ANSWER_INVALID']).toContainEqual(files);
  },
);

test('stops reading an answer without an end', async () => {
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/xml' });
    const block = Buffer.alloc(1 << 20, ' ');
    const write = (): void => {
      while (!response.destroyed && response.write(block)) {}
    };
    response.on('drain', write);
    write();
  };
  const backend = await open();
  expect(await told(listAll(backend, 'pack'))).toContain('the storage answers without an end');
});

test.each([
  ['fewer', 9, 'BACKEND_UNAVAILABLE'],
  ['no', undefined, 'BACKEND_READ_FAILED'],
])('notices a file that ends early: %s bytes', async (_, length, code) => {
  server.answer = (_request, response) => {
    response.writeHead(200, length === undefined ? {} : { 'content-length': length });
    response.write(content, () => (length === undefined ? response.end() : response.destroy()));
  };
  expect(await codeOf((await open()).get(pack))).toBe(code);
});

test('takes no memory for a file that is larger than any can be', async () => {
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-length': 2 ** 40 });
    response.flushHeaders();
  };
  expect(await codeOf((await open()).get(pack))).toBe('UNPACKED_DAMAGED');
});

test('says that the storage went away, where all connections that were kept are gone', async () => {
  server.answer = (_, response) => response.writeHead(200, { 'content-length': 7 }).end(content);
  const backend = await open();
  await Promise.all([backend.get(pack), backend.get(pack)]);
  server.answer = (_, response) => response.socket?.resetAndDestroy();
  expect(await told(backend.get(pack))).toContain('BACKEND_UNAVAILABLE (later)');
});

test('gives up a request that stands still', async () => {
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-length': 7 });
    response.write('con');
  };
  const line = await told((await open({ stuckMs: 50 })).get(pack));
  expect(line).toContain('BACKEND_UNAVAILABLE (later): the storage did not answer for');
});

test.each([
  ['a file', (backend: Backend) => backend.get(pack)],
  ['a listing', (backend: Backend) => listAll(backend, 'pack')],
])('gives up %s that comes byte by byte', async (_, ask) => {
  let look: (() => void) | undefined;
  let nowMs = 0;
  const every = (_ms: number, work: () => void): { stop(): void } => {
    look = work;
    return { stop: () => {} };
  };
  const watched = { ...systemClock, monotonicMs: () => nowMs, every };
  const asked = Promise.withResolvers<ServerResponse>();
  server.answer = (_request, response) => asked.resolve(response);
  const failed = told(ask(await open({ stuckMs: 60_000, clock: watched })));
  const response = await asked.promise;
  response.writeHead(200, { 'content-length': 1_000_000, 'content-type': 'application/xml' });
  for (let i = 0; i <= 12; i++) {
    await new Promise((resolve) => response.write(' ', resolve));
    // Until the client has read it.
    for (let turn = 0; turn < 10; turn++) await systemClock.nextTurn();
    nowMs += 5000;
    look?.();
  }
  expect(await failed).toBe(
    'BACKEND_UNAVAILABLE (later): a request to the storage did not move for 60 s',
  );
});

test('hands on how long the server wants to be left alone', async () => {
  server.answer = errorAnswer(503, 'SlowDown', { headers: { 'retry-after': '7' } });
  const error = await (await open()).get(pack).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryAfterMs: 7000 });
});

test('says where nothing listens, and who has no certificate', async () => {
  const backend = await open();
  await server.close();
  expect(await told(backend.get(pack))).toContain('BACKEND_UNAVAILABLE (later)');
  server = new ScriptedServer();
  endpoint = await server.listen();
  const location = {
    scheme: 's3',
    endpoint,
    isEncrypted: true,
    bucket: 'bucket',
    prefix: '',
  } as const;
  const encrypted = await openS3(location, {
    environment: testEnvironment(),
    connectionCount: 5,
    extended: new Map(),
    transport: {},
    variables: keys,
  });
  opened.push(encrypted);
  expect(await told(encrypted.get(pack))).toContain(
    'SERVER_NOT_TRUSTED (never): the server does not speak TLS',
  );
});

test('sends a pack with its name as the hash, once, and only if it is not there', async () => {
  server.answer = (_, response) => response.writeHead(200).end();
  const backend = await open({ extended: { 'storage-class': 'GLACIER' } });
  await backend.put(pack, [content.subarray(0, 3), content.subarray(3)]);
  await backend.put({ ...pack, holdsTrees: true }, [content]);
  const [first, second] = server.seen;
  expect(first?.url).toBe(
    `/bucket/some/prefix/data/${pack.name.slice(0, 2)}/${pack.name}?x-id=PutObject`,
  );
  expect(first?.body).toEqual(Buffer.from(content));
  expect(first?.headers).toMatchObject({
    'content-length': '7',
    'if-none-match': '*',
    'x-amz-content-sha256': pack.name,
    'x-amz-storage-class': 'GLACIER',
  });
  expect(first?.headers.authorization).toMatch(
    /SignedHeaders=[a-z0-9;-]*;x-amz-content-sha256;[a-z0-9;-]*x-amz-storage-class[;,]/,
  );
  expect(second?.headers).not.toHaveProperty('x-amz-storage-class');
});

test('tells bytes that were lost on the way from bytes that were never there', async () => {
  server.answer = errorAnswer(400, 'XAmzContentSHA256Mismatch');
  const backend = await open();
  expect(await codeOf(backend.put(pack, [content]))).toBe('BACKEND_WRITE_FAILED');
  expect(await codeOf(backend.put(pack, [utf8('other')]))).toBe('VERIFY_FAILED');
});

test('does without conditions where the server does not know them', async () => {
  server.answer = (request, response) => {
    const isPlain = request.headers['if-none-match'] === undefined;
    if (isPlain) response.writeHead(200).end();
    else errorAnswer(501, 'NotImplemented')(request, response);
  };
  const backend = await open();
  await backend.put(pack, [content]);
  await backend.put(pack, [content]);
  expect(server.seen).toHaveLength(3);
});

test.each([
  [412, 'PreconditionFailed', 'FILE_EXISTS'],
  [409, 'ConditionalRequestConflict', 'BACKEND_WRITE_FAILED'],
  [507, 'XMinioStorageFull', 'STORAGE_FULL'],
])('says what %d %s to a put means', async (status, code, expected) => {
  server.answer = errorAnswer(status, code);
  expect(await codeOf((await open()).put(pack, [content]))).toBe(expected);
});

test('signs nothing if told so, and wants keys otherwise', async () => {
  server.answer = (_, response) => response.writeHead(200, { 'content-length': '7' }).end(content);
  const anonymous = await open({ extended: { 'unsafe-anonymous-auth': 'true' }, variables: {} });
  expect(await anonymous.get(pack)).toEqual(content);
  expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
});

/** Names of packs, and the XML of a page that lists them. */
function listing(names: readonly string[], more: string): string {
  const contents = names.map(
    (name) =>
      `<Contents><Key>some/prefix/data/${name.slice(0, 2)}/${name}</Key><Size>5</Size></Contents>`,
  );
  return `<?xml version="1.0"?><ListBucketResult>${contents.join('')}${more}</ListBucketResult>`;
}

const names = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64));

test.each([
  ['true', /[?&]marker=([^&]*)/],
  ['false', /[?&]continuation-token=([^&]*)/],
])('lists page by page, by version 1: %s', async (isFirst, pattern) => {
  server.answer = ({ url }, response) => {
    const from = pattern.exec(url)?.[1];
    const page = from === undefined ? names.slice(0, 2) : names.slice(2);
    const next =
      '<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>';
    response.writeHead(200).end(listing(page, from === undefined ? next : ''));
  };
  const backend = await open({ extended: { 'list-objects-v1': isFirst } });
  expect((await listAll(backend, 'pack')).map(({ name }) => name)).toEqual(names);
  expect(server.seen).toHaveLength(2);
});

test.each([
  '<IsTruncated>true</IsTruncated>',
  '<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>',
])('notices a listing that goes in circles: %s', async (more) => {
  server.answer = (_, response) => response.writeHead(200).end(listing(names, more));
  expect(await codeOf(listAll(await open(), 'pack'))).toBe('BACKEND_READ_FAILED');
});

test('takes a bucket that was there and is not for a failure, not for an empty one', async () => {
  server.answer = errorAnswer(404, 'NoSuchBucket');
  const backend = await open();
  expect(await listAll(backend, 'snapshot')).toEqual([]);
  server.answer = (_, response) => response.writeHead(200).end(listing([], ''));
  await listAll(backend, 'snapshot');
  server.answer = errorAnswer(404, 'NoSuchBucket');
  expect(await codeOf(listAll(backend, 'snapshot'))).toBe('BACKEND_READ_FAILED');
});

const notNow = (): Promise<void> => Promise.reject(new Error('not now'));

test('removes many files by one request', async () => {
  server.answer = (_, response) => {
    const deleted = `<Deleted><Key>some/prefix/snapshots/${names[0]}</Key></Deleted>`;
    response
      .writeHead(200)
      .end(`<DeleteResult>${deleted}<Error><Key>x</Key></Error></DeleteResult>`);
  };
  const backend = await open();
  expect(await backend.removeSeveral?.('snapshot', names)).toEqual([names[0]]);
  const body = server.seen[0]?.body ?? Buffer.alloc(0);
  expect(server.seen[0]?.headers['content-md5']).toBe(
    createHash('md5').update(body).digest('base64'),
  );
  server.answer = errorAnswer(501, 'NotImplemented');
  expect(await backend.removeSeveral?.('snapshot', names)).toEqual([]);
  expect(await backend.removeSeveral?.('snapshot', names, { admit: notNow })).toEqual([]);
});

test('makes the bucket if there is none, and writes where it may not look', async () => {
  server.answer = (request, response) => {
    if (request.method === 'HEAD') errorAnswer(404, 'NotFound')(request, response);
    else response.writeHead(200).end();
  };
  const backend = await open();
  await backend.create();
  expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'HEAD /bucket/',
    'PUT /bucket/',
  ]);
  server.answer = errorAnswer(403, 'AccessDenied');
  await backend.create();
  expect(server.seen).toHaveLength(4);
});

test.each([
  ['bucket-lookup', 'host'],
  ['region', 'a b'],
  ['restore-days', '0'],
  ['restore-timeout', 'soon'],
  ['list-objects-v1', 'perhaps'],
])('refuses the option s3.%s=%s', async (name, value) => {
  expect(await told(open({ extended: { [name]: value } }))).toContain(
    `USAGE (never): option "s3.${name}"`,
  );
});
