import { afterEach, expect, test } from 'vitest';

import { utf8 } from '../../base/bytes.ts';
import { systemEnvironment } from '../../base/environment.ts';
import {
  answer,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../../../test/tools/scripted-server.ts';
import type { Backend } from '../backend.ts';
import { codeOf, handleFor, listAll } from '../conformance.ts';
import { webdavStore } from './store.ts';

const pack = handleFor('pack', 'pack');
const content = [utf8('con'), utf8('tent')];

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function against(script: Script): Promise<{ backend: Backend; server: ScriptedServer }> {
  const server = await startScriptedServer(script);
  opened.push(server.stop);
  const location = { scheme: 'webdav', url: `http://127.0.0.1:${server.port}/r/` } as const;
  const backend = await webdavStore.open(location, {
    environment: systemEnvironment,
    connectionCount: 2,
    extended: new Map(),
    transport: {},
    variables: { HOLDFAST_WEBDAV_USERNAME: 'anna', HOLDFAST_WEBDAV_PASSWORD: 'word' },
  });
  opened.push(() => backend.close());
  return { backend, server };
}

const head = (sizeBytes: number | string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${sizeBytes}\r\n\r\n`;
const short = (server: ScriptedServer): string[] =>
  server.requests.map(
    ({ method, path }) =>
      `${method} ${path.replace(/[0-9a-f]{64}/, 'FILE').replace(/tmp-.*/, 'tmp')}`,
  );

/** A server that keeps sizes by path, and can do without MOVE. */
function storing(how: { moves: boolean; cuts?: number }): Script {
  const sizes = new Map<string, number>();
  return ({ method, path, body, headers }, socket) => {
    const size = sizes.get(path);
    if (method === 'HEAD') socket.write(size === undefined ? answer(404) : head(size));
    else if (method === 'PUT' && size !== undefined && headers['if-none-match'] === '*') {
      socket.write(answer(412));
    } else if (method === 'PUT') {
      sizes.set(path, body.length - (how.cuts ?? 0));
      socket.write(answer(201));
    } else if (method === 'DELETE') {
      socket.write(answer(sizes.delete(path) ? 204 : 404));
    } else if (!how.moves) socket.write(answer(405));
    else {
      const target = new URL(headers['destination'] ?? '').pathname;
      const isTaken = sizes.has(target) && headers['overwrite'] === 'F';
      if (!isTaken) sizes.set(target, size ?? 0);
      socket.write(answer(isTaken ? 412 : 201));
    }
  };
}

test('uploads beside, looks at the size, and moves without replacing', async () => {
  const { backend, server } = await against(storing({ moves: true }));
  await backend.put(pack, content);
  expect(short(server)).toEqual(
    ['PUT /r/data/47/FILE-tmp', 'HEAD /r/data/47/FILE-tmp', 'MOVE /r/data/47/FILE-tmp'].map(
      (line) => line.replace('47', pack.name.slice(0, 2)),
    ),
  );
  expect(server.requests[2]?.headers).toMatchObject({
    overwrite: 'F',
    destination: `http://127.0.0.1:${server.port}/r/data/${pack.name.slice(0, 2)}/${pack.name}`,
    authorization: `Basic ${Buffer.from('anna:word').toString('base64')}`,
  });
  expect(await codeOf(backend.put(pack, content))).toBe('FILE_EXISTS');
  await backend.put(pack, content, { replace: true });
});

test('stores in place where a server does not move, and replaces only when told', async () => {
  const { backend, server } = await against(storing({ moves: false }));
  await backend.put(pack, content);
  expect((await backend.stat(pack)).sizeBytes).toBe(7);
  expect(await codeOf(backend.put(pack, content))).toBe('FILE_EXISTS');
  await backend.put(pack, content, { replace: true });
  // Asked once.
  expect(short(server).filter((request) => request.startsWith('MOVE'))).toHaveLength(1);
});

test.each([true, false])(
  'leaves nothing of what was stored in part (server moves: %s)',
  async (moves) => {
    const { backend } = await against(storing({ moves, cuts: 2 }));
    expect(await codeOf(backend.put(pack, content))).toBe('BACKEND_WRITE_FAILED');
    expect(await codeOf(backend.stat(pack))).toBe('FILE_NOT_FOUND');
  },
);

test('asks for properties where HEAD does not say the size', async () => {
  const properties =
    '<multistatus xmlns="DAV:"><response><href>/r/config</href><propstat><prop><getcontentlength>5</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>';
  const { backend } = await against(({ method }, socket) => {
    if (method === 'HEAD') socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    else socket.write(answer(207, properties));
  });
  expect(await backend.stat({ type: 'config', name: '' })).toEqual({ name: '', sizeBytes: 5 });
});

const resource = (name: string, modified: string): string =>
  `<response><href>/r/keys/${name}</href><propstat><prop><getcontentlength>5</getcontentlength><getlastmodified>${modified}</getlastmodified></prop><status>HTTP/1.1 200 OK</status></propstat></response>`;

test('removes uploads that were cut a day ago, by the time of the server', async () => {
  const key = handleFor('key', 'key').name;
  const [old, young] = ['Sun, 01 Mar 2026 10:00:00 GMT', 'Tue, 03 Mar 2026 09:00:00 GMT'];
  const listing = [
    resource(`${key}-tmp-1`, old),
    resource(`${key}-tmp-2`, young),
    resource(key, old),
    resource('notes-tmp-3', old),
  ].join('');
  const { backend, server } = await against(({ method, path }, socket) => {
    const body = `<multistatus xmlns="DAV:">${path === '/r/keys/' ? listing : ''}</multistatus>`;
    if (method === 'DELETE') socket.write(answer(204));
    else socket.write(answer(207, body, { Date: 'Tue, 03 Mar 2026 10:00:00 GMT' }));
  });
  expect(await backend.removeLeftovers?.()).toBe(1);
  const removed = server.requests.filter(({ method }) => method === 'DELETE');
  expect(removed.map(({ path }) => path)).toEqual([`/r/keys/${key}-tmp-1`]);
});

test('says that a server does not speak WebDAV, and that a listing was cut', async () => {
  const web = await against((_, socket) => void socket.write(answer(405)));
  expect(await codeOf(listAll(web.backend, 'key'))).toBe('SERVER_ANSWER_INVALID');
  const cut = await against(
    (_, socket) => void socket.write(answer(207, '<multistatus xmlns="DAV:">')),
  );
  expect(await codeOf(listAll(cut.backend, 'key'))).toBe('BACKEND_READ_FAILED');
});

test('makes a folder once for many files that miss it, where a server locks what it makes', async () => {
  const store = storing({ moves: true });
  const made = new Set<string>();
  const locked = new Set<string>();
  const { backend, server } = await against((request, socket) => {
    const { method, path } = request;
    const folder = `${path.replace(/\/[^/]*$/, '')}/`;
    if (method === 'PUT' && !made.has(folder)) return socket.write(answer(409));
    if (method !== 'MKCOL') return store(request, socket);
    if (locked.has(path)) return socket.write(answer(423));
    locked.add(path);
    setImmediate(() => {
      locked.delete(path);
      socket.write(answer(made.has(path) ? 405 : 201));
      made.add(path);
    });
  });
  const files = ['first', 'second', 'third'].map((text) => handleFor('snapshot', text));
  await Promise.all(files.map((file) => backend.put(file, content)));
  for (const file of files) expect((await backend.stat(file)).sizeBytes).toBe(7);
  expect(server.requests.filter(({ method }) => method === 'MKCOL')).toHaveLength(1);
});
