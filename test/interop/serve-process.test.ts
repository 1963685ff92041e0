import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cheapUsers, nameOf, patient, rawClient } from '../../src/serve/serve-test-support.ts';
import { connectionCountDefault } from '../../src/serve/limits.ts';
import { listenDefault } from '../../src/serve/listen-address.ts';
import { checkAll, initRepository } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { resticBackup } from '../tools/restic.ts';
import { compiledOnce, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('serve-process');
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface ServerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly ended: Promise<number | null>;
  readonly text: () => string;
}

/** Starts the program as a server; resolves when it listens. */
async function serve(root: string, port: number): Promise<ServerProcess> {
  const args = ['serve-repository', '--path', root, '--listen', `127.0.0.1:${port}`, '--log', '-'];
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'], ...compiledOnce },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  child.stdout.on('data', (part: Buffer) => (text += part.toString()));
  child.stderr.on('data', (part: Buffer) => (text += part.toString()));
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  await expect.poll(() => text, patient).toMatch(/serving \S+ at rest:http/);
  return { child, port: Number(/:(\d+)\//.exec(text)?.[1]), ended, text: () => text };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .toSorted();
}

describeWith(['restic'], 'a server that is killed', () => {
  test('leaves nothing visible of what came in, and after a start a backup goes on', async () => {
    const root = path.join(scratch.path, 'root');
    const folder = path.join(root, 'anna');
    await initRepository(folder);
    writeFileSync(path.join(root, '.htpasswd'), cheapUsers);
    const before = filesBelow(root);
    const first = await serve(root, 0);
    const client = rawClient(first.port);
    const authorization = `Authorization: Basic ${Buffer.from('anna:right').toString('base64')}`;
    const content = 'never whole';
    client.write(
      `POST /anna/index/${nameOf(content)} HTTP/1.1\r\nHost: x\r\n${authorization}\r\nContent-Length: ${content.length}\r\n\r\nnever`,
    );
    await expect.poll(() => filesBelow(root).length, patient).toBe(before.length + 1);
    // Random, so that there is something to send, and slowly, so that there is time to kill.
    writeFileSync(
      path.join(scratch.path, 'data'),
      Buffer.from(Array.from({ length: 60_000 }, nameOfNumber).join('')),
    );
    const repository = `rest:http://anna:right@127.0.0.1:${first.port}/anna`;
    const limit = ['--limit-upload', '1500', '--pack-size', '4'];
    const backup = resticBackup(repository, [...limit, path.join(scratch.path, 'data')]);
    await expect.poll(() => temporaryPacks(folder), patient).toBeGreaterThan(0);
    first.child.kill('SIGKILL');
    await first.ended;
    const visible = filesBelow(root).filter((name) => !name.includes('-tmp-'));
    for (const name of visible.filter((one) => /^[0-9a-f]{64}$/.test(one))) {
      expect(nameOf(readFileSync(findFile(folder, name)))).toBe(name);
    }
    expect(visible).not.toContain(nameOf(content));
    const second = await serve(root, first.port);
    await backup;
    expect(await checkAll(folder)).toMatchObject({ errorCount: 0, snapshotCount: 1 });
    second.child.kill('SIGTERM');
    // To be stopped is how it ends.
    expect(await second.ended).toBe(0);
    expect(first.text() + second.text()).not.toContain('right');
  });
});

function nameOfNumber(_: unknown, i: number): string {
  return nameOf(String(i));
}

function temporaryPacks(folder: string): number {
  return filesBelow(path.join(folder, 'data')).filter((name) => name.includes('-tmp-')).length;
}

function findFile(folder: string, name: string): string {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(
    (file) => path.basename(file) === name,
  );
  return path.join(folder, found ?? 'none');
}

test('users are added, changed, listed and removed, by password from file or standard input', async () => {
  const root = path.join(scratch.path, 'users');
  const file = path.join(root, '.htpasswd');
  mkdirSync(root);
  writeFileSync(file, '# of ours\ncarl:{SHA}wA27ydrfvh4jLpOnKd1HUvreCr8=\n');
  const typed = await runProgram(
    process.execPath,
    [program, 'serve-user', 'add', 'anna', '--path', root],
    { input: 'a long password\n', variables: compiledOnce },
  );
  expect(typed).toMatchObject({ exitCode: 0, output: 'added user anna\n', errors: '' });
  const run = async (...args: readonly string[]): Promise<string> => {
    const { exitCode, output, errors } = await runCommand(['serve-user', ...args, '--path', root], {
      variables: {},
    });
    return `${exitCode} ${output}${errors}`;
  };
  const passwordFile = path.join(scratch.path, 'password');
  const fromFile = ['--user-password-file', passwordFile];
  writeFileSync(passwordFile, 'another password\n');
  expect(await run('add', 'anna', ...fromFile)).toBe('0 changed the password of user anna\n');
  expect(await run('list', '--json')).toContain('{"name":"anna","hash":"bcrypt, cost 10"}');
  expect(await run('list')).toMatch(/carl +SHA-1 \(weak\)/);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(/^# of ours\ncarl:\{SHA\}.*\nanna:\$2[aby]\$10\$.{53}\n$/);
  expect(text).not.toContain('password');
  for (const name of ['data', '.', '..', 'a/b', 'a:b', 'a\nb', 'x'.repeat(200), 'Ä']) {
    expect(await run('add', name, ...fromFile)).toMatch(/^1 Fatal: .*cannot be the name of a user/);
  }
  expect(await run('add', 'Anna', ...fromFile)).toMatch(
    /^1 Fatal: .*the same name but for capital/,
  );
  writeFileSync(passwordFile, 'x'.repeat(73));
  expect(await run('add', 'bob', ...fromFile)).toMatch(/^1 Fatal: a password may have 72 bytes/);
  writeFileSync(passwordFile, '\n');
  expect(await run('add', 'bob', ...fromFile)).toMatch(/^1 Fatal: an empty password/);
  expect(await run('remove', 'bob')).toMatch(/^1 Fatal: there is no user "bob"/);
  expect(await run('remove', 'carl')).toBe('0 removed user carl\n');
  expect(readFileSync(file, 'utf8')).toMatch(/^# of ours\nanna:.*\n$/);
});

/** How a command line ends that does not get as far as serving. */
async function refusal(...args: readonly string[]): Promise<string> {
  const { exitCode, errors } = await runCommand(['serve-repository', ...args], { variables: {} });
  return `${exitCode} ${errors}`;
}

test('help tells the defaults that are', async () => {
  const { output } = await runCommand(['help', 'serve-repository'], { variables: {} });
  expect(output).toContain(listenDefault);
  expect(output).toContain(String(connectionCountDefault));
});

test('a command line that does not go together is told in one line', async () => {
  const root = ['--path', scratch.path, '--no-auth'];
  expect(await refusal()).toMatch(/^1 Fatal: no folder to serve was named\n/);
  expect(await refusal(...root, '--listen', 'nonsense')).toMatch(
    /^1 Fatal: --listen "nonsense" is no/,
  );
  expect(await refusal(...root, '--private-repos')).toMatch(
    /^1 Fatal: repositories cannot be private/,
  );
  expect(await refusal(...root, '--tls-cert', 'x')).toMatch(/^1 Fatal: --tls-cert, .* need --tls/);
  expect(await refusal(...root, '--tls')).toMatch(
    /^1 Fatal: the TLS certificate .* cannot be read/,
  );
  expect(await refusal(...root, '--htpasswd-file', 'x')).toMatch(/^1 Fatal: only one of --no-auth/);
  expect(await refusal('--path', scratch.path)).toMatch(
    /^1 Fatal: the file of users .*\nMake it with/,
  );
});
