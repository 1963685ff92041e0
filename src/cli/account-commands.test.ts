import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandRun, runCommand } from '../../test/tools/in-process.ts';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { systemEnvironment } from '../base/environment.ts';
import { ServerBed } from '../server/http/http-test-support.ts';

/** The commands for users, tokens and alerts, on a server that runs. */

const scratch = scratchFolder('account-commands');
let bed: ServerBed;
let home: string;

beforeAll(async () => {
  bed = await ServerBed.start(scratch.fresh('server'));
  home = scratch.fresh('home');
  mkdirSync(home);
  writeFileSync(`${home}/token`, bed.token ?? '');
  writeFileSync(`${home}/password`, 'a password of ben');
});
afterAll(() => bed.server.stop());

function holdfast(...args: string[]): Promise<CommandRun> {
  const asked = ['--server', bed.url, '--token-file', `${home}/token`];
  return runCommand([...args, ...asked], {
    variables: { HOME: home },
    environment: systemEnvironment,
  });
}

async function must(...args: string[]): Promise<string> {
  const { exitCode, output, errors } = await holdfast(...args);
  if (exitCode === 0) return output;
  throw new Error(`${args.join(' ')}: ${exitCode} ${output}${errors}`);
}

async function refused(...args: string[]): Promise<string> {
  const { exitCode, errors } = await holdfast(...args);
  expect(exitCode).toBe(1);
  return errors;
}

const secret = ['--user-password-file', ''];

test('users are added, changed, listed and removed', async () => {
  secret[1] = `${home}/password`;
  await must('users', 'add', 'ben', ...secret);
  expect(JSON.parse(await must('users', 'change', 'ben', '--role', 'operator', '--json'))).toEqual({
    message_type: 'user',
    name: 'ben',
    role: 'operator',
    disabled: false,
    created: expect.any(String),
  });
  await must('users', 'change', 'ben', '--disable');
  expect(await must('users', 'list')).toMatch(/^ben +operator +\S+ +disabled$/m);
  const person = { name: 'ben', password: 'a password of ben' };
  expect((await bed.ask('POST /api/v1/session', person)).status).toBe(401);
  await must('users', 'change', 'ben', '--enable');
  expect((await bed.ask('POST /api/v1/session', person)).status).toBe(200);
  expect(await refused('users', 'change', 'ben')).toMatch(/nothing is to be changed/);
  expect(await refused('users', 'change', 'ben', '--enable', '--disable')).toMatch(/exclude/);
  expect(await refused('users', 'add', 'ben', ...secret)).toMatch(/the server: /);
  await must('users', 'remove', 'ben');
  expect(await refused('users', 'remove', 'ben')).toMatch(/the server: /);
  expect(await must('users', 'list')).not.toContain('ben');
  writeFileSync(`${home}/password`, 'short');
  expect(await refused('users', 'add', 'cleo', ...secret)).toMatch(/password: /);
});

test('a token is told once, counts within its scopes, and no more once removed', async () => {
  const token = (await must('tokens', 'add', 'prometheus', '--quiet')).trim();
  expect((await bed.ask('GET /metrics', undefined, { token })).status).toBe(200);
  expect((await bed.ask('GET /api/v1/users', undefined, { token })).status).toBe(403);
  const listed = await must('tokens', 'list');
  expect(listed).not.toContain(token);
  const id = /^(\w{16}) +anna +prometheus +read /m.exec(listed)?.[1] ?? '';
  await must('tokens', 'remove', id);
  expect((await bed.ask('GET /metrics', undefined, { token })).status).toBe(401);
  expect(await refused('tokens', 'add', 'x', '--scope', 'everything')).toMatch(/scopes/);
  const made: { readonly expires: string } = JSON.parse(
    await must('tokens', 'add', 'week', '--scope', 'read', '--days', '7', '--json'),
  );
  expect(Date.parse(made.expires)).toBeGreaterThan(0);
});

test('where nothing is wrong no alert is listed', async () => {
  expect([await must('alerts'), await must('alerts', '--all')]).toEqual(['', '']);
});
