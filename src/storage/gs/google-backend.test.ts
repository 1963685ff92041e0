import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import { startHttpScript } from '../../../test/tools/http-script.ts';
import { startModelGoogle } from '../../../test/tools/model-google.ts';
import { utf8 } from '../../base/bytes.ts';
import { describeError, type HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { codeOf, describeBackend, handleFor, listAll } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { testEnvironment } from '../test-support.ts';
import type { GoogleBackend } from './google-backend.ts';
import { openGoogle } from './open-google.ts';
import { readSettings } from './settings.ts';

const model = startModelGoogle();

describeBackend('gs, on a model', async () => {
  const bucket = randomUUID();
  const variables = { STORAGE_EMULATOR_HOST: model.address, GOOGLE_PROJECT_ID: 'project' };
  const open = (): ReturnType<typeof openBackend> =>
    openBackend(`gs:${bucket}:/some/folder`, { environment: testEnvironment(), variables });
  const backend = await open();
  await backend.create();
  return {
    backend,
    other: await open(),
    fileCount: 60,
    tellsChecksum: true,
    plant: async (path, content) => model.plant(bucket, `some/folder/${path}`, content),
    dispose: async () => {},
  };
});

function say(
  response: ServerResponse,
  [status, body]: readonly [status: number, body: unknown],
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

describe('errors of Google', () => {
  const script = startHttpScript();
  const token = 'ya29.secret-token';
  const pack = handleFor('pack', 'any');

  const open = (variables: Record<string, string> = {}): Promise<GoogleBackend> =>
    openGoogle(
      { scheme: 'gs', bucket: 'box', prefix: 'here' },
      {
        environment: testEnvironment(),
        connectionCount: 2,
        extended: new Map([['region', 'europe-west6']]),
        transport: {},
        variables: {
          STORAGE_EMULATOR_HOST: script.address,
          GOOGLE_ACCESS_TOKEN: token,
          ...variables,
        },
      },
    );

  const refuse = (
    response: ServerResponse,
    [status, reason]: readonly [status: number, reason: string],
    more: Record<string, string> = {},
  ): void => {
    const message = reason === 'noBucket' ? 'The specified bucket does not exist.' : token;
    const errors = [{ reason: reason === 'noBucket' ? 'notFound' : reason, message }];
    say(response, [status, { error: { code: status, message, errors } }], more);
  };

  const errorOf = async (work: Promise<unknown>): Promise<HoldfastError> => {
    const error = await work.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (!isHoldfastError(error)) throw error;
    expect(`${describeError(error)} ${error.hint} ${String(error.stack)}`).not.toContain(token);
    return error;
  };

  test.each([
    [401, 'authError', 'CREDENTIALS_REFUSED', 'the storage refuses the credentials'],
    [403, 'forbidden', 'PERMISSION_DENIED', 'the storage forbids it'],
    [403, 'accountDisabled', 'PERMISSION_DENIED', 'the account of the bucket is disabled'],
    [403, 'rateLimitExceeded', 'BACKEND_UNAVAILABLE', 'asks for fewer requests'],
    [403, 'retentionPolicyNotMet', 'PERMISSION_DENIED', 'locked against changes'],
    [404, 'noBucket', 'REPOSITORY_NOT_FOUND', 'there is no bucket "box"'],
    [404, 'notFound', 'FILE_NOT_FOUND', 'a file is missing'],
    [416, 'requestedRangeNotSatisfiable', 'RANGE_NOT_SATISFIABLE', 'shorter than it should be'],
    [503, 'backendError', 'BACKEND_UNAVAILABLE', 'does not answer'],
    [500, 'internalError', 'BACKEND_UNAVAILABLE', 'does not answer'],
    [418, 'teapot', 'SERVER_ANSWER_INVALID', 'a status that it should not'],
  ])('says of %i %s: %s', async (status, reason, code, text) => {
    script.answer = (_, response) => refuse(response, [status, reason]);
    const error = await errorOf((await open()).get(pack));
    expect([error.code, describeError(error)]).toEqual([code, expect.stringContaining(text)]);
    expect(script.requests[0]?.headers.authorization).toBe(`Bearer ${token}`);
  });

  test('waits as long as the service asks', async () => {
    script.answer = (_, response) => refuse(response, [429, ''], { 'retry-after': '7' });
    const error = await errorOf((await open()).put(pack, [utf8('x')]));
    expect([error.code, error.retryAfterMs]).toEqual(['BACKEND_UNAVAILABLE', 7000]);
  });

  test.each(['<html>', '[]', '{}', '{"kind":"storage#objects","items":[{}]}', 'null'])(
    'refuses %j in place of a listing',
    async (body) => {
      script.answer = (_, response) => say(response, [200, body]);
      const error = await errorOf(listAll(await open(), 'index'));
      expect(error.code).toBe('SERVER_ANSWER_INVALID');
    },
  );

  test('refuses a listing that goes in circles', async () => {
    const page = { kind: 'storage#objects', nextPageToken: 'again' };
    script.answer = (_, response) => say(response, [200, page]);
    expect((await errorOf(listAll(await open(), 'index'))).code).toBe('SERVER_ANSWER_INVALID');
    expect(script.requests.length).toBeLessThan(4);
  });

  test('refuses a web page in place of a file, and does not follow a redirect', async () => {
    const backend = await open();
    script.answer = (_, response) =>
      say(response, [200, '<html>'], { 'content-type': 'text/html' });
    expect((await errorOf(backend.get(pack))).message).toContain('a page of the web');
    script.answer = (_, response) => say(response, [302, ''], { location: 'http://localhost:1/' });
    expect((await errorOf(backend.get(pack))).code).toBe('SERVER_ANSWER_INVALID');
  });

  test('notices that something else was stored than was sent', async () => {
    script.answer = (_, response) => say(response, [200, { size: '1', md5Hash: 'other' }]);
    expect((await errorOf((await open()).put(pack, [utf8('x')]))).code).toBe(
      'BACKEND_WRITE_FAILED',
    );
    expect(script.requests[0]?.url).toContain('ifGenerationMatch=0');
  });

  test('takes a missing bucket for empty only before it was seen', async () => {
    script.answer = (_, response) => refuse(response, [404, 'noBucket']);
    const backend = await open();
    expect(await listAll(backend, 'snapshot')).toEqual([]);
    expect((await errorOf(backend.stat(pack))).code).toBe('FILE_NOT_FOUND');
    expect((await errorOf(backend.put(pack, []))).code).toBe('REPOSITORY_NOT_FOUND');
    script.answer = (_, response) => say(response, [204, '']);
    await backend.remove(pack);
    script.answer = (_, response) => refuse(response, [404, 'noBucket']);
    expect((await errorOf(listAll(backend, 'snapshot'))).code).toBe('REPOSITORY_NOT_FOUND');
  });

  test('makes a bucket in its region, for a project only, and none that it may not see', async () => {
    script.answer = ({ method }, response) =>
      method === 'GET' ? refuse(response, [404, 'noBucket']) : say(response, [200, {}]);
    expect((await errorOf((await open()).create())).code).toBe('USAGE');
    await (await open({ GOOGLE_PROJECT_ID: 'mine' })).create();
    const made = script.requests.at(-1);
    expect([made?.method, made?.url]).toEqual(['POST', '/storage/v1/b?project=mine']);
    expect(JSON.parse(String(made?.body))).toEqual({ name: 'box', location: 'europe-west6' });
    script.answer = (_, response) => refuse(response, [403, 'forbidden']);
    await (await open()).create();
    expect(script.requests.at(-1)?.method).toBe('GET');
  });

  test.each([
    [{ STORAGE_EMULATOR_HOST: 'http://evil.example' }, 'USAGE'],
    [{ GOOGLE_ACCESS_TOKEN: 'line\r\nend' }, 'USAGE'],
    [{ STORAGE_EMULATOR_HOST: '', GOOGLE_ACCESS_TOKEN: 'x' }, undefined],
  ])('takes %j with %s', async (variables, code) => {
    if (code === undefined) await (await open(variables)).close();
    else expect(await codeOf(open(variables))).toBe(code);
  });

  test('says of a file with credentials that it is not there, or no use', async () => {
    const none = { GOOGLE_ACCESS_TOKEN: '', STORAGE_EMULATOR_HOST: '' };
    for (const file of ['/nowhere/key.json', import.meta.filename]) {
      const backend = await open({ ...none, GOOGLE_APPLICATION_CREDENTIALS: file });
      expect((await errorOf(backend.get(pack))).code).toBe('CREDENTIALS_REFUSED');
      await backend.close();
    }
  });

  test('refuses a region that is none', async () => {
    const read = Promise.resolve().then(() => readSettings({}, new Map([['region', 'a b']])));
    expect(await codeOf(read)).toBe('USAGE');
  });
});
