import path from 'node:path';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { systemClock } from '../base/clock.ts';
import { systemEnvironment } from '../base/environment.ts';
import { describeError, HoldfastError } from '../base/errors.ts';
import {
  answer,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../../test/tools/scripted-server.ts';
import type { Backend } from './backend.ts';
import { handleFor, listAll } from './conformance.ts';
import { type BackendOptions, openBackend } from './open.ts';
import { restStore } from './rest/store.ts';
import type { StoreOptions } from './store.ts';
import { temporaryFolder, testEnvironment } from './test-support.ts';

const key = handleFor('key', 'key');
const pack = handleFor('pack', 'pack');
const config = { type: 'config', name: '' } as const;
const listType = { 'Content-Type': 'application/vnd.x.restic.rest.v2' };

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function serve(script: Script, options = {}): Promise<ScriptedServer> {
  const server = await startScriptedServer(script, options);
  opened.push(server.stop);
  return server;
}

/** The store without retries, so that each error is seen. */
async function client(location: string, options: Partial<StoreOptions> = {}): Promise<Backend> {
  const backend = await restStore.open(
    { scheme: 'rest', url: location },
    {
      environment: systemEnvironment,
      connectionCount: 2,
      extended: new Map(),
      transport: {},
      variables: {},
      ...options,
    },
  );
  opened.push(() => backend.close());
  return backend;
}

/** A client of a server that follows `script`; its URL has a password that no error may show. */
async function against(script: Script, options: Partial<StoreOptions> = {}): Promise<Backend> {
  const { port } = await serve(script);
  return await client(`http://anna:secret@127.0.0.1:${port}/r/`, options);
}

async function errorOf(work: Promise<unknown>): Promise<HoldfastError> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof HoldfastError)) throw new Error(`not a HoldfastError: ${String(error)}`);
  expect(`${describeError(error)} ${JSON.stringify(error)} ${error.hint}`).not.toMatch(
    /secret|YW5uYTpzZWNyZXQ|\n/,
  );
  return error;
}

const say =
  (text: string): Script =>
  (_, socket) =>
    socket.write(text);

const listing = (body: string): Script => say(answer(200, body, listType));
const to = (location: string): Script => say(answer(302, '', { Location: location }));

describe('an answer', () => {
  test.each([
    [400, 'BACKEND_READ_FAILED'],
    [401, 'PERMISSION_DENIED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'FILE_NOT_FOUND'],
    [408, 'BACKEND_UNAVAILABLE'],
    [423, 'BACKEND_UNAVAILABLE'],
    [416, 'RANGE_NOT_SATISFIABLE'],
    [418, 'SERVER_ANSWER_INVALID'],
    [429, 'BACKEND_UNAVAILABLE'],
    [500, 'BACKEND_READ_FAILED'],
    [503, 'BACKEND_UNAVAILABLE'],
    [507, 'STORAGE_FULL'],
  ])('of status %d to a read is %s', async (status, code) => {
    const backend = await against(say(answer(status, 'no')));
    expect((await errorOf(backend.get(pack, { start: 0, end: 4 }))).code).toBe(code);
  });

  test.each([
    [400, 'BACKEND_WRITE_FAILED'],
    [401, 'PERMISSION_DENIED'],
    [413, 'UNSUPPORTED'],
    [500, 'BACKEND_WRITE_FAILED'],
    [507, 'STORAGE_FULL'],
  ])('of status %d to a put is %s', async (status, code) => {
    const backend = await against(say(answer(status, 'no')));
    expect((await errorOf(backend.put(pack, [utf8('content')]))).code).toBe(code);
  });

  test('asks for a pause in seconds or until a date, which retries keep', async () => {
    const date = 'Tue, 03 Mar 2026 10:00:00 GMT';
    const until = 'Tue, 03 Mar 2026 10:01:30 GMT';
    const pauses = [{ 'Retry-After': 77 }, { 'Retry-After': until, Date: date }];
    const { port } = await serve((_, socket) => {
      const pause = pauses.shift();
      socket.write(pause ? answer(429, '', pause) : answer(200, 'content'));
    });
    const environment = testEnvironment();
    const options: BackendOptions = { environment };
    const backend = await openBackend(`rest:http://127.0.0.1:${port}/`, options);
    opened.push(() => backend.close());
    expect(await backend.get(key)).toEqual(utf8('content'));
    expect(environment.clock.sleptMs).toEqual([77_000, 90_000]);
  });

  test('that is a page of the web is no file, and no list', async () => {
    const page = answer(200, '<html>Log in</html>', { 'Content-Type': 'text/html; charset=utf-8' });
    const backend = await against(say(page));
    for (const work of [backend.get(key), backend.get(pack, { start: 0, end: 2 })]) {
      expect((await errorOf(work)).message).toMatch(/page of the web/);
    }
    expect((await errorOf(listAll(backend, 'key'))).message).toMatch(/page of the web/);
  });

  test('that is no HTTP is told', async () => {
    const backend = await against(say('SSH-2.0-OpenSSH\r\n'));
    expect(await errorOf(backend.get(key))).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'what the storage answers is no HTTP',
    });
  });

  test('that a proxy compresses is refused', async () => {
    const backend = await against(say(answer(200, 'x', { 'Content-Encoding': 'gzip' })));
    expect((await errorOf(backend.get(key))).code).toBe('SERVER_ANSWER_INVALID');
  });
});

describe('a body', () => {
  const cut: readonly [string, string][] = [
    ['that is cut', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this'],
    [
      'of chunks that is cut',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly \r\n',
    ],
    ['whose head is cut', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ];
  test.each(cut)('%s is an error that is tried again', async (_, text) => {
    const backend = await against((__, socket) => void socket.end(text));
    expect((await errorOf(backend.get(key))).row.retry).toBe('later');
    expect((await errorOf(backend.get(pack, { start: 0, end: 50 }))).row.retry).toBe('later');
    expect((await errorOf(listAll(backend, 'index'))).row.retry).toBe('later');
  });

  test('without length ends with the connection', async () => {
    const backend = await against(
      (_, socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'),
    );
    expect(await backend.get(key)).toEqual(utf8('all of it'));
  });

  test('without end is refused, and so is one that is announced larger than any such file', async () => {
    const endless = await against((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      pour(socket, 'x'.repeat(65_536));
    });
    expect((await errorOf(endless.get(key))).code).toBe('UNPACKED_DAMAGED');
    const announced = await against(say('HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n'));
    expect((await errorOf(announced.get(key))).code).toBe('UNPACKED_DAMAGED');
  });

  test('of a whole file serves for a part of it, where a server knows no ranges', async () => {
    const backend = await against(say(answer(200, '0123456789')));
    expect(await backend.get(pack, { start: 3, end: 6 })).toEqual(utf8('345'));
    const beyond = backend.get(pack, { start: 3, end: 11 });
    expect((await errorOf(beyond)).code).toBe('RANGE_NOT_SATISFIABLE');
  });

  test('shorter than the part asked for is looked into: the file ends, or the answer was cut', async () => {
    let size = 10;
    const backend = await against(({ method }, socket) => {
      if (method === 'HEAD') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      else socket.write(answer(206, '3456'));
    });
    const read = (): Promise<unknown> => backend.get(pack, { start: 3, end: 11 });
    expect((await errorOf(read())).code).toBe('RANGE_NOT_SATISFIABLE');
    size = 20;
    expect((await errorOf(read())).code).toBe('BACKEND_READ_FAILED');
  });

  test('of another part is refused, and never more is taken than was asked for', async () => {
    const other = await against(say(answer(206, '0123', { 'Content-Range': 'bytes 0-3/10' })));
    expect((await errorOf(other.get(pack, { start: 3, end: 7 }))).code).toBe(
      'SERVER_ANSWER_INVALID',
    );
    const more = await against(say(answer(206, '3456789', { 'Content-Range': 'bytes 3-9/10' })));
    expect(await more.get(pack, { start: 3, end: 5 })).toEqual(utf8('34'));
  });
});

describe('a list', () => {
  test('of the first version has no sizes: each is asked for', async () => {
    const { port, requests } = await serve(({ method }, socket) => {
      if (method === 'HEAD') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n');
      else socket.write(answer(200, `["${key.name}"]`, { 'Content-Type': 'application/json' }));
    });
    const backend = await client(`http://127.0.0.1:${port}/`);
    expect(await listAll(backend, 'key')).toEqual([{ name: key.name, sizeBytes: 7 }]);
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test('may be null, have foreign names, and have names twice', async () => {
    expect(await listAll(await against(listing('null')), 'key')).toEqual([]);
    const entry = `{"name":"${key.name}","size":3}`;
    const backend = await against(listing(`[{"name":"notes","size":1}, ${entry},\n${entry}]\n`));
    expect(await listAll(backend, 'key')).toEqual([{ name: key.name, sizeBytes: 3 }]);
  });

  test('that rclone could not make is no empty list', async () => {
    const backend = await against(say(answer(404, '', { Server: 'rclone/v1.75.2' })));
    expect((await errorOf(listAll(backend, 'index'))).code).toBe('BACKEND_READ_FAILED');
    expect(await listAll(await against(say(answer(404))), 'index')).toEqual([]);
  });

  test.each([
    '',
    '[',
    '[{"name":"x","size":1}',
    '[1]',
    '[{}]',
    '{}',
    '[]x',
    '[,]',
    '[{"name":"x","size":-1}]',
  ])('that reads %j is an error', async (body) => {
    const backend = await against(listing(body));
    expect((await errorOf(listAll(backend, 'pack'))).code).toBe('BACKEND_READ_FAILED');
  });

  test('with a name that does not end is refused', async () => {
    const backend = await against((_, socket) => {
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Type: ${listType['Content-Type']}\r\n\r\n[{"name":"`,
      );
      pour(socket, 'a'.repeat(65_536));
    });
    expect((await errorOf(listAll(backend, 'pack'))).code).toBe('SERVER_ANSWER_INVALID');
  });
});

describe('a redirect', () => {
  test.each([
    ['http://elsewhere.example/r/x', 'the storage redirects to another server'],
    ['//127.0.0.1:1/x', 'the storage redirects to another server'],
    ['/again', 'the storage redirects to the same place'],
  ])('to %s is not followed for ever', async (location, message) => {
    const backend = await against(to(location));
    expect(await errorOf(backend.get(key))).toMatchObject({
      code: 'SERVER_ANSWER_INVALID',
      message,
    });
  });

  test('on the same server is followed', async () => {
    const backend = await against(({ path: asked }, socket) => {
      socket.write(
        asked === '/moved' ? answer(200, 'content') : answer(307, '', { Location: '/moved' }),
      );
    });
    expect(await backend.get(key)).toEqual(utf8('content'));
  });
});

describe('a put', () => {
  test('that the server refuses is FILE_EXISTS if the file is there, and else forbidden', async () => {
    let isThere = true;
    const backend = await against(({ method }, socket) => {
      if (method !== 'HEAD') socket.write(answer(403));
      else socket.write(isThere ? 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n' : answer(404));
    });
    expect((await errorOf(backend.put(pack, [utf8('content')]))).code).toBe('FILE_EXISTS');
    isThere = false;
    expect((await errorOf(backend.put(pack, [utf8('content')]))).code).toBe('PERMISSION_DENIED');
  });

  test('makes way for itself where a put of its own was cut', async () => {
    const said: string[] = [];
    let stored: number | undefined;
    const { port } = await serve(({ method, body }, socket) => {
      said.push(method);
      if (method === 'HEAD') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${stored}\r\n\r\n`);
      else if (method === 'DELETE') {
        stored = undefined;
        socket.write(answer(200));
      } else if (said.length === 1) {
        stored = 3;
        socket.destroy();
      } else if (stored !== undefined) socket.write(answer(403));
      else {
        stored = body.length;
        socket.write(answer(200));
      }
    });
    const backend = await openBackend(`rest:http://127.0.0.1:${port}/`, {
      environment: testEnvironment(),
    });
    opened.push(() => backend.close());
    await backend.put(pack, [utf8('con'), utf8('tent')]);
    expect(stored).toBe(7);
    expect(said).toEqual(['POST', 'POST', 'HEAD', 'DELETE', 'POST']);
  });

  test('asks whether its body is welcome once one was cut, and so hears why', async () => {
    let count = 0;
    const script: Script = (_, socket) => {
      if (++count === 1) socket.destroy();
      else socket.write(answer(507));
    };
    const { port, requests } = await serve(script, { withoutBody: true });
    const backend = await client(`http://127.0.0.1:${port}/`);
    const body = [new Uint8Array(100_000)];
    expect((await errorOf(backend.put(pack, body))).code).toBe('BACKEND_UNAVAILABLE');
    expect((await errorOf(backend.put(pack, body))).code).toBe('STORAGE_FULL');
    expect(requests.at(-1)?.headers['expect']).toBe('100-continue');
  });

  test('has its exact length, and login and program in its head', async () => {
    const { port, requests } = await serve(say(answer(200)));
    const variables = {
      RESTIC_REST_USERNAME: 'a',
      HOLDFAST_REST_USERNAME: 'b',
      RESTIC_REST_PASSWORD: 'c',
    };
    const transport = { userAgent: 'agent/1' };
    const backend = await client(`http://127.0.0.1:${port}/x/`, { variables, transport });
    await backend.put(pack, [utf8('con'), utf8(''), utf8('tent')]);
    expect(requests[0]).toMatchObject({
      path: `/x/data/${pack.name}`,
      body: 'content',
      headers: {
        'content-length': '7',
        authorization: `Basic ${Buffer.from('b:c').toString('base64')}`,
        'user-agent': 'agent/1',
      },
    });
  });
});

describe('files that a server does not know', () => {
  test.each([400, 404, 405, 501])('are not there (status %d)', async (status) => {
    const backend = await against(say(answer(status)));
    const parity = handleFor('parity', 'x');
    expect((await errorOf(backend.get(parity))).code).toBe('FILE_NOT_FOUND');
    expect((await errorOf(backend.remove(parity))).code).toBe('FILE_NOT_FOUND');
    expect(await listAll(backend, 'parity')).toEqual([]);
    expect((await errorOf(backend.put(parity, [utf8('x')]))).code).toBe('UNSUPPORTED');
  });
});

describe('a connection', () => {
  test('that nobody takes, or to a host that is not there', async () => {
    const server = await startScriptedServer(say(''));
    await server.stop();
    const refused = await client(`http://anna:secret@127.0.0.1:${server.port}/`);
    expect(await errorOf(refused.get(key))).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'the storage refuses connections',
    });
    const absent = await client('http://anna:secret@host.invalid/');
    expect((await errorOf(absent.get(key))).code).toBe('BACKEND_UNAVAILABLE');
  });

  test('through a Unix socket', async () => {
    const folder = temporaryFolder();
    opened.push(async () => folder.remove());
    const socket = path.join(folder.path, 'rest.sock');
    const { requests } = await serve(say(answer(200, 'content')), { path: socket });
    const backend = await client(`http+unix://${socket}:/below/`);
    expect(await backend.get(config)).toEqual(utf8('content'));
    expect(requests[0]?.path).toBe('/below/config');
    expect((await errorOf(client('http+unix://relative/'))).code).toBe('LOCATION_INVALID');
  });

  test('on which nothing moves is given up, and one that moves is not', async () => {
    let nowMs = 0;
    let look: (() => void) | undefined;
    const clock = {
      ...systemClock,
      monotonicMs: () => nowMs,
      every: (_: number, action: () => void) => {
        look = action;
        return { stop: () => {} };
      },
    };
    const asked = Promise.withResolvers<Socket>();
    const backend = await against((_, socket) => asked.resolve(socket), {
      environment: { ...systemEnvironment, clock },
      transport: { stuckRequestMs: 60_000 },
    });
    const failed = errorOf(backend.get(key));
    await asked.promise;
    nowMs = 59_000;
    look?.();
    nowMs = 60_000;
    look?.();
    expect(await failed).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'a request to the storage did not move for 60 s',
    });
  });

  test('ends if it comes byte by byte', async () => {
    let look: (() => void) | undefined;
    let nowMs = 0;
    const every = (_: number, work: () => void): { stop(): void } => {
      look = work;
      return { stop: () => {} };
    };
    const clock = { ...systemEnvironment.clock, monotonicMs: () => nowMs, every };
    const connection = Promise.withResolvers<Socket>();
    const backend = await against((_, socket) => connection.resolve(socket), {
      environment: { ...systemEnvironment, clock },
      transport: { stuckRequestMs: 60_000 },
    });
    const failed = errorOf(backend.get(pack));
    const socket = await connection.promise;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
    for (let i = 0; i <= 12; i++) {
      const written = Promise.withResolvers<void>();
      socket.write('x', () => written.resolve());
      await written.promise;
      // Until the client has read it.
      for (let turn = 0; turn < 10; turn++) await systemClock.nextTurn();
      nowMs += 5000;
      look?.();
    }
    expect(await failed).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'a request to the storage did not move for 60 s',
    });
  });

  test('ends when the caller does, also amid a body', async () => {
    const abort = new AbortController();
    const backend = await against((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin', () => abort.abort());
    });
    const work = backend.get(key, undefined, { signal: abort.signal });
    expect((await errorOf(work)).code).toBe('CANCELLED');
  });
});

describe('a proxy', () => {
  test('is asked for plain HTTP by the whole address, with its own login', async () => {
    const { port, requests } = await serve(say(answer(200, 'content')));
    const variables = { http_proxy: `http://p:hidden@127.0.0.1:${port}` };
    const backend = await client('http://storage.example:8000/r/', { variables });
    expect(await backend.get(config)).toEqual(utf8('content'));
    expect(requests[0]).toMatchObject({
      path: 'http://storage.example:8000/r/config',
      headers: {
        host: 'storage.example:8000',
        'proxy-authorization': `Basic ${Buffer.from('p:hidden').toString('base64')}`,
      },
    });
  });

  test('that does not let us through is named without its password', async () => {
    const { port } = await serve(say(answer(407)));
    const variables = { HTTPS_PROXY: `http://p:secret@127.0.0.1:${port}` };
    const backend = await client('https://storage.example/r/', { variables });
    expect(await errorOf(backend.get(config))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

/** Writes for as long as somebody reads. */
function pour(socket: Socket, text: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(text)) {}
  };
  socket.on('drain', more);
  more();
}
