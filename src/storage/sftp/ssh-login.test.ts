import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import ssh2 from 'ssh2';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { freePort, makeKey, SshServer } from '../../../test/tools/ssh-server.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { describeError, isHoldfastError } from '../../base/errors.ts';
import { openBackend } from '../open.ts';
import { ImpatientClock } from '../test-support.ts';

const scratch = scratchFolder('ssh-login');

/** How an attempt ends: `in`, or the error as a person sees it, with its code and hint. */
async function logIn(location: string, args: string): Promise<string> {
  try {
    const extended = new Map([['sftp.args', args]]);
    const environment = { ...systemEnvironment, clock: new ImpatientClock() };
    const backend = await openBackend(location, { environment, extended });
    await backend.close();
    return 'in';
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return `${error.code}: ${describeError(error)} | ${error.hint ?? ''}`;
  }
}

describeWith(['sshd'], 'logging in by SSH', () => {
  let server: SshServer;
  let other: SshServer;
  beforeAll(async () => {
    server = await SshServer.start({ folder: scratch.fresh('server') });
    other = await SshServer.start({ folder: scratch.fresh('other') });
  });
  afterAll(async () => {
    await server.stop();
    await other.stop();
  });

  const hostKey = (): string => readFileSync(`${server.hostKey}.pub`, 'utf8');
  const print = (): string =>
    execFileSync('ssh-keygen', ['-lf', `${server.hostKey}.pub`])
      .toString()
      .split(' ')[1] ?? '';
  const enter = (lines: readonly string[] = []): Promise<string> => {
    server.writeClientSettings(lines);
    return logIn(server.location(scratch.path), `-F ${server.clientSettings}`);
  };

  test('says of an unknown host key what it is and what to do, and sends nothing', async () => {
    writeFileSync(server.knownHosts, '');
    const said = await enter();
    expect(said).toMatch(/^SERVER_NOT_TRUSTED: the host key of \[127\.0\.0\.1\]:\d+ is not known /);
    expect(said).toContain(`fingerprint: ${print()}`);
    expect(said).toContain(`"ssh -p ${server.port} 127.0.0.1"`);
  });

  test('is loud about a host key that has changed, whatever the settings allow', async () => {
    server.know(readFileSync(`${other.hostKey}.pub`, 'utf8'));
    for (const lines of [[], ['StrictHostKeyChecking no'], ['StrictHostKeyChecking accept-new']]) {
      const said = await enter(lines);
      expect(said).toMatch(/^SERVER_NOT_TRUSTED: THE HOST KEY OF \[127\.0\.0\.1\]:\d+ HAS CHANGED/);
      expect(said).toContain(`knownBy: ${server.knownHosts}:1`);
    }
  });

  test('knows hashed names, and does not take a revoked key', async () => {
    server.know(hostKey());
    execFileSync('ssh-keygen', ['-q', '-H', '-f', server.knownHosts], { stdio: 'ignore' });
    expect(await enter()).toBe('in');
    const [type, base64] = hostKey().split(' ');
    writeFileSync(server.knownHosts, `@revoked * ${type} ${base64}\n`, { flag: 'a' });
    expect(await enter()).toMatch(/^SERVER_NOT_TRUSTED: the host key of .* is revoked/);
  });

  test('takes a new key where the settings say so, and knows it from then on', async () => {
    writeFileSync(server.knownHosts, '# none yet');
    const lines = ['StrictHostKeyChecking accept-new', 'HashKnownHosts yes'];
    expect(await enter(lines)).toBe('in');
    expect(readFileSync(server.knownHosts, 'utf8')).toMatch(/^# none yet\n\|1\|/);
    expect(await enter()).toBe('in');
  });

  test('names a key with a passphrase, and the agent as the way to use it', async () => {
    server.know(hostKey());
    const locked = scratch.fresh('locked');
    makeKey(locked, 'secret words');
    server.writeClientSettings([]);
    const settings = scratch.fresh('settings');
    const own = `IdentityFile ${locked}\nIdentitiesOnly yes\nIdentityAgent none\n`;
    writeFileSync(settings, `${own}UserKnownHostsFile ${server.knownHosts}\n`);
    const said = await logIn(server.location('x'), `-F ${settings}`);
    expect(said).toMatch(/^LOGIN_REFUSED: .* an identity file has a passphrase/);
    expect(said).toContain(`withPassphrase: ${locked}`);
    expect(said).toContain('ssh-add');
  });

  test('logs in with the agent, also with a key whose file has a passphrase', async () => {
    const locked = scratch.fresh('of-agent');
    makeKey(locked);
    const added = readFileSync(`${locked}.pub`, 'utf8');
    writeFileSync(path.join(server.folder, 'authorized'), added, { flag: 'a' });
    const agent = scratch.fresh('agent');
    const child = spawn('ssh-agent', ['-D', '-a', agent], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    try {
      const variables = { ...process.env, SSH_AUTH_SOCK: agent };
      // Keys that the server does not know come first in the agent: with the file named, the right one comes before them.
      for (let count = 0; count < 7; count++) {
        const useless = scratch.fresh('useless');
        makeKey(useless);
        execFileSync('ssh-add', ['-q', useless], { env: variables, stdio: 'ignore' });
      }
      execFileSync('ssh-add', ['-q', locked], { env: variables, stdio: 'ignore' });
      execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', locked]);
      const settings = scratch.fresh('settings');
      const own = `IdentityFile ${locked}\nIdentityAgent ${agent}\n`;
      writeFileSync(settings, `${own}UserKnownHostsFile ${server.knownHosts}\n`);
      expect(await logIn(server.location('x'), `-F ${settings}`)).toBe('in');
    } finally {
      child.kill();
    }
  });

  test('says that a login was refused, and with what it was tried', async () => {
    const stranger = scratch.fresh('stranger');
    makeKey(stranger);
    const settings = scratch.fresh('settings');
    const own = `IdentityFile ${stranger}\nIdentitiesOnly yes\nIdentityAgent none\n`;
    writeFileSync(settings, `${own}UserKnownHostsFile ${server.knownHosts}\n`);
    const said = await logIn(server.location('x'), `-F ${settings}`);
    expect(said).toMatch(/^LOGIN_REFUSED: the server refused the login \(host: 127\.0\.0\.1/);
    expect(said).toContain('agent: none, identityFiles: 1');
  });

  test.each(['ProxyJump', 'ProxyCommand'])('goes through a jump host by %s', async (way) => {
    server.know(hostKey());
    const jump = scratch.fresh('jump');
    writeFileSync(
      jump,
      [
        'Host jump',
        '  HostName 127.0.0.1',
        `  Port ${other.port}`,
        `  IdentityFile ${other.userKey}`,
        `  UserKnownHostsFile ${other.knownHosts}`,
        'Host target',
        '  HostName 127.0.0.1',
        `  Port ${server.port}`,
        `  IdentityFile ${server.userKey}`,
        `  UserKnownHostsFile ${server.knownHosts}`,
        way === 'ProxyJump' ? '  ProxyJump jump' : `  ProxyCommand ssh -F ${jump} -W %h:%p jump`,
        'Host *',
        '  IdentitiesOnly yes',
        '  IdentityAgent none',
        '',
      ].join('\n'),
    );
    expect(await logIn(`sftp:${server.user}@target:${scratch.path}`, `-F ${jump}`)).toBe('in');
    expect(other.sessions().length).toBeLessThanOrEqual(1);
    writeFileSync(other.knownHosts, '');
    const said = await logIn(`sftp:${server.user}@target:${scratch.path}`, `-F ${jump}`);
    other.know(readFileSync(`${other.hostKey}.pub`, 'utf8'));
    const expected = way === 'ProxyJump' ? 'SERVER_NOT_TRUSTED' : 'BACKEND_UNAVAILABLE';
    expect(said).toContain(expected);
  });

  test('runs no shell for a ProxyCommand that needs one', async () => {
    const touched = scratch.fresh('touched');
    const said = await enter([`ProxyCommand nc %h %p; touch ${touched}`]);
    expect(said).toMatch(/^UNSUPPORTED: the ProxyCommand needs a shell/);
    expect(() => readFileSync(touched)).toThrow();
  });

  test('says what is wrong with a place where there is no server', async () => {
    server.writeClientSettings([]);
    const port = await freePort();
    const at = `sftp://${server.user}@127.0.0.1:${port}/x`;
    expect(await logIn(at, `-F ${server.clientSettings}`)).toMatch(
      /^BACKEND_UNAVAILABLE: the server refuses the connection: .* \(host: 127\.0\.0\.1, port: \d+\)/,
    );
    expect(await logIn('sftp:-oProxyCommand=x:y', '-F none')).toMatch(/^LOCATION_INVALID/);
    expect(await logIn('sftp:host:y', '-o NoSuchSetting=1')).toMatch(/^USAGE: ssh refuses /);
  });
});

/** A server that takes one password, by the rules of its maker. */
function passwordServer(password: string, hostKey: string): InstanceType<typeof ssh2.Server> {
  return new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (attempt) => {
      if (attempt.method === 'password' && attempt.password === password) attempt.accept();
      else attempt.reject(['password']);
    });
    client.on('ready', () =>
      client.on('session', (accept) =>
        accept().on('sftp', (acceptSftp) => {
          const sftp = acceptSftp();
          sftp.on('STAT', (id) => sftp.status(id, 2));
          sftp.on('LSTAT', (id) => sftp.status(id, 2));
        }),
      ),
    );
  });
}

describeWith(['sshd'], 'a password in the location', () => {
  test('opens the server, and is never shown', async () => {
    const folder = scratch.fresh('password');
    const keys = await SshServer.start({ folder });
    await keys.stop();
    const server = passwordServer('hunter2 $x', readFileSync(keys.hostKey, 'utf8'));
    await new Promise<void>((resolve) => server.listen(keys.port, '127.0.0.1', resolve));
    try {
      const args = `-F ${keys.clientSettings}`;
      const at = (password: string): string =>
        `sftp://me:${encodeURIComponent(password)}@127.0.0.1:${keys.port}/x`;
      expect(await logIn(at('hunter2 $x'), args)).toBe('in');
      const said = await logIn(at('wrong-secret'), args);
      expect(said).toMatch(/^LOGIN_REFUSED/);
      expect(said).not.toContain('wrong-secret');
      const extended = new Map([['sftp.args', args]]);
      const options = { environment: systemEnvironment, extended };
      const backend = await openBackend(at('hunter2 $x'), options);
      expect(backend.location).toBe(`sftp://me@127.0.0.1:${keys.port}/x`);
      await backend.close();
    } finally {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });
});
