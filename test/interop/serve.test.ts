import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:https';
import { createServer } from 'node:net';
import path from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemEnvironment } from '../../src/base/environment.ts';
import {
  cheapUsers,
  patient,
  startTestServer,
  type TestServer,
} from '../../src/serve/serve-test-support.ts';
import { treeDifferences } from '../tools/compare.ts';
import { checkAll, initRepository, listSnapshots } from '../tools/engine.ts';
import { modestHazardTree } from '../tools/hazard-tree.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticBackup, runRestic } from '../tools/restic.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { makeTree } from '../tools/tree-spec.ts';

const scratch = scratchFolder('serve-restic');
const tree = path.join(scratch.path, 'tree');
const root = path.join(scratch.path, 'root');
const userFile = path.join(scratch.path, 'users');
const users = { kind: 'file', path: userFile } as const;

function at({ port }: TestServer, place: string, user = 'anna:right'): string {
  return `rest:http://${user}@127.0.0.1:${port}/${place}`;
}

beforeAll(() => {
  writeFileSync(userFile, cheapUsers);
  makeTree(tree, modestHazardTree());
});

describeWith(['restic'], 'the official restic', () => {
  let server: TestServer;
  let appendOnly: TestServer;

  beforeAll(async () => {
    server = await startTestServer(root, { users, isPrivate: true });
    appendOnly = await startTestServer(root, { users, isPrivate: true, isAppendOnly: true });
    // Its key costs little, and restic opens it a dozen times.
    await initRepository(path.join(root, 'anna/cheap'));
  });
  afterAll(async () => {
    await server.stop();
    await appendOnly.stop();
  });

  test('makes a repository', async () => {
    await mustRestic(at(appendOnly, 'anna/made'), ['init']);
    expect(existsSync(path.join(root, 'anna/made/config'))).toBe(true);
    const again = await runRestic(at(appendOnly, 'anna/made'), ['init']);
    expect([again.exitCode, again.errors]).toEqual([1, expect.stringContaining('already')]);
  });

  test('backs up, checks, restores, forgets and prunes; Holdfast finds all well', async () => {
    const repository = at(server, 'anna/cheap');
    await resticBackup(repository, ['tree'], { cwd: scratch.path });
    await mustRestic(repository, ['check', '--read-data']);
    const target = scratch.fresh('restored');
    await mustRestic(repository, ['restore', 'latest', '--target', target]);
    expect(await treeDifferences(tree, path.join(target, 'tree'))).toEqual([]);
    writeFileSync(path.join(tree, 'new'), 'new');
    await resticBackup(repository, ['tree'], { cwd: scratch.path });
    await mustRestic(repository, ['forget', '--keep-last', '1', '--prune']);
    const folder = path.join(root, 'anna/cheap');
    expect((await listSnapshots(folder)).length).toBe(1);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => name.includes('tmp'))).toEqual([]);
    expect(readdirSync(path.join(folder, 'locks'))).toEqual([]);
    expect(await checkAll(folder)).toMatchObject({ errorCount: 0 });
  });

  test('is refused without the password, and at what is of somebody else', async () => {
    const wrong = await runRestic(at(server, 'anna/cheap', 'anna:wrong'), ['snapshots']);
    expect([wrong.exitCode, wrong.errors]).toEqual([1, expect.stringContaining('401')]);
    const foreign = await runRestic(at(server, 'anna/cheap', 'bob:other'), ['snapshots']);
    expect([foreign.exitCode, foreign.errors]).toEqual([1, expect.stringContaining('403')]);
    expect([...server.logged, ...server.told].join('\n')).not.toMatch(/wrong|right|other/);
  });

  test('adds to what is append-only, and takes nothing away', async () => {
    const repository = at(appendOnly, 'anna/cheap');
    const folder = path.join(root, 'anna/cheap');
    await resticBackup(repository, ['tree'], { cwd: scratch.path });
    // What only a snapshot used that is gone: a prune has something to remove.
    const { snapshot_id: id } = await resticBackup(repository, [userFile]);
    unlinkSync(path.join(folder, 'snapshots', id));
    const before = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
    const forget = await runRestic(repository, ['forget', '--keep-last', '1']);
    expect(forget.errors).toContain('403');
    const prune = await runRestic(repository, ['prune', '--max-unused', '0']);
    expect([prune.exitCode, prune.errors]).toEqual([1, expect.stringContaining('403')]);
    await mustRestic(repository, ['unlock', '--remove-all']);
    const after = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(after).toEqual(expect.arrayContaining(before));
    expect(await checkAll(folder)).toMatchObject({ errorCount: 0 });
  });

  test('comes through a socket of the machine', async () => {
    const socket = path.join(scratch.path, 'socket');
    const address = { kind: 'socket', path: socket } as const;
    const near = await startTestServer(root, { address });
    const repository = `rest:http+unix://${socket}:/anna/cheap/`;
    expect(await mustRestic(repository, ['snapshots', '--json'])).toContain('tree');
    // One that listens is not pushed aside; one that was left is.
    await expect(startTestServer(root, { address })).rejects.toMatchObject({ code: 'USAGE' });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await near.stop();
    expect(existsSync(socket)).toBe(false);
    // As a server leaves it that was killed.
    const left = createServer();
    await new Promise<void>((resolve) => {
      left.listen(socket, resolve);
    });
    renameSync(socket, `${socket}-left`);
    await new Promise((resolve) => {
      left.close(resolve);
    });
    renameSync(`${socket}-left`, socket);
    await (await startTestServer(root, { address })).stop();
  });
});

function openssl(...args: readonly string[]): Promise<string> {
  return mustRun('openssl', args);
}

/** What is looked at every ten seconds is, a thousand times as often. */
function every(ms: number, action: () => void): ReturnType<typeof systemClock.every> {
  return systemClock.every(ms / 1000, action);
}

/** Makes an authority of its own and a certificate by it for this machine; returns the files. */
async function makeCertificate(
  name: string,
): Promise<Record<'ca' | 'certificate' | 'key', string>> {
  const folder = path.join(scratch.path, name);
  mkdirSync(folder);
  const file = (kind: string): string => path.join(folder, kind);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-x509', '-subj', `/CN=${name}`, '-days', '2'];
  await openssl('req', ...key, ...ca, '-keyout', file('ca-key'), '-out', file('ca'));
  const request = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await openssl('req', ...key, ...request, '-keyout', file('key'), '-out', file('request'));
  const sign = ['-CA', file('ca'), '-CAkey', file('ca-key'), '-copy_extensions', 'copy'];
  const files = ['-in', file('request'), '-out', file('certificate'), '-days', '2'];
  await openssl('x509', '-req', ...files, ...sign);
  return { ca: file('ca'), certificate: file('certificate'), key: file('key') };
}

/** Whether a client that trusts this authority gets an answer. */
function reaches(port: number, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', path: '/anna/cheap/config', ca, agent: false });
    request.once('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('error', () => resolve(false));
  });
}

describeWith(['restic', 'openssl'], 'TLS', () => {
  test('serves with a certificate, and with another as soon as that is there', async () => {
    const [first, second] = [await makeCertificate('first'), await makeCertificate('second')];
    const files = {
      certificate: path.join(root, 'public_key'),
      key: path.join(root, 'private_key'),
    };
    const install = (made: typeof first): void => {
      cpSync(made.certificate, files.certificate);
      cpSync(made.key, files.key);
    };
    install(first);
    const server = await startTestServer(root, {
      tls: { files, versionMin: 'TLSv1.3' },
      environment: { ...systemEnvironment, clock: { ...systemClock, every } },
    });
    const repository = `rest:https://127.0.0.1:${server.port}/anna/cheap`;
    await mustRestic(repository, ['--cacert', first.ca, 'snapshots']);
    const isTrusted = (ca: string): Promise<boolean> => reaches(server.port, readFileSync(ca));
    expect([await isTrusted(first.ca), await isTrusted(second.ca)]).toEqual([true, false]);
    // Half of a pair is not used.
    cpSync(second.certificate, files.certificate);
    await expect
      .poll(() => server.told.join('\n'), patient)
      .toContain('the TLS certificate before stays');
    expect(await isTrusted(first.ca)).toBe(true);
    install(second);
    await expect
      .poll(() => server.told.join('\n'), patient)
      .toContain('read the TLS certificate anew');
    expect([await isTrusted(first.ca), await isTrusted(second.ca)]).toEqual([false, true]);
    await expect(
      new Promise((resolve, reject) => {
        const old = connect({ port: server.port, host: '127.0.0.1', maxVersion: 'TLSv1.2' });
        old.once('secureConnect', resolve).once('error', reject);
      }),
    ).rejects.toThrow();
    await server.stop();
  });
});
