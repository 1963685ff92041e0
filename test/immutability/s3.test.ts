import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { cheapKeyed, hurried } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { describeWith } from '../tools/peers.ts';
import {
  type RadosgwOptions,
  radosgws,
  radosgwStartMsMax,
  type S3Server,
  startRadosgw,
} from '../tools/radosgw.ts';
import { mustRun } from '../tools/run-program.ts';
import { S3Attacker } from '../tools/s3-attacker.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('immutability-s3');

describeWith(['radosgw', 'restic'], 'a repository with locks in a bucket', () => {
  describe.each(radosgws)('of radosgw %s', (_, options) => locksHold(options));
});

function locksHold(options: RadosgwOptions): void {
  let server: S3Server;
  const source = path.join(scratch.path, 'source');
  beforeAll(async () => {
    server = await startRadosgw(scratch.fresh('server'), options);
    mkdirSync(path.join(source, 'folder'), { recursive: true });
    for (let i = 0; i < 3; i++) writeFileSync(`${source}/folder/${i}`, noise(100_000, i));
    writeFileSync(`${source}/empty`, '');
  }, radosgwStartMsMax);
  afterAll(() => server.stop());

  const variablesOf = (bucket: string): Record<string, string> => ({
    ...server.variables,
    RESTIC_REPOSITORY: `s3:${server.endpoint}/${bucket}`,
    RESTIC_PASSWORD: 'x',
  });
  const run = async (bucket: string, ...args: readonly string[]): Promise<CommandRun> =>
    runCommand(['--no-cache', ...args], {
      variables: variablesOf(bucket),
      environment: args[0] === 'init' ? cheapKeyed() : hurried,
    });
  const succeed = async (bucket: string, ...args: readonly string[]): Promise<string> => {
    const { exitCode, output, errors } = await run(bucket, ...args);
    expect(`${exitCode} ${errors}`, output).toBe('0 ');
    return output;
  };
  const isWhole = async (bucket: string): Promise<void> => {
    const target = scratch.fresh('target');
    await succeed(bucket, 'restore', `latest:${source}`, '--target', target);
    expect(manifestOf(target)).toEqual(manifestOf(source));
  };

  test('survives somebody who overwrites and deletes everything', async () => {
    await succeed('attacked', 'init', '--lock', '1d');
    await succeed('attacked', 'backup', source);
    const attacker = new S3Attacker(server, 'attacked');
    const keys = await attacker.keys();
    await attacker.overwrite(keys);
    await attacker.remove(keys.filter((_, i) => i % 2 === 0));
    const { refusedCount } = await attacker.removeVersions();
    expect(refusedCount).toBe(keys.length);
    await attacker.overwrite(keys.filter((key) => !key.startsWith('data/')));
    await attacker.remove(keys.filter((key) => !key.startsWith('config')));
    expect((await run('attacked', 'snapshots')).exitCode).not.toBe(0);

    const planned = await succeed('attacked', 'rescue', '--dry-run', '--json');
    expect(await attacker.keys()).toEqual(['config']);
    const done = await succeed('attacked', 'rescue', '--json');
    expect(JSON.parse(done)).toEqual({ ...JSON.parse(planned), dry_run: false });
    const { restored, replaced, lost } = JSON.parse(done);
    expect([restored.length, replaced, lost]).toEqual([keys.length - 1, ['config'], []]);
    await isWhole('attacked');
    await mustRun('restic', ['--no-cache', '--no-lock', 'check', '--read-data'], {
      variables: { ...variablesOf('attacked'), HOME: scratch.fresh('home') },
    });
    expect(await succeed('attacked', 'rescue')).toContain('brought back: nothing');
    // What stands beside the config was put back with it.
    expect(await succeed('attacked', 'immutability')).toContain('promised: 1 days');
  });

  test('is read past overwritten and removed packs, before any rescue', async () => {
    await succeed('passed', 'init', '--lock', '1d');
    await succeed('passed', 'backup', source);
    const attacker = new S3Attacker(server, 'passed');
    const [first = '', ...others] = await attacker.keys('data/');
    expect(others.length).toBeGreaterThan(0);
    await attacker.overwrite([first, ...(await attacker.keys('snapshots/'))]);
    await attacker.remove(others);
    await isWhole('passed');
    // Shorter ones are noticed at once, others when they are opened.
    await attacker.overwrite([first, ...others], 400_000);
    await isWhole('passed');
    const seen = await run('passed', 'immutability');
    expect(seen.exitCode).toBe(1);
    expect(seen.errors).toContain('was removed or overwritten: run "holdfast rescue"');
  });

  test('keeps to a longer promise once its locks are extended', async () => {
    await succeed('extended', 'init', '--lock', '1d');
    await succeed('extended', 'backup', source);
    expect(JSON.parse(await succeed('extended', 'immutability', '--json'))).toMatchObject({
      promised: { mode: 'governance', days: 1 },
      snapshots: [{ kept: true }],
    });
    const promised = await run('extended', 'immutability', '--lock', '2w');
    expect(promised.exitCode).toBe(1);
    expect(promised.output).toContain('NO: ');
    expect(await succeed('extended', 'immutability', '--extend')).toContain(
      'extended the locks of ',
    );
    expect(await succeed('extended', 'immutability', '--extend')).toContain(
      'extended the locks of 0 files',
    );
    // The promise is for whoever opens the repository.
    writeFileSync(`${source}/new`, noise(50_000, 9));
    await succeed('extended', 'backup', source);
    const { snapshots } = JSON.parse(await succeed('extended', 'immutability', '--json'));
    expect(snapshots).toMatchObject([{ kept: true }, { kept: true }]);
  });

  test('prune keeps what is locked, and says until when', async () => {
    await succeed('pruned', 'init', '--lock', '1d');
    await succeed('pruned', 'backup', source);
    const attacker = new S3Attacker(server, 'pruned');
    const packs = await attacker.keys('data/');
    await succeed('pruned', 'backup', `${source}/empty`);
    const kept = /kept [0-9]+ packs that are of no use: the storage locks them until 20[0-9]{2}-/;
    await succeed('pruned', 'forget', '--keep-last', '1', '--group-by', '');
    expect(await succeed('pruned', 'prune')).toContain('marked');
    expect(await succeed('pruned', 'prune', '--keep-delete', '0s')).toMatch(kept);
    expect(await succeed('pruned', 'prune', '--keep-delete', '0s')).toMatch(kept);
    expect(await succeed('pruned', 'prune', '--instant')).toMatch(kept);
    expect(await attacker.keys('data/')).toEqual(expect.arrayContaining(packs));
    await succeed('pruned', 'check');
    // What was forgotten can be brought back with all its data.
    expect(await succeed('pruned', 'rescue')).toMatch(/brought back: .*1 snapshot file/);
  });

  test('works on a bucket that locks everything, locks of commands included', async () => {
    const attacker = new S3Attacker(server, 'default');
    const bucket = { Bucket: 'default' };
    await attacker.client.send(
      new CreateBucketCommand({ ...bucket, ObjectLockEnabledForBucket: true }),
    );
    const rule = { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } } as const;
    const configuration = { ObjectLockEnabled: 'Enabled', Rule: rule } as const;
    await attacker.client.send(
      new PutObjectLockConfigurationCommand({ ...bucket, ObjectLockConfiguration: configuration }),
    );
    await succeed('default', 'init');
    await succeed('default', 'backup', source);
    expect(await attacker.keys('locks/')).toEqual([]);
    const { default: byDefault, snapshots } = JSON.parse(
      await succeed('default', 'immutability', '--json'),
    );
    expect(byDefault).toEqual({ mode: 'compliance', days: 1 });
    // The key was stored first, so its lock is the first to end.
    expect(snapshots).toMatchObject([{ weakest: expect.stringContaining('key'), kept: true }]);
    expect(Date.parse(snapshots[0].locked_until)).toBeGreaterThan(Date.parse(snapshots[0].stored));
  });

  test('tells what these credentials can do about the locks', async () => {
    await succeed('governed', 'init', '--lock', '1d');
    await succeed('governed', 'backup', source);
    const governed = await run('governed', 'immutability', '--attack', '--sample', '1', '--json');
    const told = JSON.parse(governed.output).attacks.map(
      ({ target, attempt, answer, safe }: Record<string, string | boolean>) =>
        `${target === 'canary' ? target : 'pack'} ${attempt} ${answer} ${safe}`,
    );
    // Its owner may lift locks of governance.
    expect(told).toEqual([
      'canary overwrite accepted true',
      'canary shorten refused true',
      'canary bypass accepted false',
      'canary delete refused true',
      'pack delete refused true',
      'pack shorten refused true',
    ]);
    expect(governed.exitCode).toBe(1);

    await succeed('complied', 'init', '--lock', '1d', '--lock-mode', 'compliance');
    await succeed('complied', 'backup', source);
    const complied = await succeed('complied', 'immutability', '--attack');
    expect(complied).not.toContain('SUCCEEDED');
    expect(complied).toMatch(/attack on pack [0-9a-f]{8}, bypass: refused/);
    await isWhole('complied');
  });

  test('is refused where files cannot be locked', async () => {
    const attacker = new S3Attacker(server, 'plain');
    await attacker.client.send(new CreateBucketCommand({ Bucket: 'plain' }));
    const refused = await run('plain', 'init', '--lock', '30d');
    expect(refused.exitCode).toBe(1);
    expect(refused.errors).toContain('cannot lock files: Object Lock is not turned on');
    expect(await attacker.keys()).toEqual([]);
  });

  test('prune says that it may not remove, and changes nothing', async () => {
    await succeed('adding', 'init');
    await succeed('adding', 'backup', source);
    await succeed('adding', 'backup', `${source}/empty`);
    await succeed('adding', 'forget', '--keep-last', '1', '--group-by', '');
    const attacker = new S3Attacker(server, 'adding');
    const folders = ['data', 'index', 'snapshots', 'keys'];
    const statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:DeleteObject',
      Resource: folders.map((folder) => `arn:aws:s3:::adding/${folder}/*`),
    };
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    await attacker.client.send(new PutBucketPolicyCommand({ Bucket: 'adding', Policy: policy }));
    const before = await attacker.keys();
    for (const args of [['prune'], ['prune', '--instant']]) {
      const { exitCode, errors } = await run('adding', ...args);
      expect(exitCode).toBe(1);
      expect(errors).toContain('the storage is append-only for these credentials');
    }
    expect(await attacker.keys()).toEqual(before);
    await succeed('adding', 'backup', source);
  });
}
