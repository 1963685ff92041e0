import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { adminPassword, cheapRepository, ServerBed } from './http-test-support.ts';

/** Servers that are new, behind a proxy, guessed at, or have lost their key. */

const scratch = scratchFolder('new-server');
const repositoryPassword = 'canary-repository-password';

test('wrong passwords cost time, and tell nothing', async () => {
  const own = await ServerBed.start(scratch.fresh('tries'));
  try {
    const wrong = async (name: string): Promise<unknown[]> => {
      const person = { name, password: 'wrong password' };
      const answer = await own.ask('POST /api/v1/session', person, { token: null });
      const { status, headers, body } = answer;
      return [status, body['detail'], headers.get('retry-after') !== null];
    };
    const refused = [401, 'the name or the password is wrong', false];
    for (let i = 0; i < 5; i++) expect(await wrong('anna')).toEqual(refused);
    expect(await wrong('anna')).toEqual([429, undefined, true]);
    expect(await wrong('nobody')).toEqual(refused);
  } finally {
    await own.server.stop();
  }
});

test('the set-up link makes one user, once', async () => {
  const own = await ServerBed.start(scratch.fresh('set-up'), { isSetUp: false });
  try {
    const link = own.server.setUpUrl ?? '';
    const token = new URL(link).searchParams.get('token') ?? '';
    expect(Buffer.from(token, 'base64url').byteLength).toBe(24);
    const person = { name: 'anna', password: adminPassword };
    expect((await own.ask(`GET /set-up?token=${token}`, undefined)).text).toContain('<form');
    const guess = { ...person, token: 'guess' };
    expect(await own.problems('POST /api/v1/set-up', guess)).toEqual(['403 NOT_ALLOWED']);
    const easy = { ...person, token, password: 'password1234' };
    expect((await own.problems('POST /api/v1/set-up', easy))[1]).toMatch(/^password: /);
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const raw = new URLSearchParams({ ...person, token }).toString();
    const made = await own.ask('POST /set-up', undefined, { raw, headers: form });
    expect([made.status, made.text]).toEqual([200, expect.stringMatching(/is set up/)]);
    expect(await own.problems('POST /api/v1/set-up', { ...person, token })).toEqual([
      '409 STATE_CONFLICT',
    ]);
    await own.signIn(person);
    expect(own.everything()).not.toContain(token);
  } finally {
    await own.server.stop();
  }
  const again = await ServerBed.start(own.folder, { isSetUp: false });
  expect(again.server.setUpUrl).toBeUndefined();
  await again.server.stop();
});

test('with another key nothing is begun; where it is lost, secrets are given anew', async () => {
  const folder = scratch.fresh('key');
  const location = await cheapRepository(scratch.fresh('repository'), repositoryPassword);
  const first = await ServerBed.start(folder);
  const request = { name: 'kept', entry: { location }, password: repositoryPassword };
  await first.must('POST /api/v1/repositories', request);
  await first.server.stop();
  rmSync(`${folder}/secret.key`);
  await expect(ServerBed.start(folder)).rejects.toMatchObject({ code: 'SECRET_NOT_OPENED' });
  const next = await ServerBed.start(folder, { isSetUp: false, isKeyNew: true });
  try {
    next.token = first.token;
    expect(await next.must('GET /api/v1/repositories/kept')).toMatchObject({
      secrets: [],
      problem: 'its secrets cannot be opened: give them anew',
    });
    const change = { entry: { location } };
    expect(await next.problems('PUT /api/v1/repositories/kept', change)).toEqual([
      '400 REQUEST_INVALID',
      'password: is needed: the one that is kept cannot be opened',
    ]);
    const given = { ...change, password: repositoryPassword };
    expect(await next.must('PUT /api/v1/repositories/kept', given)).toMatchObject({
      secrets: ['password'],
    });
  } finally {
    await next.server.stop();
  }
});

test('behind a proxy with TLS cookies are for https alone, and pages are of its name', async () => {
  const origin = 'https://backup.example.org';
  const own = await ServerBed.start(scratch.fresh('origin'), { origin, isSetUp: false });
  try {
    const link = own.server.setUpUrl ?? '';
    expect(link.startsWith(`${origin}/set-up?token=`)).toBe(true);
    await own.setUp(link);
    const person = { name: 'anna', password: adminPassword };
    const sign = (headers: Record<string, string>): ReturnType<typeof own.ask> =>
      own.ask('POST /api/v1/session', person, { token: null, headers });
    const answer = await sign({ Origin: origin });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^__Host-holdfast=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
    );
    expect(answer.headers.get('strict-transport-security')).toBe('max-age=31536000');
    expect((await sign({ Origin: own.url })).status).toBe(403);
    // What the proxy adds counts, not what whoever asks wrote before it.
    await sign({ Origin: origin, 'X-Forwarded-For': '198.51.100.1, 203.0.113.9' });
    interface Page {
      readonly items: readonly { readonly action: string; readonly address: string }[];
    }
    const { items } = await own.must<Page>('GET /api/v1/audit?limit=1');
    expect(items).toMatchObject([{ action: 'sign-in', address: '203.0.113.9' }]);
  } finally {
    await own.server.stop();
  }
});
