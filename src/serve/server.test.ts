import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { systemClock } from '../base/clock.ts';
import { systemEnvironment } from '../base/environment.ts';
import { receivePace } from './limits.ts';
import {
  nameOf,
  patient,
  readToEnd,
  startTestServer,
  type TestServer,
} from './serve-test-support.ts';

const scratch = scratchFolder('serve');
const v2 = 'application/vnd.x.restic.rest.v2';
const v1 = 'application/vnd.x.restic.rest.v1';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer(path.join(scratch.path, 'root'));
  await server.ask('/a/?create=true', { method: 'POST' });
});
afterAll(() => server.stop());

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted();
}

function isTemporary(file: string): boolean {
  return file.includes('-tmp-');
}

async function put(place: string, body: string, from = server): Promise<number> {
  return (await from.ask(place, { method: 'POST', body })).status;
}

/** The head of a request that brings a content of its own. */
function headOf(content: string, more = ''): string {
  return `POST /a/index/${nameOf(content)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${content.length}\r\n${more}\r\n`;
}

/** What is waited for in the end is over sooner. */
function sleepLess(ms: number, signal?: AbortSignal): Promise<void> {
  return systemClock.sleep(ms / 10, signal);
}

/** Stores a content under its name; returns the path. */
async function store(content: string, type = 'index', from = server): Promise<string> {
  const place = `/a/${type}/${nameOf(content)}`;
  expect(await put(place, content, from)).toBe(200);
  return place;
}

describe('the protocol', () => {
  test('makes a repository, twice without harm, and with the folders of restic', async () => {
    for (let i = 0; i < 2; i++) {
      const { status } = await server.ask('/team/new/?create=true', { method: 'POST' });
      expect(status).toBe(200);
    }
    const made = readdirSync(path.join(server.root, 'team/new')).toSorted();
    expect(made).toEqual(['data', 'index', 'keys', 'locks', 'snapshots']);
    expect(readdirSync(path.join(server.root, 'team/new/data')).length).toBe(256);
    expect((await server.ask('/team/new/', { method: 'POST' })).status).toBe(400);
  });

  test('stores, lists in both forms, tells sizes, gives and removes each type of file', async () => {
    for (const type of ['data', 'index', 'keys', 'locks', 'snapshots', 'parity']) {
      const content = `content of ${type}`;
      const place = await store(content, type);
      const name = nameOf(content);
      const listed = await server.ask(`/a/${type}/`, { headers: { Accept: v2 } });
      expect(listed.headers['content-type']).toBe(v2);
      expect(JSON.parse(listed.body.toString())).toEqual([{ name, size: content.length }]);
      const names = await server.ask(`/a/${type}/`);
      expect(names.headers['content-type']).toBe(v1);
      expect(JSON.parse(names.body.toString())).toEqual([name]);
      const head = await server.ask(place, { method: 'HEAD' });
      expect([head.status, head.headers['content-length']]).toEqual([200, String(content.length)]);
      const got = await server.ask(place);
      expect([got.status, got.body.toString()]).toEqual([200, content]);
      expect((await server.ask(place, { method: 'DELETE' })).status).toBe(200);
      expect((await server.ask(place)).status).toBe(404);
      // Who lost the answer asks again.
      expect((await server.ask(place, { method: 'DELETE' })).status).toBe(200);
      expect((await server.ask(`/a/${type}/`)).body.toString()).toBe('[]');
    }
  });

  test('stores a config once, whatever is in it', async () => {
    await server.ask('/c/?create=true', { method: 'POST' });
    expect((await server.ask('/c/config', { method: 'HEAD' })).status).toBe(404);
    expect(await put('/c/config', 'anything')).toBe(200);
    expect(await put('/c/config', 'another')).toBe(403);
    expect((await server.ask('/c/config')).body.toString()).toBe('anything');
    expect((await server.ask('/c/config', { method: 'DELETE' })).status).toBe(200);
    expect((await server.ask('/c/config')).status).toBe(404);
  });

  test('gives ranges', async () => {
    const place = await store('0123456789');
    const ask = async (range: string): Promise<unknown[]> => {
      const { status, body, headers } = await server.ask(place, { headers: { Range: range } });
      return [status, status === 416 ? '' : body.toString(), headers['content-range']];
    };
    expect(await ask('bytes=0-')).toEqual([206, '0123456789', 'bytes 0-9/10']);
    expect(await ask('bytes=2-4')).toEqual([206, '234', 'bytes 2-4/10']);
    expect(await ask('bytes=8-99')).toEqual([206, '89', 'bytes 8-9/10']);
    expect(await ask('bytes=-3')).toEqual([206, '789', 'bytes 7-9/10']);
    expect(await ask('bytes=10-')).toEqual([416, '', 'bytes */10']);
    expect(await ask('bytes=1-2,5-6')).toEqual([200, '0123456789', undefined]);
    const empty = await store('');
    expect((await server.ask(empty, { headers: { Range: 'bytes=0-' } })).status).toBe(200);
  });

  test('gives a large file whole and in parts, as it is', async () => {
    const content = Buffer.alloc(3_000_001, 'all kinds of content ').toString();
    const place = await store(content, 'data');
    expect((await server.ask(place)).body.equals(Buffer.from(content))).toBe(true);
    const part = await server.ask(place, { headers: { Range: 'bytes=1000000-2500000' } });
    expect(part.body.equals(Buffer.from(content).subarray(1_000_000, 2_500_001))).toBe(true);
    expect(part.headers['content-length']).toBe('1500001');
  });

  test('says what can be done where something else is tried', async () => {
    const answer = await server.ask('/a/config', { method: 'PUT', body: 'x' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'HEAD, GET, POST, DELETE']);
    expect((await server.ask('/a/data/', { method: 'HEAD' })).status).toBe(405);
    expect((await server.ask('/a/', { method: 'DELETE' })).status).toBe(405);
  });

  test('knows no repository that was not made', async () => {
    const name = nameOf('x');
    expect((await server.ask('/none/config')).status).toBe(404);
    expect((await server.ask('/none/index/')).status).toBe(404);
    expect(await put(`/none/index/${name}`, 'x')).toBe(404);
    // The mount point of a disk that is not there.
    mkdirSync(path.join(server.root, 'mount'));
    expect(await put(`/mount/index/${name}`, 'x')).toBe(404);
    expect(readdirSync(path.join(server.root, 'mount'))).toEqual([]);
  });

  test('makes folders again that are gone from a repository', async () => {
    await store('a pack', 'data');
    await store('a parity', 'parity');
    await server.ask('/gone/?create=true', { method: 'POST' });
    const folder = path.join(server.root, 'gone');
    scratch.remove(path.join(folder, 'data'));
    expect(await put(`/gone/data/${nameOf('x')}`, 'x')).toBe(200);
    expect(JSON.parse((await server.ask('/gone/data/')).body.toString())).toEqual([nameOf('x')]);
  });

  test('asks a client that waits for its content only if it takes that', async () => {
    await store('there');
    const waits = 'Connection: close\r\nExpect: 100-continue\r\n';
    const refused = await readToEnd(server.raw(headOf('there', `${waits}If-None-Match: *\r\n`)));
    expect(refused).toMatch(/^HTTP\/1.1 412 /);
    const socket = server.raw(headOf('asked', waits));
    const answer = readToEnd(socket);
    socket.once('data', () => socket.write('asked'));
    expect(await answer).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
  });
});

describe('what is written', () => {
  test('is told by its hash, also to who sends it again', async () => {
    const name = nameOf('told');
    const digest = `sha-256=:${Buffer.from(name, 'hex').toString('base64')}:`;
    for (let i = 0; i < 2; i++) {
      const answer = await server.ask(`/a/index/${name}`, { method: 'POST', body: 'told' });
      expect([answer.status, answer.headers['repr-digest']]).toEqual([200, digest]);
    }
    const other = await server.ask(`/a/index/${name}`, { method: 'POST', body: 'else' });
    expect([other.status, other.headers['repr-digest']]).toEqual([403, undefined]);
  });

  test('is nothing but what its name says, and nothing is visible before', async () => {
    const before = filesBelow(server.root);
    expect(await put(`/a/data/${nameOf('one')}`, 'another')).toBe(400);
    expect(await put(`/a/keys/${nameOf('one')}`, '')).toBe(400);
    expect(filesBelow(server.root)).toEqual(before);
  });

  test('is nothing of a content that was cut short', async () => {
    const before = filesBelow(server.root);
    const head = `POST /a/data/${nameOf('abc')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab`;
    const socket = server.raw(head);
    await expect.poll(() => filesBelow(server.root).length, patient).toBe(before.length + 1);
    expect((await server.ask(`/a/data/${nameOf('abc')}`)).status).toBe(404);
    expect((await server.ask('/a/data/')).body.toString()).not.toContain(nameOf('abc'));
    socket.destroy();
    await expect.poll(() => filesBelow(server.root), patient).toEqual(before);
  });

  test('is a content to its length, and what follows is no content', async () => {
    const name = nameOf('abc');
    const head = `POST /a/index/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc`;
    const text = await readToEnd(server.raw(`${head}and more\r\n\r\n`));
    expect(text).toMatch(/^HTTP\/1.1 (200|400) /);
    const { status, body } = await server.ask(`/a/index/${name}`);
    expect([404, 200]).toContain(status);
    if (status === 200) expect(body.toString()).toBe('abc');
    await expect.poll(() => filesBelow(server.root).filter(isTemporary), patient).toEqual([]);
  });

  test('ends where no file of the type is so large', async () => {
    const before = filesBelow(server.root);
    const tooLarge = { 'Content-Length': String(2 ** 40) };
    const head = `POST /a/data/${nameOf('x')} HTTP/1.1\r\nHost: x\r\nContent-Length: ${tooLarge['Content-Length']}\r\n\r\n`;
    const declared = server.raw(head);
    expect(await new Promise((resolve) => declared.once('data', resolve))).toSatisfy(
      (part: Buffer) => part.toString().startsWith('HTTP/1.1 413 '),
    );
    declared.destroy();
    const endless = server.raw(
      'POST /a/config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = Buffer.concat([
      Buffer.from('10000\r\n'),
      Buffer.alloc(65_536),
      Buffer.from('\r\n'),
    ]);
    const pump = (): void => {
      while (!endless.destroyed && endless.write(chunk));
    };
    endless.on('drain', pump);
    pump();
    const answer = await readToEnd(endless);
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    await expect.poll(() => filesBelow(server.root), patient).toEqual(before);
  });

  test('is there once, whoever sends it at the same time', async () => {
    const content = Buffer.alloc(300_000, 7).toString();
    const place = `/a/data/${nameOf(content)}`;
    const all = await Promise.all(Array.from({ length: 24 }, () => put(place, content)));
    // Those who come second sent the same, which is stored.
    expect(new Set(all)).toEqual(new Set([200]));
    expect((await server.ask(place)).body.toString()).toBe(content);
    const folder = path.join(server.root, 'a/data', nameOf(content).slice(0, 2));
    expect(readdirSync(folder).filter((name) => name.includes('-tmp-'))).toEqual([]);
  });

  test('is told as stored to who sends it again, and is never written anew', async () => {
    const content = 'sent twice';
    const place = await store(content);
    const file = path.join(server.root, place);
    const { ino, mtimeMs } = statSync(file);
    expect(await put(place, content)).toBe(200);
    expect(await put(place, 'sent thrice')).toBe(403);
    expect(await put(place, 'sent-twice')).toBe(403);
    expect(statSync(file)).toMatchObject({ ino, mtimeMs });
    // What rotted must not count as stored; nor is it replaced.
    chmodSync(file, 0o600);
    writeFileSync(file, 'sent twicE');
    expect(await put(place, content)).toBe(403);
    expect(readFileSync(file).toString()).toBe('sent twicE');
    unlinkSync(file);
    const parity = `/a/parity/${nameOf('pack')}`;
    expect([await put(parity, 'parity'), await put(parity, 'parity')]).toEqual([200, 403]);
  });

  test('is a repository file, whatever the path says', async () => {
    const before = filesBelow(scratch.path);
    const name = nameOf('x');
    const paths = [
      `/../index/${name}`,
      `/a/../../index/${name}`,
      `/a/%2e%2e/%2e%2e/index/${name}`,
      `/..%2findex/${name}`,
      `/a/index/..%2f..%2f${name}`,
      `/a/index/%2e%2e`,
      `/a/index/${name}%00`,
      `/a/index/${name}/`,
      `/a/index/${name}-tmp-1`,
      `/a/index/${name.toUpperCase()}`,
      `/a/index/${name.slice(1)}`,
      `/a/data/${name.slice(0, 2)}/${name}`,
      `/a/tmp/${name}`,
      '/a/config/',
      '/a/config%00',
      '/a/.htpasswd',
      '/.htpasswd',
      '/.hidden/config',
      `/a\\..\\b/index/${name}`,
      `//index/${name}`,
      `/a//index/${name}`,
      `/a/b/c/index/${name}`,
      '/a/%c0%ae%c0%ae/config',
      '/a/%ff/config',
      `/${'long'.repeat(70)}/config`,
      '/a',
      '*',
    ];
    for (const place of paths) {
      const body = 'x';
      expect([place, (await server.ask(place, { method: 'POST', body })).status]).toEqual([
        place,
        404,
      ]);
      expect([place, (await server.ask(place)).status]).toEqual([place, 404]);
      expect([place, (await server.ask(place, { method: 'DELETE' })).status]).toEqual([place, 404]);
    }
    expect(filesBelow(scratch.path)).toEqual(before);
  });

  test('goes through no link', async () => {
    const outside = path.join(scratch.path, 'outside');
    mkdirSync(path.join(outside, 'index'), { recursive: true });
    const secret = nameOf('secret');
    writeFileSync(path.join(outside, 'index', secret), 'secret');
    writeFileSync(path.join(outside, 'config'), 'secret');
    symlinkSync(outside, path.join(server.root, 'linked'));
    await server.ask('/links/?create=true', { method: 'POST' });
    const links = path.join(server.root, 'links');
    scratch.remove(path.join(links, 'index'));
    symlinkSync(path.join(outside, 'index'), path.join(links, 'index'));
    symlinkSync(path.join(outside, 'config'), path.join(links, 'config'));
    for (const place of ['/linked/config', `/linked/index/${secret}`, `/links/index/${secret}`]) {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        expect([place, method, (await server.ask(place, { method })).status]).toEqual([
          place,
          method,
          403,
        ]);
      }
    }
    expect((await server.ask('/links/config')).status).toBe(403);
    expect((await server.ask('/links/index/')).status).toBe(403);
    expect((await server.ask('/linked/index/')).status).toBe(403);
    expect(await put(`/linked/index/${nameOf('x')}`, 'x')).toBe(403);
    expect(await put(`/links/index/${nameOf('x')}`, 'x')).toBe(403);
    expect(await put('/links/config', 'x')).toBe(403);
    expect(filesBelow(outside).length).toBe(2);
    expect(server.told.join('\n')).toContain('links');
  });

  test('of interrupted writes goes with a listing, a day later', async () => {
    const folder = path.join(server.root, 'a/snapshots');
    const old = path.join(folder, `${nameOf('old')}-tmp-1`);
    const fresh = path.join(folder, `${nameOf('fresh')}-tmp-2`);
    for (const file of [old, fresh]) writeFileSync(file, 'half');
    utimesSync(old, 1_000_000, 1_000_000);
    expect((await server.ask('/a/snapshots/')).body.toString()).toBe('[]');
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });
});

describe('append-only', () => {
  let appendOnly: TestServer;
  beforeAll(async () => {
    appendOnly = await startTestServer(server.root, { isAppendOnly: true });
    await appendOnly.ask('/only/?create=true', { method: 'POST' });
  });
  afterAll(() => appendOnly.stop());

  test('removes locks and nothing else, and replaces nothing', async () => {
    expect(await put('/only/config', 'config', appendOnly)).toBe(200);
    expect(await put('/only/config', 'other', appendOnly)).toBe(403);
    for (const type of ['data', 'index', 'keys', 'snapshots', 'parity', 'locks']) {
      const place = `/only/${type}/${nameOf(type)}`;
      expect(await put(place, type, appendOnly)).toBe(200);
      expect(await put(place, `${type}, otherwise`, appendOnly)).toBe(403);
      const { status, body } = await appendOnly.ask(place, { method: 'DELETE' });
      expect([type, status]).toEqual([type, type === 'locks' ? 200 : 403]);
      if (status === 403) expect(body.toString()).toMatch(/^[^\n]*append-only[^\n]*\n$/);
    }
    expect((await appendOnly.ask('/only/config', { method: 'DELETE' })).status).toBe(403);
    expect((await appendOnly.ask('/only/', { method: 'DELETE' })).status).toBe(405);
    const override = { 'X-HTTP-Method-Override': 'DELETE' };
    await appendOnly.ask('/only/config', { method: 'POST', headers: override, body: 'x' });
    expect((await appendOnly.ask('/only/config')).body.toString()).toBe('config');
  });
});

describe('limits', () => {
  test('hold the bytes of all repositories, what is there before included', async () => {
    const root = path.join(scratch.path, 'quota');
    mkdirSync(root);
    writeFileSync(path.join(root, 'other'), 'x'.repeat(500));
    const small = await startTestServer(root, { sizeBytesMax: 1000 });
    await small.ask('/a/?create=true', { method: 'POST' });
    const place = await store('y'.repeat(400), 'data', small);
    expect(await put(`/a/data/${nameOf('z'.repeat(200))}`, 'z'.repeat(200), small)).toBe(507);
    // Refused content gives its room back, and so does removed content.
    expect(await put(`/a/data/${nameOf('w')}`, 'v'.repeat(90), small)).toBe(400);
    expect((await small.ask(place, { method: 'DELETE' })).status).toBe(200);
    await store('z'.repeat(450), 'data', small);
    const endless =
      'POST /a/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    const answer = readToEnd(small.raw(`${endless}100\r\n${'c'.repeat(256)}\r\n0\r\n\r\n`));
    expect(await answer).toMatch(/^HTTP\/1.1 507 /);
    await small.stop();
  });

  test('cut off who sends next to nothing, and take nothing of it', async () => {
    let aheadMs = 0;
    const checks: (() => void)[] = [];
    const clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
      every: (_: number, action: () => void) => {
        checks.push(action);
        return { stop: () => {} };
      },
    };
    const root = path.join(scratch.path, 'slow');
    const slow = await startTestServer(root, { environment: { ...systemEnvironment, clock } });
    await slow.ask('/a/?create=true', { method: 'POST' });
    const cut = readToEnd(slow.raw(`${headOf('slow')}s`));
    await expect.poll(() => filesBelow(root).length, patient).toBe(1);
    let isCut = false;
    void cut.then(() => (isCut = true));
    const passWindow = (): boolean => {
      aheadMs += receivePace.windowMs;
      for (const check of checks) check();
      return isCut;
    };
    // More than one may pass while the server itself is at work.
    await expect.poll(passWindow, patient).toBe(true);
    expect(await cut).toBe('');
    await expect.poll(() => filesBelow(root), patient).toEqual([]);
    await slow.stop();
  });

  test('cut off who takes long to say what is wanted', async () => {
    const hasty = await startTestServer(server.root, { headersMs: 50 });
    const answer = await readToEnd(hasty.raw('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '));
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    await hasty.stop();
  });

  test('let a connection have one request at a time, and not many more waiting', async () => {
    const place = await store('asked again and again');
    const one = `GET ${place} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const last = one.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const few = await readToEnd(server.raw(one.repeat(5) + last));
    expect(few.match(/asked again/g)?.length).toBe(6);
    const many = await readToEnd(server.raw(one.repeat(500)));
    expect(many.match(/asked again/g)?.length ?? 0).toBeLessThan(20);
  });

  test('hold headers and connections', async () => {
    const long = `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await readToEnd(server.raw(long))).toMatch(/^HTTP\/1.1 431 /);
    const narrow = await startTestServer(server.root, { connectionCountMax: 2 });
    const first = narrow.raw('');
    const second = narrow.raw('');
    await Promise.all([first, second].map((s) => new Promise((done) => s.once('connect', done))));
    expect(await readToEnd(narrow.raw('GET /a/config HTTP/1.1\r\n'))).toBe('');
    first.destroy();
    second.destroy();
    await expect
      .poll(
        () =>
          narrow.ask('/a/index/').then(
            (a) => a.status,
            () => 0,
          ),
        patient,
      )
      .toBe(200);
    await narrow.stop();
  });

  test.each([
    'GET /a/config HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /a/config HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc',
    'GET /a/config HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /a/config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'GET /a/config HTTP/1.1\r\n\r\n',
    'nonsense\r\n\r\n',
  ])('refuse what could be read in two ways: %j', async (text) => {
    expect(await readToEnd(server.raw(text))).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('a stop', () => {
  test('lets a request end, cuts off one that does not, and leaves nothing of that', async () => {
    const root = path.join(scratch.path, 'stopped');
    const environment = { ...systemEnvironment, clock: { ...systemClock, sleep: sleepLess } };
    const stopping = await startTestServer(root, { environment });
    await stopping.ask('/a/?create=true', { method: 'POST' });
    const ending = stopping.raw(`${headOf('ending')}endin`);
    const stuck = stopping.raw(`${headOf('stuck')}stuc`);
    // It says nothing at all, and is not waited for.
    const silent = readToEnd(stopping.raw(''));
    await expect.poll(() => filesBelow(root).length, patient).toBe(2);
    const answers = [readToEnd(ending), readToEnd(stuck)];
    const stopped = stopping.stop();
    ending.write('g');
    await stopped;
    expect(await answers[0]).toMatch(/^HTTP\/1.1 200 /);
    expect(await answers[1]).toBe('');
    expect(await silent).toBe('');
    expect(filesBelow(root)).toEqual([path.join(root, 'a/index', nameOf('ending'))]);
    expect(readFileSync(path.join(root, 'a/index', nameOf('ending'))).toString()).toBe('ending');
  });
});
