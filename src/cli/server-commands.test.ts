import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandRun, runCommand } from '../../test/tools/in-process.ts';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { adminPassword, cheapRepository, ServerBed } from '../server/http/http-test-support.ts';
import { systemEnvironment } from '../base/environment.ts';

/** The commands that ask a server, on one that runs. */

const scratch = scratchFolder('server-commands');
const password = 'canary-password';
let bed: ServerBed;
let home: string;
let file: string;

beforeAll(async () => {
  bed = await ServerBed.start(scratch.fresh('server'), { isSetUp: false });
  home = scratch.fresh('home');
  mkdirSync(home);
  mkdirSync(at('documents'));
  writeFileSync(at('documents/letter'), 'dear anna');
  writeFileSync(at('anna.password'), adminPassword);
  writeFileSync(at('main.password'), password);
  writeFileSync(at('link'), `To set it up, open this link:\n${bed.server.setUpUrl}\n`);
  await cheapRepository(at('main'), password);
  file = at('estate.yaml');
  writeEstate('30d');
});
afterAll(() => bed.server.stop());

function at(name: string): string {
  return `${home}/${name}`;
}

function writeEstate(every: string, more = ''): void {
  writeFileSync(
    file,
    `version: 1
repositories:
  main:
    location: ${at('main')}
    password-file: ${at('main.password')}
policies:
  monthly: { repository: main, backup: { every: ${every} }, time-zone: UTC }
sources:
  documents: { kind: files, policy: monthly, paths: [${at('documents')}] }
${more}`,
  );
}

function holdfast(...args: string[]): Promise<CommandRun> {
  return runCommand(args, {
    variables: { HOME: home, HOLDFAST_PASSWORD_MAIN: password },
    environment: systemEnvironment,
  });
}

async function must(...args: string[]): Promise<string> {
  const { exitCode, output, errors } = await holdfast(...args);
  if (exitCode === 0) return output;
  throw new Error(`${args.join(' ')}: ${exitCode} ${output}${errors}`);
}

test('without a login nothing is asked', async () => {
  const { exitCode, errors } = await holdfast('runs', 'list');
  expect([exitCode, errors]).toEqual([1, expect.stringMatching(/Log in with "holdfast login"/)]);
});

test('a login makes the first user, and keeps a token for its user alone', async () => {
  const secret = ['--user-password-file', at('anna.password')];
  await must('login', '--user', 'anna', '--set-up-file', at('link'), ...secret);
  const kept = at('.local/state/holdfast/server-login.json');
  expect(statSync(kept).mode & 0o777).toBe(0o600);
  expect(readFileSync(kept, 'utf8')).not.toContain(adminPassword);
  await must('login', '--server', bed.url, '--user', 'anna', ...secret);
  const far = await holdfast(
    'login',
    '--server',
    'http://backup.example.org',
    '--user',
    'anna',
    ...secret,
  );
  expect(far.errors).toMatch(/asked by https alone/);
  writeFileSync(at('wrong'), 'wrong password');
  const wrong = await holdfast(
    'login',
    '--server',
    bed.url,
    '--user',
    'anna',
    '--user-password-file',
    at('wrong'),
  );
  expect([wrong.exitCode, wrong.errors]).toEqual([
    1,
    expect.stringMatching(/the name or the password is wrong/),
  ]);
});

test('apply shows the difference, and makes it', async () => {
  const dry = await must('apply', '-f', file, '--dry-run');
  expect(dry.replaceAll(home, '~')).toMatchInlineSnapshot(`
    "+ repository main
        location: "~/main"
    + policy monthly
        backup: {"every":"30d"}
        repository: "main"
        time-zone: "UTC"
    + source documents
        kind: "files"
        paths: ["~/documents"]
        policy: "monthly"
    "
  `);
  const asked = await holdfast('apply', '-f', file);
  expect(asked.errors).toMatch(/nobody can be asked/);
  expect(await must('apply', '-f', file, '--yes')).toMatch(/3 changes made/);
  expect(await must('apply', '-f', file, '--yes')).toMatch(/The server has what the file says/);
  writeEstate('60d');
  expect(await must('apply', '-f', file, '--yes')).toContain(
    '~ policy monthly\n    backup: {"every":"30d"} -> {"every":"60d"}\n',
  );
  expect(await must('apply', '-f', file, '--yes', '--secrets')).toMatch(/main: its secrets/);
});

test('what is there is listed and shown, and what is used is not removed', async () => {
  expect(await must('repositories', 'list')).toMatch(/^main +\/.*\/main$/m);
  expect(await must('policies', 'list')).toMatch(/^monthly +\S/m);
  expect(await must('sources', 'list')).toMatch(/^documents +\/.*\/documents$/m);
  const shown = await must('repositories', 'show', 'main');
  expect(shown).toMatch(/^secrets that are kept: password$/m);
  expect(shown).not.toContain(password);
  expect(JSON.parse(await must('policies', 'show', 'monthly', '--json'))).toMatchObject({
    message_type: 'policy',
    name: 'monthly',
    entry: { repository: 'main', 'time-zone': 'UTC' },
  });
  const used = await holdfast('policies', 'remove', 'monthly');
  expect([used.exitCode, used.errors]).toEqual([
    1,
    expect.stringMatching(/is used by source "documents"/),
  ]);
  const none = await holdfast('sources', 'show', 'none');
  expect([none.exitCode, none.errors]).toEqual([1, expect.stringMatching(/the server: /)]);
});

test('a source is removed, and comes back by what the file says', async () => {
  await must('sources', 'remove', 'documents');
  expect(await must('sources', 'list')).toBe('');
  expect(await must('apply', '-f', file, '--yes')).toMatch(/1 changes? made/);
});

test('what a server does not take is named, and nothing is changed', async () => {
  const before = await must('export');
  writeEstate('90d', 'hooks: { x: { command: [id] } }\n');
  const { exitCode, errors } = await holdfast('apply', '-f', file, '--yes');
  expect([exitCode, errors]).toEqual([
    1,
    expect.stringMatching(/hooks: a server starts no programs/),
  ]);
  writeEstate('60d');
  expect(await must('export')).toBe(before);
});

test('export gives what apply takes, without a secret', async () => {
  const text = await must('export');
  expect(text).not.toContain(password);
  expect(text).toContain('password-variable: HOLDFAST_PASSWORD_MAIN');
  const exported = at('exported.yaml');
  writeFileSync(exported, text);
  expect(await must('apply', '-f', exported, '--yes')).toMatch(/The server has what the file says/);
  writeFileSync(exported, text.replace(/sources:[^]*$/, 'sources: {}\n'));
  expect(await must('apply', '-f', exported, '--yes')).toMatch(
    /1 on the server is not in the file/,
  );
  expect(await must('export')).toBe(text);
  expect(await must('apply', '-f', exported, '--yes', '--delete')).toMatch(/- source documents/);
  expect(await must('apply', '-f', file, '--yes')).toMatch(/\+ source documents/);
});

test('runs are started, followed, listed, shown and cancelled', async () => {
  expect(await must('runs', 'start')).toMatch(/^Duty .*\n-+\nback up documents /);
  // The source was just added: its first run comes by itself, and while that waits no other is taken.
  for (;;) {
    const { state, 'last-success': success } = JSON.parse(await must('runs', 'start', '--json'));
    const waiting = await must('runs', 'list', '--state', 'queued', '--json');
    if (state === 'served' && success !== undefined && waiting === '') break;
    await systemEnvironment.clock.sleep(50);
  }
  const started = await holdfast('runs', 'start', 'back up documents', '--follow');
  expect([started.exitCode, started.errors + started.output]).toEqual([
    0,
    expect.stringMatching(/back up documents \(asked for by token:\w+\): success\. snapshot /),
  ]);
  const list = await must('runs', 'list', '--outcome', 'success', '--source', 'documents');
  const id = /^[0-9a-f]{32}/m.exec(list)?.[0] ?? '';
  expect(await must('runs', 'show', id)).toMatch(/: success\. snapshot /);
  expect(JSON.parse(await must('runs', 'show', id, '--json'))).toMatchObject({
    message_type: 'run',
    outcome: 'success',
  });
  const snapshots = await must('runs', 'restore', 'main');
  const snapshot = /^[0-9a-f]{8}(?= )/m.exec(snapshots)?.[0] ?? '';
  const target = at('restored');
  const where = ['--target', target, '--path', at('documents')];
  expect(await must('runs', 'restore', 'main', snapshot, ...where, '--follow')).toMatch(
    /^restore from main \(asked for by token:\w+\): success\. /m,
  );
  expect(readFileSync(`${target}/letter`, 'utf8')).toBe('dear anna');
  const late = await holdfast('runs', 'cancel', id);
  expect([late.exitCode, late.errors]).toEqual([1, expect.stringMatching(/the run has ended/)]);
  const none = await holdfast('runs', 'start', 'back up nothing');
  expect(none.errors).toMatch(/there is no such duty/);
});

test('a server that is not there is told', async () => {
  const token = at('token');
  writeFileSync(token, 'hft_x');
  const args = ['--server', 'http://127.0.0.1:1', '--token-file', token];
  const { exitCode, errors } = await holdfast('runs', 'list', ...args);
  expect([exitCode, errors]).toEqual([1, expect.stringMatching(/does not answer/)]);
});
