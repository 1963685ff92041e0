import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../test/tools/program.ts';
import { answer, startScriptedServer } from '../../test/tools/scripted-server.ts';
import { slowMachine } from '../../test/tools/slow-machine.ts';
import { systemClock } from '../base/clock.ts';
import { acquireLock, noIdentity } from '../repository/locks.ts';
import { finished, type HoldfastRun, password, TestPlace } from './holdfast-test-support.ts';
import { thisProbe } from '../session/this-process.ts';

/** What is refused is: each command by a process once, and by those of "exit codes"; then in this one, which takes a tenth. */
const place = TestPlace.create(new Set());
const root = path.resolve(import.meta.dirname, '../..');

beforeAll(async () => {
  await place.createRepository();
});
afterAll(() => place.remove());

/** The last words of a run that must fail: its exit code, and the first line on standard error. */
async function failure(
  args: string[],
  settings: Parameters<TestPlace['run']>[1] = {},
): Promise<string> {
  return lastWords(await place.run(args, settings));
}

/** The same of a process of its own. */
async function failureOfProcess(args: string[]): Promise<string> {
  return lastWords(await finished(place.start(args)));
}

function lastWords({ exitCode, errors }: HoldfastRun): string {
  expect(errors, 'no stack trace').not.toMatch(/^\s+at /m);
  return `${exitCode} ${errors.split('\n')[0]}`.replaceAll(place.folder, '…');
}

describe('what is typed wrong', () => {
  test('is told in one line and changes nothing', async () => {
    const before = readdirSync(place.repository, { recursive: true });
    expect(await failure(['snapshotz'])).toBe('1 Fatal: unknown command "snapshotz"');
    expect((await place.run(['mount', 'x'])).errors).toMatch(/"restic mount" works/);
    expect(await failure(['snapshots', '--bogus'])).toBe('1 Fatal: unknown flag: --bogus');
    expect(await failure(['--bogus', 'snapshots'])).toBe('1 Fatal: unknown flag: --bogus');
    expect(await failure(['list'])).toMatch(/^1 Fatal: the list command needs/);
    expect(await failure(['key', 'bogus'])).toMatch(/^1 Fatal: unknown command of "key"/);
    expect(await failure(['unlock', 'x'])).toMatch(
      /^1 Fatal: the unlock command expects no arguments/,
    );
    expect(await failure(['snapshots', '--pack-size', '3'])).toMatch(/must be between 4 and 128/);
    await place.must(['snapshots', '--pack-size', '0'], { variables: { RESTIC_PACK_SIZE: '0' } });
    expect(await failure(['snapshots'], { variables: { RESTIC_PACK_SIZE: 'x' } })).toMatch(
      /^1 Fatal: invalid value for RESTIC_PACK_SIZE "x"/,
    );
    expect(await failure(['snapshots'], { variables: { RESTIC_PROGRESS_FPS: '-1' } })).toMatch(
      /^1 Fatal: invalid value for RESTIC_PROGRESS_FPS/,
    );
    expect(await failure(['-o', 'local.bogus=1', 'snapshots'])).toMatch(/there is no option/);
    expect(await failure(['backup', '--files-from', '/none'])).toBe(
      '1 Fatal: the file "/none" does not exist',
    );
    await place.must(['--no-extra-verify', 'snapshots']);
    expect(readdirSync(place.repository, { recursive: true })).toEqual(before);
  });

  test('is told as JSON with --json', async () => {
    const { exitCode, output, errors } = await place.run(['--json', 'snapshots', '--bogus']);
    expect({ exitCode, output }).toEqual({ exitCode: 1, output: '' });
    expect(JSON.parse(errors)).toEqual({
      message_type: 'exit_error',
      code: 1,
      message: 'Fatal: unknown flag: --bogus',
    });
  });
});

describe('exit codes', () => {
  test('10: no repository', async () => {
    expect(await failureOfProcess(['-r', place.at('none'), 'snapshots'])).toBe(
      '10 Fatal: there is no repository at this location (location: …/none)',
    );
    expect(existsSync(place.at('none'))).toBe(false);
  });

  test('12: wrong password, which is never shown', async () => {
    const variables = { RESTIC_PASSWORD: 'wrong-secret' };
    const run = await finished(place.start(['snapshots'], { variables }));
    expect(run.exitCode).toBe(12);
    expect(run.output + run.errors).not.toContain('wrong-secret');
    const [error, hint] = run.errors.split('\n');
    expect(error).toBe('Fatal: wrong password or no key found');
    expect(hint).toContain('--password-file');
    expect(hint).toContain('recovery kit');
  });

  test('11: locked, naming the holder', async () => {
    const repository = await place.openRepository();
    const owner = { hostname: 'elsewhere', username: 'anna', pid: 4711 };
    const probe = { ...thisProbe(), identity: noIdentity };
    const options = { kind: 'exclusive', operation: 'prune', owner, probe } as const;
    const lock = await acquireLock(repository, options);
    try {
      expect(await failureOfProcess(['snapshots'])).toMatch(
        /^11 Fatal: the repository is locked exclusively by process 4711 of anna on elsewhere \(prune\)/,
      );
      expect(await failureOfProcess(['tag', '--add', 'x'])).toMatch(/^11 /);
      await place.must(['snapshots', '--no-lock']);
      await place.must(['list', 'locks']);
      await place.must(['unlock']);
      expect(await place.must(['list', 'locks'])).not.toBe('');
      expect(await place.must(['unlock', '--remove-all'])).toBe('successfully removed 1 locks\n');
    } finally {
      await lock.release();
      await repository.close();
    }
  });

  test('1: damaged files are named without a stack trace', async () => {
    const damaged = place.at('damaged');
    await (await place.createRepository(damaged)).close();
    const config = path.join(damaged, 'config');
    chmodSync(config, 0o600);
    writeFileSync(config, 'x');
    expect(await failureOfProcess(['-r', damaged, 'snapshots'])).toMatch(/^1(2)? Fatal: /);
    for (const key of readdirSync(path.join(damaged, 'keys'))) {
      const file = path.join(damaged, 'keys', key);
      chmodSync(file, 0o600);
      writeFileSync(file, '{');
    }
    const { exitCode, errors } = await finished(place.start(['-r', damaged, 'snapshots']));
    expect([exitCode, ...errors.split('\n')]).toEqual([
      1,
      expect.stringMatching(/^Fatal: no key of the repository can be used/),
      expect.stringMatching(/^Put this file back, from .* the recovery kit/),
      '',
    ]);
    rmSync(damaged, { recursive: true });
  });
});

describe('passwords', () => {
  const none = { RESTIC_PASSWORD: '' };

  test('come from a file with a byte order mark', async () => {
    const file = place.at('password.txt');
    writeFileSync(file, `\ufeff  ${password}\r\n`);
    await place.must(['-p', file, 'snapshots'], { variables: none });
    await place.must(['snapshots'], { variables: { ...none, RESTIC_PASSWORD_FILE: file } });
    writeFileSync(
      file,
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(password, 'utf16le')]),
    );
    await place.must(['snapshots'], {
      variables: { RESTIC_PASSWORD: 'wrong', RESTIC_PASSWORD_FILE: file },
    });
  });

  test('come from a command', async () => {
    const command = `echo '  ${password} '`;
    await place.must(['--password-command', command, 'snapshots'], { variables: none });
    const fails = await failure(['--password-command', 'sh -c "exit 3" secret', 'snapshots']);
    expect(fails).toBe('1 Fatal: the password command "sh" failed with exit code 3');
    const missing = await failure(['--password-command', 'no-such-program secret', 'snapshots']);
    expect(missing).toBe('1 Fatal: the password command "no-such-program" was not found');
  });

  test('come from standard input', async () => {
    await place.must(['snapshots'], { variables: none, input: `${password}\nmore` });
  });

  test('of HOLDFAST win', async () => {
    const variables = { RESTIC_PASSWORD: 'wrong', RESTIC_PASSWORD_FILE: '/none' };
    await place.must(['snapshots'], { variables: { ...variables, HOLDFAST_PASSWORD: password } });
  });

  test('are refused when empty, missing or given twice', async () => {
    const empty = place.at('empty.txt');
    writeFileSync(empty, ' \n');
    expect(await failure(['snapshots'], { variables: none })).toMatch(
      /^1 Fatal: an empty password/,
    );
    expect(await failure(['-p', empty, 'snapshots'], { variables: none })).toMatch(
      /empty password/,
    );
    expect(await failure(['-p', '/none', 'snapshots'])).toBe(
      '1 Fatal: the password file "/none" does not exist',
    );
    const from = await place.run(['copy', '--from-repo', place.repository]);
    expect(from.errors).toMatch(/^Fatal: an empty password.*\n.*--from-password-file/);
    const added = await place.run(['key', 'add', '--new-password-file', empty]);
    expect(added.errors).toMatch(/^Fatal: an empty password.*\n.*--new-insecure-no-password/);
    const both = ['-p', empty, '--password-command', 'true', 'snapshots'];
    expect(await failure(both)).toMatch(/cannot be given together/);
    expect(await failure(['--insecure-no-password', 'snapshots'])).toMatch(
      /together with a password/,
    );
  });
});

describe('repository locations', () => {
  test('come from a file, but not from two places', async () => {
    const file = place.at('location.txt');
    writeFileSync(file, `${place.repository}\n`);
    const variables = { RESTIC_REPOSITORY: '' };
    await place.must(['--repository-file', file, 'snapshots'], { variables });
    expect(await failure(['--repository-file', file, 'snapshots'])).toMatch(/together/);
    expect(await failure(['snapshots'], { variables })).toBe('1 Fatal: no repository was named');
    expect(await failure(['-r', 'foo:bar', 'snapshots'])).toMatch(/^1 Fatal: "foo:bar"/);
  });

  test('hide their passwords', async () => {
    const server = await startScriptedServer((_, socket) => socket.write(answer(401)));
    const location = `rest:http://anna:topsecret@127.0.0.1:${server.port}/`;
    const run = await place.run(['-r', location, 'snapshots']);
    await server.stop();
    expect(run.exitCode).toBe(1);
    expect(run.errors).toMatch(/^Fatal: the storage does not accept/);
    expect(run.errors).not.toContain('topsecret');
  });
});

describe('init', () => {
  test('creates a repository once', async () => {
    const fresh = ['-r', place.at('fresh')];
    const [created] = await place.json([...fresh, 'init']);
    expect(created).toMatchObject({ message_type: 'initialized', repository: place.at('fresh') });
    expect(await failure([...fresh, 'init'])).toMatch(/^1 Fatal: a repository exists/);
    expect(JSON.parse(await place.must([...fresh, 'cat', 'config']))).toMatchObject({ version: 2 });
    const text = await place.must(['-r', place.at('other'), 'init', '--repository-version', '1']);
    expect(text).toMatch(/^created restic repository [0-9a-f]{10} at /);
  });

  test('copies chunker parameters', async () => {
    const from = ['--from-repo', place.repository, '--copy-chunker-params'];
    const variables = { RESTIC_FROM_PASSWORD: password, RESTIC_PASSWORD: 'another' };
    await place.must(['-r', place.at('copy'), 'init', ...from], { variables });
    const polynomial = async (args: string[]): Promise<unknown> => {
      const config: unknown = JSON.parse(
        await place.must([...args, 'cat', 'config'], { variables }),
      );
      return (config as { chunker_polynomial: string }).chunker_polynomial;
    };
    const original = JSON.parse(await place.must(['cat', 'config'])) as {
      chunker_polynomial: string;
    };
    expect(await polynomial(['-r', place.at('copy')])).toBe(original.chunker_polynomial);
    const missing = ['-r', place.at('x'), 'init', '--copy-chunker-params'];
    expect(await failure(missing)).toMatch(/needs a repository to copy from/);
    expect(existsSync(place.at('x'))).toBe(false);
  });
});

test('keys are added, listed, used, changed and removed', async () => {
  const folder = place.at('keys');
  await (await place.createRepository(folder)).close();
  const on = ['-r', folder];
  const file = place.at('new.txt');
  writeFileSync(file, 'second\n');
  const added = await place.must([
    ...on,
    'key',
    'add',
    '--new-password-file',
    file,
    '--user',
    'anna',
    '--host',
    'laptop',
  ]);
  const id = /saved new key with ID ([0-9a-f]{64})/.exec(added)?.[1] ?? '';
  expect(await place.must([...on, 'key', 'list'])).toMatch(/\*[0-9a-f]{8} {2}user {2}host/);
  const [list] = await place.json([...on, 'key', 'list']);
  expect(list).toMatchObject([
    { current: true, userName: 'user' },
    { current: false, id, userName: 'anna', hostName: 'laptop' },
  ]);
  const second = { variables: { RESTIC_PASSWORD: 'second' } };
  expect(await failure([...on, 'key', 'remove', id], second)).toMatch(/^1 Fatal: /);
  // The old password on the first line, the new one on the second.
  const input = `${password}\nthird\n`;
  const variables = { RESTIC_PASSWORD: '' };
  // As restic, in the same words with --json.
  expect(await place.must([...on, 'key', 'passwd', '--json'], { input, variables })).toMatch(
    /^saved new key with ID [0-9a-f]{64}\n$/,
  );
  expect(await failure([...on, 'key', 'list'])).toMatch(/^12 /);
  await place.must([...on, 'key', 'remove', id.slice(0, 8)], {
    variables: { RESTIC_PASSWORD: 'third' },
  });
  expect(await failure([...on, 'key', 'list'], second)).toMatch(/^12 /);
  expect(await failure([...on, 'key', 'add', '--new-insecure-no-password'], second)).toMatch(
    /^12 /,
  );
});

const isScriptThere = spawnSync('script', ['--version']).status === 0;

/** Names of locks; files that are being written are left out. */
function locksHeld(): string[] {
  const names = readdirSync(path.join(place.repository, 'locks'));
  return names.filter((name) => /^[0-9a-f]{64}$/.test(name));
}

/** Starts a backup that would take hours, and waits until it holds its lock. */
async function startSlow(): Promise<ChildProcess> {
  writeFileSync(place.at('slow'), randomBytes(3_000_000));
  const child = place.start(['--limit-upload', '1', 'backup', place.at('slow')]);
  while (locksHeld().length === 0) await systemClock.sleep(20);
  return child;
}

describe('interruption', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s stops in order and releases the lock',
    async (signal) => {
      const child = place.start(['backup', '--stdin']);
      const ended = finished(child);
      const locks = path.join(place.repository, 'locks');
      while (readdirSync(locks).length === 0) await systemClock.sleep(20);
      const startedMs = systemClock.monotonicMs();
      child.kill(signal);
      const { exitCode, errors } = await ended;
      expect(errors).toMatch(/^interrupted: stopping.*\nFatal: interrupted\n$/);
      expect(exitCode).toBe(130);
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(5000);
      expect(readdirSync(locks)).toEqual([]);
      expect(readdirSync(path.join(place.repository, 'snapshots'))).toEqual([]);
    },
  );

  test('of a slow upload is answered at once, and a second time removes the lock', async () => {
    const child = await startSlow();
    const ended = finished(child);
    child.kill('SIGINT');
    const [said] = (await once(child.stderr!, 'data')) as [Buffer];
    expect(said.toString()).toMatch(/^interrupted: stopping/);
    child.kill('SIGINT');
    expect((await ended).exitCode).toBe(130);
    expect(readdirSync(path.join(place.repository, 'locks'))).toEqual([]);
    expect(readdirSync(path.join(place.repository, 'snapshots'))).toEqual([]);
  });

  test('SIGUSR1 tells how far a backup is', async () => {
    const child = await startSlow();
    const ended = finished(child);
    let said = '';
    child.stdout?.on('data', (part: Buffer) => (said += part.toString()));
    while (!said.includes('1 files')) {
      child.kill('SIGUSR1');
      await systemClock.sleep(50);
    }
    child.kill('SIGTERM');
    expect((await ended).output).toMatch(/^\[\d+:\d\d\] .*1 files {2}2\.861 MiB/m);
  });

  test.skipIf(!isScriptThere)('a terminal that is closed ends it in order', async () => {
    writeFileSync(place.at('slow'), randomBytes(3_000_000));
    const args = ['-q', '--limit-upload', '1', 'backup', place.at('slow')];
    const line = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ');
    const terminal = spawn('script', ['-qec', line, '/dev/null'], {
      env: {
        ...process.env,
        RESTIC_REPOSITORY: place.repository,
        RESTIC_CACHE_DIR: place.at('cache'),
        RESTIC_PASSWORD: password,
      },
    });
    while (locksHeld().length === 0) await systemClock.sleep(20);
    terminal.kill('SIGKILL');
    while (locksHeld().length > 0) await systemClock.sleep(20);
    expect(readdirSync(path.join(place.repository, 'snapshots'))).toEqual([]);
  });

  test('SIGHUP, with which restic probes, does not end it', async () => {
    const child = place.start(['backup', '--stdin', '--stdin-filename', 'probed']);
    const ended = finished(child);
    const locks = path.join(place.repository, 'locks');
    while (readdirSync(locks).length === 0) await systemClock.sleep(20);
    child.kill('SIGHUP');
    child.stdin?.end('still here');
    expect((await ended).exitCode).toBe(0);
    expect(await place.must(['dump', 'latest', '/probed'])).toBe('still here');
  });

  test('SIGUSR1 neither ends it nor opens a debugger', async () => {
    const stdin = ['backup', '--no-cache', '--stdin', '--stdin-filename', 'asked'];
    const variables = { RESTIC_REPOSITORY: place.repository, RESTIC_PASSWORD: password };
    // As it is started by people: the flag for the runtime is in that script.
    const child = spawn(path.join(root, 'bin/holdfast'), stdin, {
      env: { ...process.env, ...variables },
    });
    const ended = finished(child);
    const locks = path.join(place.repository, 'locks');
    while (readdirSync(locks).length === 0) await systemClock.sleep(20);
    child.kill('SIGUSR1');
    child.stdin?.end('still here');
    const { exitCode, errors } = await ended;
    expect(errors).not.toContain('Debugger');
    expect(exitCode).toBe(0);
    expect(await place.must(['dump', 'latest', '/asked'])).toBe('still here');
  });

  test.skipIf(!existsSync('/dev/full'))('an output that is full is no success', () => {
    const full = openSync('/dev/full', 'w');
    try {
      for (const args of [['list', 'keys'], ['key', 'list'], ['help'], ['snapshots', '--json']]) {
        const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
          env: {
            ...process.env,
            RESTIC_REPOSITORY: place.repository,
            RESTIC_CACHE_DIR: place.at('cache'),
            RESTIC_PASSWORD: password,
          },
          stdio: ['ignore', full, 'pipe'],
          encoding: 'utf8',
        });
        expect(status, args.join(' ')).toBe(1);
        expect(stderr).toContain('Fatal: the output cannot be written: ENOSPC');
      }
    } finally {
      closeSync(full);
    }
    expect(locksHeld()).toEqual([]);
  });

  test('a closed output ends it quietly', async () => {
    const child = place.start(['list', 'snapshots']);
    child.stdout?.destroy();
    const { exitCode, errors } = await finished(child);
    // It may have written everything before it could notice.
    expect([0, 130]).toContain(exitCode);
    expect(errors).toBe('');
    expect(readdirSync(path.join(place.repository, 'locks'))).toEqual([]);
  });
});

/** Runs the program on a terminal of its own, and types an answer whenever it asks for a password. */
async function onTerminal(
  args: string[],
  answers: readonly string[],
): Promise<{ output: string; exitCode: number | null }> {
  const command = [process.execPath, program, ...args];
  const line = command.map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    env: {
      ...process.env,
      ...slowMachine,
      RESTIC_REPOSITORY: place.repository,
      RESTIC_CACHE_DIR: place.at('cache'),
      RESTIC_PASSWORD: '',
    },
  });
  const waiting = [...answers];
  let output = '';
  let seen = 0;
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString('utf8');
    for (;;) {
      const asked = /password[^\n]*: /.exec(output.slice(seen));
      if (!asked) return;
      seen += asked.index + asked[0].length;
      child.stdin.write(waiting.shift() ?? '');
    }
  });
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { output, exitCode };
}

describe.skipIf(!isScriptThere)('on a terminal', () => {
  test('a password is typed without echo, three times at most', async () => {
    const typed = ['typo\n', `${password}x\u007f\n`];
    const right = await onTerminal(['snapshots', '--no-lock'], typed);
    expect(right.exitCode).toBe(0);
    expect(right.output).toContain('wrong password, try again');
    expect(right.output).not.toContain(password);
    expect((await onTerminal(['snapshots'], ['a\n', 'b\n', 'c\n', 'd\n'])).exitCode).toBe(12);
  });

  test('a new password is typed twice', async () => {
    const fresh = ['-r', place.at('typed'), 'init'];
    const differs = await onTerminal(fresh, ['one\n', 'other\n']);
    expect(differs.output).toContain('the passwords do not match');
    expect(existsSync(place.at('typed', 'config'))).toBe(false);
    expect((await onTerminal(fresh, ['one\n', 'one\n'])).exitCode).toBe(0);
  });

  test('Ctrl-C at the prompt cancels', async () => {
    expect((await onTerminal(['snapshots'], ['abc\u0003'])).exitCode).toBe(130);
  });

  test('names with control characters are quoted', async () => {
    mkdirSync(place.at('names'), { recursive: true });
    writeFileSync(place.at('names', 'red\u001b[31m'), 'x');
    await place.must(['backup', '--host', 'names', place.at('names')]);
    const list = ['ls', 'latest', '--host', 'names', '--no-lock'];
    const shown = await onTerminal(list, [`${password}\n`]);
    expect(shown.output).toContain(String.raw`red\x1b[31m"`);
    expect(shown.output).not.toContain('\u001b[31m');
    expect(await place.must(list)).toContain('red\u001b[31m');
  });
});

test('bin/holdfast says what it is', () => {
  const program = path.join(root, 'bin/holdfast');
  if (!existsSync(path.join(root, 'dist/cli/main.js'))) return;
  const { stdout } = spawnSync(program, ['version', '--json'], { encoding: 'utf8' });
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(JSON.parse(stdout)).toMatchObject({ message_type: 'version', version });
});
