import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

import { expect, test } from 'vitest';

import { startHttpScript } from '../../../test/tools/http-script.ts';
import { utf8 } from '../../base/bytes.ts';
import { describeError, type HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { FileHandle } from '../backend.ts';
import { handleFor, listAll } from '../conformance.ts';
import { testEnvironment } from '../test-support.ts';
import type { AzureBackend } from './azure-backend.ts';
import { openAzure } from './open-azure.ts';

const script = startHttpScript();
const environment = testEnvironment();
const accountKey = Buffer.from('a secret of 64 bytes').toString('base64');
const pack = handleFor('pack', 'any');

function open(
  settings: { credentials?: Record<string, string>; extended?: [string, string][] } = {},
): Promise<AzureBackend> {
  const { credentials = { AZURE_ACCOUNT_KEY: accountKey }, extended = [] } = settings;
  return openAzure(
    { scheme: 'azure', container: 'box', prefix: 'here' },
    {
      environment,
      connectionCount: 2,
      extended: new Map(extended),
      transport: {},
      variables: {
        AZURE_ACCOUNT_NAME: 'someone',
        AZURE_ENDPOINT_SUFFIX: script.address,
        ...credentials,
      },
    },
  );
}

const now = new Date(environment.clock.nowMs).toUTCString();

/** An error as the service writes it: its code in a header, too, which is all that comes with an answer to HEAD. */
function refuse(
  response: ServerResponse,
  [status, code]: readonly [status: number, code: string],
  more: Record<string, string> = {},
): void {
  const type = { 'content-type': 'application/xml', 'x-ms-error-code': code, date: now };
  response.writeHead(status, { ...type, ...more });
  response.end(
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${accountKey}</Message></Error>`,
  );
}

async function errorOf(work: Promise<unknown>): Promise<HoldfastError> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!isHoldfastError(error)) throw error;
  expect(`${describeError(error)} ${error.hint} ${String(error.stack)}`).not.toContain(accountKey);
  return error;
}

test.each([
  [403, 'AuthenticationFailed', 'CREDENTIALS_REFUSED', 'the storage refuses the credentials'],
  [401, 'NoAuthenticationInformation', 'CREDENTIALS_REFUSED', 'refuses the credentials'],
  [403, 'AuthorizationPermissionMismatch', 'PERMISSION_DENIED', 'the storage forbids it'],
  [409, 'AccountIsDisabled', 'PERMISSION_DENIED', 'the storage account is disabled'],
  [404, 'ContainerNotFound', 'REPOSITORY_NOT_FOUND', 'there is no container "box"'],
  [404, 'BlobNotFound', 'FILE_NOT_FOUND', 'a file is missing'],
  [409, 'BlobArchived', 'FILE_ARCHIVED', 'a file is in the archive tier'],
  [409, 'BlobBeingRehydrated', 'FILE_ARCHIVED', 'being brought back from the archive tier'],
  [416, 'InvalidRange', 'RANGE_NOT_SATISFIABLE', 'shorter than it should be'],
  [503, 'ServerBusy', 'BACKEND_UNAVAILABLE', 'the storage does not answer'],
  [500, 'InternalError', 'BACKEND_UNAVAILABLE', 'the storage does not answer'],
  [500, 'OperationTimedOut', 'BACKEND_UNAVAILABLE', 'the storage does not answer'],
  [418, 'Teapot', 'SERVER_ANSWER_INVALID', 'a status that it should not'],
  [500, '', 'BACKEND_READ_FAILED', 'the storage failed to read'],
])('says of %i %s: %s', async (status, answer, code, text) => {
  script.answer = (_, response) => refuse(response, [status, answer]);
  const error = await errorOf((await open()).get(pack));
  expect([error.code, describeError(error)]).toEqual([code, expect.stringContaining(text)]);
  expect(script.requests).toHaveLength(1);
});

test.each([-20, 240])('tells a clock that is %i min off from a wrong key', async (minutes) => {
  const date = new Date(environment.clock.nowMs - minutes * 60_000).toUTCString();
  script.answer = (_, response) => refuse(response, [403, 'AuthenticationFailed'], { date });
  const error = await errorOf((await open()).stat(pack));
  expect(error.code).toBe('CLOCK_SKEWED');
  expect(error.message).toContain(`${Math.abs(minutes)} min ${minutes < 0 ? 'behind' : 'ahead'}`);
});

test.each([429, 503])('waits as long as the service asks with %i', async (status) => {
  script.answer = (_, response) => refuse(response, [status, ''], { 'retry-after': '7' });
  const error = await errorOf((await open()).put(pack, [utf8('x')]));
  expect([error.code, error.retryAfterMs]).toEqual(['BACKEND_UNAVAILABLE', 7000]);
});

test('says that a file exists, whatever the service calls it', async () => {
  const backend = await open();
  for (const [status, code] of [
    [409, 'BlobAlreadyExists'],
    [412, 'ConditionNotMet'],
  ] as const) {
    script.answer = (_, response) => refuse(response, [status, code]);
    expect((await errorOf(backend.put(pack, [utf8('x')]))).code).toBe('FILE_EXISTS');
  }
});

test('refuses a web page in place of a file and of a listing', async () => {
  script.answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html', etag: '"1"', 'content-length': 6 });
    response.end('<html>');
  };
  const backend = await open();
  const message = expect.stringContaining('a page of the web');
  expect(await errorOf(backend.get(pack))).toMatchObject({ code: 'BACKEND_READ_FAILED', message });
  expect(await errorOf(listAll(backend, 'pack'))).toMatchObject({ message });
});

test.each(['not xml at all', '<Unknown/>', '<EnumerationResults>', '<EnumerationResults/>'])(
  'refuses %j in place of a listing',
  async (body) => {
    script.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(body);
    };
    const error = await errorOf(listAll(await open(), 'index'));
    expect(error.code).toMatch(/SERVER_ANSWER_INVALID|BACKEND_READ_FAILED/);
  },
);

test('does not follow a redirect to another host, nor tell where it led', async () => {
  script.answer = (_, response) => {
    response.writeHead(302, { location: `http://localhost:1/?sig=${accountKey}` });
    response.end();
  };
  const error = await errorOf((await open()).get(pack));
  expect([error.code, script.requests.length]).toEqual(['SERVER_ANSWER_INVALID', 1]);
});

test('ends an answer that does not end', async () => {
  script.answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/xml' });
    const endless = new Readable({ read: () => void endless.push(Buffer.alloc(4 << 20, ' ')) });
    endless.pipe(response);
    response.on('close', () => endless.destroy());
  };
  expect((await errorOf(listAll(await open(), 'index'))).code).toBe('SERVER_ANSWER_INVALID');
});

test('notices a body that is cut, and does not patch it up', async () => {
  script.answer = (_, response) => {
    response.writeHead(200, { 'content-length': 12, etag: '"1"' });
    response.write('1234');
    response.socket?.end();
  };
  expect((await errorOf((await open()).get(pack))).code).toBe('BACKEND_READ_FAILED');
  expect(script.requests).toHaveLength(1);
});

test('refuses a snapshot of an absurd size before it comes', async () => {
  script.answer = (_, response) => {
    response.writeHead(200, { 'content-length': 2 ** 40, etag: '"1"' });
    response.flushHeaders();
  };
  const snapshot: FileHandle = handleFor('snapshot', 'large');
  expect((await errorOf((await open()).get(snapshot))).code).toBe('UNPACKED_DAMAGED');
});

function page(names: readonly string[], next: string): string {
  const blobs = names.map(
    (name) =>
      `<Blob><Name>${name}</Name><Properties><Content-Length>5</Content-Length></Properties></Blob>`,
  );
  return `<?xml version="1.0"?><EnumerationResults ContainerName="box"><Blobs>${blobs.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
}

test('lists all pages, each name once, and no names of others', async () => {
  const names = ['a', 'b', 'c'].map((seed) => handleFor('index', seed).name).sort();
  const [first = '', second = '', third = ''] = names;
  const at = 'here/index/';
  const pages: Record<string, string> = {
    '': page([at + first, `${at}README`, `elsewhere/index/${third}`], 'one'),
    one: page([], 'two'),
    two: page([at + first, at + second], ''),
  };
  script.answer = ({ url }, response) => {
    const marker = new URL(url, 'http://x').searchParams.get('marker') ?? '';
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(pages[marker]);
  };
  const expected = [first, second].map((name) => ({ name, sizeBytes: 5 }));
  expect(await listAll(await open(), 'index')).toEqual(expected);
});

test('refuses a listing that goes in circles', async () => {
  script.answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(page([], 'again'));
  };
  expect((await errorOf(listAll(await open(), 'index'))).code).toBe('SERVER_ANSWER_INVALID');
  expect(script.requests.length).toBeLessThan(4);
});

test('lists nothing where there is no container, but does not take one that vanished for empty', async () => {
  script.answer = (_, response) => refuse(response, [404, 'ContainerNotFound']);
  const backend = await open();
  expect(await listAll(backend, 'snapshot')).toEqual([]);
  expect((await errorOf(backend.stat(pack))).code).toBe('FILE_NOT_FOUND');
  expect((await errorOf(backend.put(pack, []))).code).toBe('REPOSITORY_NOT_FOUND');
  script.answer = (_, response) => {
    response.writeHead(202);
    response.end();
  };
  await backend.remove(pack);
  script.answer = (_, response) => refuse(response, [404, 'ContainerNotFound']);
  expect((await errorOf(listAll(backend, 'snapshot'))).code).toBe('REPOSITORY_NOT_FOUND');
});

test('asks that nothing is overwritten, sends the hash, and puts packs of data alone into the tier', async () => {
  script.answer = (_, response) => {
    response.writeHead(201, { 'content-length': 0 });
    response.end();
  };
  const backend = await open({ extended: [['access-tier', 'cool']] });
  await backend.put(pack, [utf8('some '), utf8('data')]);
  await backend.put({ ...pack, holdsTrees: true }, [utf8('trees')], { replace: true });
  await backend.put(handleFor('index', 'x'), [utf8('index')]);
  const md5 = createHash('md5').update('some data').digest('base64');
  const [data, trees, index] = script.requests;
  expect(data?.headers).toMatchObject({
    'if-none-match': '*',
    'content-md5': md5,
    'content-length': '9',
    'x-ms-access-tier': 'Cool',
    'x-ms-blob-type': 'BlockBlob',
  });
  expect(data?.body.toString()).toBe('some data');
  expect(trees?.headers).not.toHaveProperty('x-ms-access-tier');
  expect(trees?.headers).not.toHaveProperty('if-none-match');
  expect(index?.headers).not.toHaveProperty('x-ms-access-tier');
  expect(data?.headers['user-agent']).toBe('holdfast');
});

test('takes a container that it may not look at for one that is there', async () => {
  script.answer = (_, response) => refuse(response, [403, 'AuthorizationPermissionMismatch']);
  await (await open()).create();
  expect(script.requests.map(({ method }) => method)).toEqual(['GET']);
});

test('sends a signature as it is, and names it in no error', async () => {
  script.answer = (_, response) => refuse(response, [403, 'AuthenticationFailed']);
  const signature = `sv=2024-08-04&sp=rwdl&sig=${encodeURIComponent(accountKey)}`;
  const backend = await open({ credentials: { AZURE_ACCOUNT_SAS: `?${signature}` } });
  const error = await errorOf(backend.get(pack));
  expect(script.requests[0]?.url).toContain(`?${signature}`);
  expect(script.requests[0]?.headers).not.toHaveProperty('authorization');
  expect(describeError(error)).not.toContain('sig=');
});
