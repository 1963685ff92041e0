import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { treeDifferences } from '../tools/compare.ts';
import { initRepository, password, singleThreaded } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { SshServer } from '../tools/ssh-server.ts';

const scratch = scratchFolder('interop-sftp');

describeWith(['restic', 'sshd', 'rsync', 'bsdtar'], 'a repository behind SSH', () => {
  let server: SshServer;
  const source = path.join(scratch.path, 'source');
  beforeAll(async () => {
    server = await SshServer.start({ folder: scratch.fresh('server') });
    mkdirSync(path.join(source, 'folder'), { recursive: true });
    writeFileSync(path.join(source, 'folder', 'small'), 'content');
    writeFileSync(path.join(source, 'large'), Buffer.alloc(3_000_000, 'some text '));
  });
  afterAll(() => server.stop());

  const sshOptions = (): string[] => ['-o', `sftp.args=-F ${server.clientSettings}`];

  /** Runs one of our commands, which must end well. */
  async function holdfast(folder: string, ...args: string[]): Promise<string> {
    const run = await runCommand(
      [...args, '--no-cache', '--repo', server.location(folder), ...sshOptions()],
      { variables: { RESTIC_PASSWORD: password }, environment: singleThreaded },
    );
    expect(run.errors).toBe('');
    expect(run.exitCode).toBe(0);
    return run.output;
  }

  const restic = (folder: string, ...args: string[]): Promise<string> =>
    mustRestic(server.location(folder), [...sshOptions(), ...args]);

  test('written by us, restic checks and restores it, and goes on', async () => {
    const folder = scratch.fresh('ours');
    // Made past SSH: a key that costs little.
    await initRepository(folder);
    await holdfast(folder, 'backup', source);
    await holdfast(folder, 'check', '--read-data');
    expect(await restic(folder, 'check', '--read-data')).toContain('no errors were found');
    const target = scratch.fresh('restored');
    await restic(folder, 'restore', 'latest', '--target', target);
    expect(await treeDifferences(source, path.join(target, source))).toEqual([]);
    await restic(folder, 'backup', source);
    await holdfast(folder, 'forget', '--keep-last', '1', '--group-by', '', '--prune');
    await holdfast(folder, 'check', '--read-data');
  });

  test('written by restic, we check and restore it', async () => {
    const folder = scratch.fresh('theirs');
    await restic(folder, 'init');
    await restic(folder, 'backup', source);
    await holdfast(folder, 'check', '--read-data');
    const target = scratch.fresh('restored');
    await holdfast(folder, 'restore', 'latest', '--target', target);
    expect(await treeDifferences(source, path.join(target, source))).toEqual([]);
  });
});
