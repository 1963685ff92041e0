import { writeFileSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { systemClock } from '../base/clock.ts';
import { systemEnvironment } from '../base/environment.ts';
import { wrongCountMax } from './limits.ts';
import {
  basic,
  cheapUsers,
  nameOf,
  patient,
  startTestServer,
  type TestServer,
} from './serve-test-support.ts';

const scratch = scratchFolder('serve-access');
const userFile = path.join(scratch.path, 'users');
const root = path.join(scratch.path, 'root');
/** {SHA} of `old`, as `htpasswd -s` makes it, and a line that nobody can use. */
/** Also a user whose password, which is `right`, takes some work to verify. */
const carriedOver =
  'carl:{SHA}wA27ydrfvh4jLpOnKd1HUvreCr8=\n# a comment\ndora:$apr1$x$y\nemma:$2b$09$.SlQ5lSKaG3zlu29gb5bHuV3kpA9WNTBQPLXc4DjOTSKrGRiBCGhK\n';

let server: TestServer;

beforeAll(async () => {
  writeFileSync(userFile, `${cheapUsers}\n${carriedOver}`);
  server = await startTestServer(root, {
    users: { kind: 'file', path: userFile },
    isPrivate: true,
    metricsAccess: 'users',
  });
});
afterAll(() => server.stop());

function ask(place: string, user?: string, method = 'GET'): Promise<number> {
  return server
    .ask(place, { method, ...(user === undefined ? {} : { user }) })
    .then((a) => a.status);
}

test('users reach the repositories below a folder of their name, and no other', async () => {
  expect(await ask('/anna/?create=true', 'anna:right', 'POST')).toBe(200);
  expect(await ask('/anna/second/?create=true', 'anna:right', 'POST')).toBe(200);
  expect(await ask('/anna/index/', 'anna:right')).toBe(200);
  for (const place of ['/bob/', '/anna2/', '/Anna/', '/%61nna2/', '/second/', '/']) {
    expect([place, await ask(`${place}?create=true`, 'anna:right', 'POST')]).toEqual([place, 403]);
  }
  expect(await ask('/anna/index/', 'bob:other')).toBe(403);
  expect(await ask('/index/', 'anna:right')).toBe(403);
  expect(await ask('/anna/../bob/config', 'anna:right')).toBe(404);
  // Its name, written otherwise.
  expect(await ask('/%61nna/index/', 'anna:right')).toBe(200);
});

test('nobody else is let in, and all get the same answer', async () => {
  const right = `Basic ${Buffer.from('anna:right').toString('base64')}`;
  const wrong = [
    basic('anna:wrong'),
    basic('nobody:right'),
    basic('anna:'),
    basic('anna:right\0'),
    basic('anna:right\0more'),
    basic('dora:x'),
    basic('carl:{SHA}wA27ydrfvh4jLpOnKd1HUvreCr8='),
    'Bearer right',
    'Basic !',
    `${right} ${right}`,
    '',
  ];
  for (const Authorization of wrong) {
    const { status, headers, body } = await server.ask('/anna/index/', {
      headers: { Authorization },
    });
    expect([Authorization, status]).toEqual([Authorization, 401]);
    expect(headers['www-authenticate']).toBe('Basic realm="holdfast"');
    expect(body.toString()).not.toContain('anna');
  }
  expect((await server.ask('/anna/index/')).status).toBe(401);
  expect(await ask('/carl/?create=true', 'carl:old', 'POST')).toBe(200);
});

test('a file of rest-server is read, and what it should not have is told without any hash', () => {
  const told = server.told.join('\n');
  expect(told).toContain('line 5: the hash of dora is not of a kind that is known');
  expect(told).toContain('1 users have a hash of SHA-1');
  expect(told).not.toContain('apr1');
});

test('a changed file counts from the next second on', async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const own = path.join(scratch.path, 'own-users');
  writeFileSync(own, cheapUsers);
  const changing = await startTestServer(path.join(scratch.path, 'changing'), {
    users: { kind: 'file', path: own },
    environment: { ...systemEnvironment, clock },
  });
  const status = async (user: string): Promise<number> => {
    aheadMs += 1_100;
    return (await changing.ask('/x/config', { user })).status;
  };
  expect(await status('anna:right')).toBe(404);
  const [anna = '', bob = ''] = cheapUsers.split('\n');
  // Who was let in before is not let in by memory: another password, and then no user.
  const annaAnew = `anna:${bob.split(':')[1]}`;
  writeFileSync(`${own}-new`, annaAnew);
  renameSync(`${own}-new`, own);
  expect([await status('anna:right'), await status('anna:other')]).toEqual([401, 404]);
  writeFileSync(`${own}-new`, '# nobody\n');
  renameSync(`${own}-new`, own);
  expect(await status('anna:other')).toBe(401);
  renameSync(own, `${own}-away`);
  expect(await status('anna:other')).toBe(503);
  writeFileSync(own, anna);
  expect(await status('anna:right')).toBe(404);
  expect(changing.told.join('\n')).toContain('nobody is let in');
  await changing.stop();
});

test('wrong passwords in number are refused unread, and hold up nobody who is known', async () => {
  expect(await ask('/anna/index/', 'anna:right')).toBe(200);
  const order: string[] = [];
  const floods = Array.from({ length: 150 }, async (_, i) => {
    const status = await ask('/anna/index/', `emma:guess ${i}`);
    order.push('guess');
    return status;
  });
  const known = Array.from({ length: 5 }, async () => {
    const status = await ask('/anna/index/', 'anna:right');
    order.push('known');
    return status;
  });
  expect(await Promise.all(known)).toEqual([200, 200, 200, 200, 200]);
  const statuses = await Promise.all(floods);
  expect(order.lastIndexOf('known')).toBeLessThan(order.length - 1);
  const verified = statuses.filter((status) => status === 401).length;
  expect(statuses.filter((status) => status === 429).length).toBe(statuses.length - verified);
  // One more for each three seconds that it takes.
  expect(verified).toBeLessThan(wrongCountMax + 100);
  expect(statuses).toContain(429);
  // Others of the same address are not to blame.
  expect(await ask('/bob/?create=true', 'bob:other', 'POST')).toBe(200);
});

describe('metrics', () => {
  test('count what rest-server counts, for the user of that name', async () => {
    const name = nameOf('counted');
    const { status } = await server.ask(`/anna/data/${name}`, {
      method: 'POST',
      body: 'counted',
      user: 'anna:right',
    });
    expect(status).toBe(200);
    await ask(`/anna/data/${name}`, 'anna:right');
    await ask(`/anna/data/${name}`, 'anna:right', 'DELETE');
    expect(await ask('/metrics')).toBe(401);
    expect(await ask('/metrics', 'anna:right')).toBe(403);
    const open = await startTestServer(root, {
      users: { kind: 'file', path: userFile },
      metricsAccess: 'all',
      sizeBytesMax: 1e6,
    });
    await open.ask('/anna/second/config', { method: 'POST', body: 'x', user: 'bob:other' });
    const { body, headers } = await open.ask('/metrics');
    await open.stop();
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = body.toString().split('\n');
    for (const line of [
      '# TYPE rest_server_blob_write_total counter',
      'rest_server_blob_write_total{repo="anna/second",type="config",user="bob"} 1',
      'rest_server_blob_write_bytes_total{repo="anna/second",type="config",user="bob"} 1',
      'holdfast_serve_requests_total{method="POST",code="200"} 1',
      'holdfast_serve_max_size_bytes 1000000',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.every((line) => /^(#|[a-z_]+(\{[^}]*\})? [\d.e+]+$|$)/.test(line))).toBe(true);
  });

  test('are a path of no repository where nobody asked for them', async () => {
    const without = await startTestServer(root);
    expect((await without.ask('/metrics')).status).toBe(404);
    await without.stop();
  });
});

describe('the access log', () => {
  test('has who, what and how it ended, and no secret', async () => {
    server.logged.length = 0;
    await server.ask('/anna/index/?password=secret-in-query', {
      user: 'anna:right',
      headers: { 'User-Agent': 'evil"agent\\ \u009b31m' },
    });
    await server.ask('/anna/config', { user: 'typed-secret:secret-password' });
    await ask('/anna/second/?create=true', 'anna:right', 'POST');
    await expect.poll(() => server.logged.length, patient).toBe(3);
    const time = String.raw`\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]`;
    const [first = '', second = '', third = ''] = server.logged;
    expect(first).toMatch(
      new RegExp(
        String.raw`^127\.0\.0\.1 - anna ${time} "GET /anna/index/\?\.\.\. HTTP/1\.1" 200 \d+ "-" "`,
      ),
    );
    expect(first).toContain(String.raw`evil\"agent\\ \\x9b31m`);
    expect(second).toMatch(/^127\.0\.0\.1 - - .* 401 /);
    expect(third).toContain('"POST /anna/second/?create=true HTTP/1.1" 200');
    expect(server.logged.join('\n')).not.toContain('secret');
  });

  test('is a file that may be moved away, and holds up nothing if it cannot be written', async () => {
    const file = path.join(scratch.path, 'access.log');
    const logging = await startTestServer(root, { log: file });
    await logging.ask('/one/config');
    await expect.poll(() => readIfThere(file), patient).toContain('/one/config');
    renameSync(file, `${file}.1`);
    await logging.ask('/two/config');
    await logging.stop();
    expect(readIfThere(file)).toContain('/two/config');
    const failing = await startTestServer(root, { log: path.join(scratch.path, 'none/log') });
    expect((await failing.ask('/one/config')).status).toBe(404);
    await failing.stop();
    expect(failing.told.join('\n')).toContain('the log cannot be written');
  });
});

test('a proxy may name the user, where nobody else can', async () => {
  const users = { kind: 'proxy', header: 'X-User' } as const;
  const proxied = await startTestServer(root, { users, isPrivate: true });
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await proxied.ask('/anna/index/', { headers })).status;
  expect(await status({ 'X-User': 'anna' })).toBe(200);
  expect(await status({ 'X-User': 'bob' })).toBe(403);
  expect(await status({ Authorization: basic('anna:right') })).toBe(401);
  await proxied.stop();
  const address = { kind: 'port', host: undefined, port: 0 } as const;
  await expect(startTestServer(root, { users, address })).rejects.toMatchObject({ code: 'USAGE' });
});

test('what does not go together does not start', async () => {
  const missing = { kind: 'file', path: path.join(scratch.path, 'none') } as const;
  const refused: Parameters<typeof startTestServer>[1][] = [
    { isPrivate: true },
    { users: missing },
    { path: path.join(scratch.path, 'no-folder') },
    { path: userFile },
    { address: { kind: 'port', host: '127.0.0.1', port: server.port } },
    { address: { kind: 'socket', path: path.join(scratch.path, 'none/socket') } },
    { tls: { files: { certificate: userFile, key: userFile }, versionMin: 'TLSv1.2' } },
  ];
  for (const settings of refused) {
    await expect(startTestServer(root, settings), JSON.stringify(settings)).rejects.toMatchObject({
      code: 'USAGE',
    });
  }
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
