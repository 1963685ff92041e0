import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientTexts } from '../../scripts/client-text.ts';
import { HoldfastClient, ProblemError } from '../../src/client/index.ts';
import {
  adminPassword,
  cheapRepository,
  ServerBed,
} from '../../src/server/http/http-test-support.ts';
import { scratchFolder } from '../tools/scratch.ts';

/** The client that programs of others use, on a server that runs. */

const scratch = scratchFolder('client');
const root = join(import.meta.dirname, '../..');
let bed: ServerBed;
let client: HoldfastClient;
beforeAll(async () => {
  bed = await ServerBed.start(scratch.fresh('server'));
  client = new HoldfastClient({ url: `${bed.url}/`, token: bed.token ?? '' });
});
afterAll(() => bed.server.stop());

test('what is generated is what the schemas say: else "npm run client"', () => {
  for (const [name, input] of Object.entries(clientTexts())) {
    const file = join(root, 'src/client', name);
    const biome = join(root, 'node_modules/.bin/biome');
    const args = ['format', `--stdin-file-path=src/client/${name}`];
    const formatted = execFileSync(biome, args, { cwd: root, input, encoding: 'utf8' });
    expect(formatted, name).toBe(readFileSync(file, 'utf8'));
  }
});

test('lists are read page by page, and what is refused is a problem with its fields', async () => {
  for (const name of ['ben', 'cleo', 'dora']) {
    await client.call('postUsers', { body: { name, password: adminPassword, role: 'viewer' } });
  }
  const names: string[] = [];
  for await (const user of client.list('getUsers', { query: { limit: 2 } })) names.push(user.name);
  expect(names).toEqual(['anna', 'ben', 'cleo', 'dora']);
  const changed = await client.call('patchUsersName', {
    path: { name: 'ben' },
    body: { disabled: true },
  });
  expect(changed.disabled).toBe(true);
  expect(await client.call('deleteUsersName', { path: { name: 'ben' } })).toBe(undefined);
  const refused = client.call('postUsers', {
    body: { name: '', password: adminPassword, role: 'viewer' },
  });
  const error = await refused.catch((thrown: unknown) => thrown);
  if (!(error instanceof ProblemError)) throw error;
  expect([error.code, error.problem.status]).toEqual(['REQUEST_INVALID', 400]);
  expect(error.problem.errors).toEqual([{ field: 'name', message: expect.any(String) }]);
  const stranger = new HoldfastClient({ url: bed.url });
  await expect(stranger.call('getSession')).rejects.toMatchObject({ code: 'NOT_AUTHENTICATED' });
});

test('a request that is sent twice with one key is done once', async () => {
  const asked = {
    body: { label: 'twice', scopes: ['read'] },
    idempotencyKey: 'one',
  } as const;
  const [first, second] = [
    await client.call('postTokens', asked),
    await client.call('postTokens', asked),
  ];
  expect(second).toEqual(first);
});

test('what is no answer of a server is a problem, too', async () => {
  const proxy = new HoldfastClient({
    url: bed.url,
    fetch: async () => new Response('<html>', { status: 502 }),
  });
  await expect(proxy.call('getSession')).rejects.toMatchObject({
    code: 'PROTOCOL_BROKEN',
    problem: { status: 502 },
  });
});

/** What somebody would write: it is compiled against the types that are published, and run. */
const program = `
import { HoldfastClient, ProblemError, type Run } from 'holdfast/client';

const [url = '', token = '', location = '', folder = ''] = process.argv.slice(2);
const client = new HoldfastClient({ url, token });
await client.call('postRepositories', {
  body: { name: 'main', entry: { location }, password: 'canary-password' },
});
const entry = { repository: 'main', backup: { every: '1h' }, 'time-zone': 'UTC' };
await client.call('postPolicies', { body: { name: 'hourly', entry } });
await client.call('postSources', {
  body: { name: 'letters', entry: { kind: 'files', policy: 'hourly', paths: [folder] } },
});
const duties: string[] = [];
for await (const duty of client.list('getDuties')) duties.push(duty.id);
const started: Run = await client.call('postRuns', { body: { duty: duties[0] ?? '' } });
let lineCount = 0;
let outcome: unknown;
for await (const { event, data } of client.events('getRunsIdEvents', { path: { id: started.id } })) {
  if (event === 'log') lineCount += 1;
  if (event === 'run') ({ outcome } = data as Run);
}
const log = await client.call('getRunsIdLog', { path: { id: started.id } });
let code = '';
try {
  await client.call('getRunsId', { path: { id: '0'.repeat(32) } });
} catch (error) {
  if (error instanceof ProblemError) code = error.code;
}
// @ts-expect-error there is no such operation
const wrong = (): unknown => client.call('getNothing');
// @ts-expect-error a run is named by its id
const missing = (): unknown => client.call('getRunsId');
// @ts-expect-error a role that is none
const role = (): unknown => client.call('patchUsersName', { path: { name: 'x' }, body: { role: 'king' } });
console.log(JSON.stringify({ duties, toldAll: lineCount === log.items.length, outcome, code, made: [wrong, missing, role].length }));
`;

test('a program compiles against the published types and makes a backup', async () => {
  const place = scratch.fresh('program');
  const installed = join(place, 'node_modules/holdfast');
  mkdirSync(installed, { recursive: true });
  mkdirSync(join(place, 'node_modules/@types'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(place, 'node_modules/@types/node'));
  symlinkSync(join(root, 'node_modules/undici-types'), join(place, 'node_modules/undici-types'));
  copyFileSync(join(root, 'package.json'), join(installed, 'package.json'));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const built = join(installed, 'dist/client');
  execFileSync(tsc, ['-p', join(root, 'tsconfig.client.json'), '--outDir', built]);
  writeFileSync(join(place, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(place, 'main.ts'), program);
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: 'nodenext',
    target: 'es2024',
    types: ['node'],
    outDir: 'out',
    rootDir: '.',
  };
  writeFileSync(
    join(place, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['main.ts'] }),
  );
  try {
    execFileSync(tsc, ['-p', place], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(String((error as { readonly stdout?: string }).stdout), { cause: error });
  }
  const location = await cheapRepository(scratch.fresh('repository'), 'canary-password');
  const letters = scratch.fresh('letters');
  mkdirSync(letters);
  writeFileSync(join(letters, 'letter'), 'dear anna');
  const ran = await run([join(place, 'out/main.js'), bed.url, bed.token ?? '', location, letters]);
  expect(JSON.parse(ran)).toEqual({
    duties: ['back up letters'],
    toldAll: true,
    outcome: 'success',
    code: 'NOT_THERE',
    made: 3,
  });
});

/** Beside the server, which is in this process. @returns what it printed */
async function run(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout;
}
