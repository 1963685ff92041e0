import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { request as httpRequest } from 'node:http';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { type Role, roles, type Scope, scopesOfRole } from '../../contracts/accounts.ts';
import type { RepositoryView } from '../../contracts/views.ts';
import { adminPassword, cheapRepository, ServerBed } from './http-test-support.ts';
import { allRoutes } from './routes/all-routes.ts';
import type { Route } from './route.ts';

/** Who may ask for what, what is refused and how, over real connections. */

const scratch = scratchFolder('http');
let bed: ServerBed;
const tokens = new Map<Role, string>();
const repositoryPassword = 'canary-repository-password';

beforeAll(async () => {
  bed = await ServerBed.start(scratch.fresh('server'));
  for (const role of roles) {
    const person = { name: `a-${role}`, password: `a password of ${role.toUpperCase()}` };
    await bed.must('POST /api/v1/users', { ...person, role });
    tokens.set(role, await bed.tokenFor(person, scopesOfRole[role]));
  }
});
afterAll(() => bed.server.stop());

/** What asks a route for something that is not there. */
function placeOf({ method, path }: Route): string {
  if (path.startsWith('/api/v1/tokens/')) return `${method} /api/v1/tokens/0000000000000000`;
  return `${method} ${path.replace('{id}', '0'.repeat(32)).replace('{name}', 'nobody')}`;
}

function send(raw: string, headers = {}): Promise<string[]> {
  return bed.problems('POST /api/v1/tokens', undefined, { raw, headers });
}

async function auditCount(): Promise<number> {
  const { items } = await bed.must<{ items: { number: number }[] }>('GET /api/v1/audit?limit=1');
  return items[0]?.number ?? 0;
}

describe('every route', () => {
  const named = allRoutes.map((route) => [`${route.method} ${route.path}`, route] as const);

  test('is there once', () => {
    expect(new Set(named.map(([name]) => name)).size).toBe(named.length);
  });

  test('those that are public are these', () => {
    expect(named.filter(([, { access }]) => access === 'public').map(([name]) => name)).toEqual([
      'POST /api/v1/set-up',
      'GET /set-up',
      'POST /set-up',
      'POST /api/v1/session',
      'GET /healthz',
    ]);
  });

  test.each(named)('%s is for those who may', async (_, route) => {
    const ask = (token: string | null): Promise<number> =>
      bed.ask(placeOf(route), undefined, { token }).then(({ status }) => status);
    const { access } = route;
    expect(await ask('hft_wrong')).toBe(401);
    if (access === 'public') return expect(await ask(null)).not.toBe(403);
    expect(await ask(null)).toBe(401);
    for (const role of roles) {
      // Signing out is tried elsewhere: a token cannot.
      const scopes: readonly Scope[] = scopesOfRole[role];
      const may = access === 'signed-in' || scopes.includes(access);
      const status = await ask(tokens.get(role) ?? '');
      expect([role, status === 403 || status === 401]).toEqual([role, !may]);
      expect(status).toBeLessThan(500);
    }
  });

  test.each(named.filter(([, { method }]) => method !== 'GET'))(
    '%s takes no field that it does not know',
    async (_, route) => {
      if (route.takesForm) return;
      const [how, ...fields] = await bed.problems(placeOf(route), { canary: 1 });
      expect(how).toBe('400 REQUEST_INVALID');
      expect(fields.join()).toMatch(route.body ? /canary/ : /body/);
    },
  );

  test.each(named.filter(([, { query, kind }]) => query && kind === 'json'))(
    '%s has bounds for its lists',
    async (_, route) => {
      const place = placeOf(route);
      for (const wrong of ['limit=0', 'limit=100000', 'limit=x', 'canary=1', 'limit=1&limit=2']) {
        const [how, field] = await bed.problems(`${place}?${wrong}`);
        expect([wrong, how]).toEqual([wrong, '400 REQUEST_INVALID']);
        expect(field).toMatch(/^query/);
      }
    },
  );
});

describe('what is wrong is named, and nothing is changed', () => {
  const policy = { repository: 'main', backup: { every: '1h' } };
  const files = { kind: 'files', paths: ['/a'], policy: 'p' };
  const cases: [string, string, unknown, RegExp][] = [
    [
      'a name',

      'POST /api/v1/policies',
      { name: '../x', entry: policy },
      /^name: must be a name/,
    ],
    ['a long name', 'POST /api/v1/policies', { name: 'x'.repeat(64), entry: policy }, /^name:/],
    [
      'a rhythm',

      'POST /api/v1/policies',
      { name: 'p', entry: { ...policy, backup: { every: '0h' } } },
      /^entry\.backup/,
    ],
    [
      'a cron expression',

      'POST /api/v1/policies',
      { name: 'p', entry: { ...policy, backup: { cron: '61 * * * *' } } },
      /^entry\.backup\.cron: /m,
    ],
    [
      'a repository that is not there',

      'POST /api/v1/policies',
      { name: 'p', entry: policy },
      /^entry\.repository: /,
    ],
    [
      'a policy that is not there',

      'POST /api/v1/sources',
      { name: 's', entry: files },
      /^entry\.policy: /,
    ],
    [
      'a relative path',

      'POST /api/v1/sources',
      { name: 's', entry: { ...files, paths: ['a'] } },
      /^entry\.paths\.0: must be an absolute path/,
    ],
    [
      'a program',

      'POST /api/v1/sources',
      {
        name: 's',
        entry: { kind: 'stdin-command', command: ['id'], 'stdin-filename': '/x', policy: 'p' },
      },
      /^entry\.kind: must be files/,
    ],
    [
      'a hook',

      'POST /api/v1/sources',
      { name: 's', entry: { ...files, hooks: { before: ['x'] } } },
      /^entry\.hooks: /,
    ],
    [
      'a list in a file',

      'POST /api/v1/sources',
      { name: 's', entry: { ...files, 'exclude-file': ['/etc/shadow'] } },
      /^entry\.exclude-file: /,
    ],
    [
      'a password in a location',

      'POST /api/v1/repositories',
      { name: 'r', entry: { location: 'rest:https://u:p@h/' }, password: 'x' },
      /^entry\.location: must not hold a password/,
    ],
    [
      'a store that is a program',

      'POST /api/v1/repositories',
      { name: 'r', entry: { location: 'rclone:x:y' }, password: 'x' },
      /^entry\.location: must be an absolute path/,
    ],
    [
      'a variable that is none',

      'POST /api/v1/repositories',
      { name: 'r', entry: { location: '/x' }, password: 'x', environment: { LD_PRELOAD: '/x' } },
      /^environment/,
    ],
    [
      'a password that is no text',

      'POST /api/v1/repositories',
      { name: 'r', entry: { location: '/x' }, password: { $gt: '' } },
      /^password: /,
    ],
    [
      'a short password',

      'POST /api/v1/users',
      { name: 'x', password: 'short', role: 'admin' },
      /^password: /,
    ],
    [
      'an easy password',

      'POST /api/v1/users',
      { name: 'x', password: 'aaaaaaaaaaaaaaaa', role: 'admin' },
      /^password: has too few/,
    ],
    [
      'a role',

      'POST /api/v1/users',
      { name: 'x', password: adminPassword, role: 'god' },
      /^role: /,
    ],
    ['no change', 'PATCH /api/v1/users/anna', {}, /must change something/],
    ['a scope', 'POST /api/v1/tokens', { label: 'x', scopes: ['all'] }, /^scopes\.0: /],
    ['no scope', 'POST /api/v1/tokens', { label: 'x', scopes: [] }, /^scopes: /],
    [
      'an endless token',

      'POST /api/v1/tokens',
      { label: 'x', scopes: ['read'], 'expires-in-days': 1e9 },
      /^expires-in-days: /,
    ],
    [
      'a control character',

      'POST /api/v1/tokens',
      { label: 'a\u001bb', scopes: ['read'] },
      /^label: /,
    ],
    [
      'a relative target',

      'POST /api/v1/repositories/x/restores',
      { snapshot: 'aabbccdd', target: 'x' },
      /^target: /,
    ],
    [
      'a snapshot',

      'POST /api/v1/repositories/x/restores',
      { snapshot: '../../x', target: '/x' },
      /^snapshot: /,
    ],
    ['a run', 'GET /api/v1/runs/xyz', undefined, /^path\.id: must be the id of a run/],
    ['a cursor', 'GET /api/v1/audit?cursor=eHl6', undefined, /^query\.cursor: /],
    ['no object', 'POST /api/v1/tokens', [], /^body: /],
  ];

  test.each(cases)('%s', async (_, call, body, problem) => {
    const count = await auditCount();
    const [how, ...fields] = await bed.problems(call, body);
    expect([how, fields.join('\n')]).toEqual([
      '400 REQUEST_INVALID',
      expect.stringMatching(problem),
    ]);
    expect(await auditCount()).toBe(count);
  });

  test('bodies that are no JSON, too large, or would change a prototype', async () => {
    expect(await send('{"label":')).toEqual(['400 REQUEST_INVALID']);
    expect(await send('{"__proto__":{"x":1},"label":"x"}')).toEqual(['400 REQUEST_INVALID']);
    expect(await send(`"${'x'.repeat(2 << 20)}"`)).toEqual(['413 REQUEST_TOO_LARGE']);
    expect(await send('{}', { 'Content-Type': 'text/plain' })).toEqual(['400 REQUEST_INVALID']);
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    expect(await send('label=x', form)).toEqual(['400 REQUEST_INVALID', 'body: must be JSON']);
    expect(await send(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toEqual([
      '400 REQUEST_INVALID',
      expect.stringMatching(/^body: /),
    ]);
  });

  test('what is not there, and what is of no use', async () => {
    expect(await bed.problems('GET /api/v1/nothing')).toEqual(['404 NOT_THERE']);
    expect(await bed.problems('GET /api/v1/policies/none')).toEqual(['404 NOT_THERE']);
    expect(await bed.problems('POST /api/v1/runs', { duty: 'none' })).toEqual(['404 NOT_THERE']);
    expect(await bed.problems('PUT /api/v1/runs', {})).toEqual(['404 NOT_THERE']);
    const answer = await bed.ask('GET /api/v1/../../etc/passwd', undefined, { token: null });
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });
});

describe('a browser', () => {
  const person = { name: 'anna', password: adminPassword };

  test('sends its token with what changes something, and comes from no other site', async () => {
    const session = await bed.signIn(person);
    const { Cookie = '' } = session.headers ?? {};
    const make = (headers: Record<string, string>): Promise<number> =>
      bed
        .ask('POST /api/v1/tokens', { label: 'b', scopes: ['read'] }, { token: null, headers })
        .then(({ status }) => status);
    expect(await make({ Cookie })).toBe(403);
    expect(await make({ Cookie, 'X-Holdfast-CSRF': 'no' })).toBe(403);
    const all = { ...session.headers };
    expect(await make({ ...all, Origin: 'http://evil.example' })).toBe(403);
    expect(await make({ ...all, Origin: 'null' })).toBe(403);
    expect(await make({ ...all, 'Sec-Fetch-Site': 'cross-site' })).toBe(403);
    expect(await make({ ...all, Origin: bed.url })).toBe(201);
    expect(await make({})).toBe(401);
  });

  test('is asked by no other name', async () => {
    const { port } = new URL(bed.url);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port, path: '/healthz', headers: { Host: `evil.example:${port}` } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      request.once('error', reject);
      request.end();
    });
    expect(status).toBe(400);
  });

  test('gets headers that let a page do nothing, and cookies that no script reads', async () => {
    const { headers } = await bed.ask('GET /healthz');
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('access-control-allow-origin')).toBeNull();
    const answer = await bed.ask('POST /api/v1/session', person, { token: null });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^holdfast=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
  });

  test('is signed out by a new password, and by itself', async () => {
    const name = 'carl';
    await bed.must('POST /api/v1/users', { name, password: adminPassword, role: 'viewer' });
    const first = await bed.signIn({ name, password: adminPassword });
    const second = await bed.signIn({ name, password: adminPassword });
    const status = (session: typeof first): Promise<number> =>
      bed.ask('GET /api/v1/session', undefined, session).then((answer) => answer.status);
    await bed.must('DELETE /api/v1/session', undefined, first);
    expect([await status(first), await status(second)]).toEqual([401, 200]);
    const password = 'another good password';
    const wrong = { current: 'wrong', password };
    expect(await bed.problems('POST /api/v1/session/password', wrong, second)).toEqual([
      '400 REQUEST_INVALID',
      'current: is not the password',
    ]);
    const right = { current: adminPassword, password };
    await bed.must('POST /api/v1/session/password', right, second);
    expect(await status(second)).toBe(401);
    await bed.signIn({ name, password });
  });
});

test('without a proxy nobody names another address', async () => {
  const person = { name: 'anna', password: adminPassword };
  const headers = { 'X-Forwarded-For': '203.0.113.9' };
  await bed.must('POST /api/v1/session', person, { token: null, headers });
  expect(bed.log.join()).not.toContain('203.0.113.9');
});

test('a request with a key is done once', async () => {
  const headers = { 'Idempotency-Key': 'once' };
  const request = { label: 'once', scopes: ['read'] };
  const first = await bed.ask('POST /api/v1/tokens', request, { headers });
  const second = await bed.ask('POST /api/v1/tokens', request, { headers });
  expect([second.status, second.text]).toEqual([201, first.text]);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  const other = { ...request, label: 'other' };
  expect(await bed.problems('POST /api/v1/tokens', other, { headers })).toEqual([
    '409 STATE_CONFLICT',
  ]);
});

test('a token has no more rights than who makes it', async () => {
  const token = tokens.get('operator') ?? '';
  const request = { label: 'x', scopes: ['read', 'admin'] };
  expect(await bed.problems('POST /api/v1/tokens', request, { token })).toEqual([
    '403 NOT_ALLOWED',
  ]);
  const { items } = await bed.must<{ items: { user: string }[] }>('GET /api/v1/tokens', undefined, {
    token,
  });
  expect(new Set(items.map(({ user }) => user))).toEqual(new Set(['a-operator']));
});

test('lists come in pages', async () => {
  const seen: string[] = [];
  for (let cursor = ''; ; ) {
    const { items, next } = await bed.must<{ items: { id: string }[]; next?: string }>(
      `GET /api/v1/tokens?limit=2${cursor}`,
    );
    seen.push(...items.map(({ id }) => id));
    if (next === undefined) break;
    cursor = `&cursor=${next}`;
  }
  const { items } = await bed.must<{ items: { id: string }[] }>('GET /api/v1/tokens?limit=200');
  expect(seen).toEqual(items.map(({ id }) => id));
  expect(seen.length).toBeGreaterThan(3);
});

test('repositories are opened before they are kept, and their secrets are nowhere', async () => {
  const location = await cheapRepository(scratch.fresh('repository'), repositoryPassword);
  const asked = { name: 'kept', entry: { location }, password: repositoryPassword };
  const environment = { AWS_SECRET_ACCESS_KEY: 'canary-store-secret' };
  const add = (more: object): Promise<string[]> =>
    bed.problems('POST /api/v1/repositories', { ...asked, ...more });
  expect(await add({ password: 'wrong' })).toEqual([
    '400 REQUEST_INVALID',
    expect.stringMatching(/^password: /),
  ]);
  expect(await add({ entry: { location: scratch.fresh('none') } })).toEqual([
    '400 REQUEST_INVALID',
    expect.stringMatching(/^entry\.location: .*"create" makes one/),
  ]);
  const made = await bed.must<RepositoryView>('POST /api/v1/repositories', {
    ...asked,
    environment,
  });
  expect(made.secrets).toEqual(['password', 'AWS_SECRET_ACCESS_KEY']);
  expect(await add({ name: 'twice' })).toEqual(['409 STATE_CONFLICT']);
  expect(await bed.must('GET /api/v1/repositories/kept/snapshots')).toEqual({ items: [] });
  const answers = await bed.ask('GET /api/v1/repositories');
  const all = answers.text + bed.everything();
  expect(all).not.toContain(repositoryPassword);
  expect(all).not.toContain('canary-store-secret');
  expect(all).not.toContain(adminPassword);
  expect(all).not.toContain(bed.token);
});

test('the API describes itself: all of its routes, and who may use them', async () => {
  interface Document {
    readonly openapi: string;
    readonly paths: Record<
      string,
      Record<string, { 'x-access': string; operationId: string; parameters?: object[] }>
    >;
  }
  const document = await bed.must<Document>('GET /api/v1/openapi.json');
  expect(document.openapi).toBe('3.1.0');
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, operation]) => `${method.toUpperCase()} ${path} ${operation['x-access']}`,
    ),
  );
  const expected = allRoutes
    .filter(({ path }) => path.startsWith('/api/'))
    .map(({ method, path, access }) => `${method} ${path} ${access}`);
  expect(described.toSorted()).toEqual(expected.toSorted());
  const [limit] = document.paths['/api/v1/runs']?.['get']?.parameters ?? [];
  expect(limit).toMatchObject({
    name: 'limit',
    schema: { type: 'integer', minimum: 1, maximum: 200 },
  });
  const ids = Object.values(document.paths).flatMap((operations) =>
    Object.values(operations).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test('numbers for Prometheus are numbers', async () => {
  const { text } = await bed.ask('GET /metrics');
  for (const line of text.trim().split('\n')) {
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"\n]*"\})? [\d.e+-]+)$/);
  }
  expect(text).toContain('holdfast_alerts_open 0');
});

test('each line of the log is one JSON document, without what was asked', () => {
  for (const line of bed.log) expect(() => JSON.parse(line) as unknown).not.toThrow();
  const text = bed.log.join('\n');
  expect(text).not.toContain('nobody');
  expect(text).toContain('/api/v1/policies/:name');
});

test('what was done is recorded, with who did it, and is as it was written', async () => {
  const { items } = await bed.must<{
    items: { actor: string; action: string; decision: string }[];
  }>('GET /api/v1/audit?limit=200');
  expect(items.at(-1)).toMatchObject({ actor: 'user:anna', action: 'set-up', decision: 'done' });
  expect(
    items.some(({ action, decision }) => action === 'change-password' && decision === 'refused'),
  ).toBe(true);
  expect(await bed.must('GET /api/v1/audit/check')).toEqual({ intact: true });
});
