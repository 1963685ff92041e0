import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { manifestOf } from '../tools/manifest.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { type S3Server, startRadosgw } from '../tools/radosgw.ts';
import { mustRun, type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { slowMachine } from '../tools/slow-machine.ts';

const scratch = scratchFolder('interop-s3');

describeWith(['radosgw', 'restic'], 'a repository in a bucket', () => {
  let server: S3Server;
  let variables: Record<string, string>;
  const source = path.join(scratch.path, 'source');
  beforeAll(async () => {
    server = await startRadosgw(scratch.fresh('server'));
    const home = scratch.fresh('home');
    variables = {
      ...server.variables,
      HOME: home,
      RESTIC_REPOSITORY: `s3:${server.endpoint}/bucket/some/prefix`,
      RESTIC_PASSWORD: 'x',
    };
    mkdirSync(path.join(source, 'folder'), { recursive: true });
    for (let i = 0; i < 5; i++) writeFileSync(`${source}/folder/${i}`, noise(5_000_000, i));
    writeFileSync(`${source}/empty`, '');
  });
  afterAll(() => server.stop());

  const holdfast = (...args: readonly string[]): Promise<string> =>
    mustRun(process.execPath, [program, ...args], { variables });
  /** Makes a repository whose key costs little. */
  const init = (): Promise<string> =>
    mustRun(process.execPath, [program, 'init'], { variables: { ...variables, ...slowMachine } });
  const restic = (...args: readonly string[]): Promise<string> =>
    mustRun('restic', args, { variables });
  const failing = (more: Readonly<Record<string, string>>): Promise<ProgramRun> =>
    runProgram(process.execPath, [program, '--no-cache', 'snapshots'], {
      variables: { ...variables, ...more },
    });

  test('of Holdfast is checked, restored and continued by restic, and the other way', async () => {
    await init();
    await holdfast('backup', source);
    await restic('check', '--read-data');
    const ours = scratch.fresh('ours');
    await restic('restore', `latest:${source}`, '--target', ours);
    expect(manifestOf(ours)).toEqual(manifestOf(source));

    writeFileSync(`${source}/new`, noise(3_000_000, 77));
    await restic('backup', source);
    const theirs = scratch.fresh('theirs');
    await holdfast('restore', `latest:${source}`, '--target', theirs);
    expect(manifestOf(theirs)).toEqual(manifestOf(source));
    await holdfast('check', '--read-data');
    await holdfast('forget', '--keep-last', '1');
    await holdfast('prune', '--instant');
    await restic('check');
  });

  test('is told from none, and says what is wrong with the keys, without telling them', async () => {
    const nowhere = await failing({ RESTIC_REPOSITORY: `s3:${server.endpoint}/nowhere` });
    expect(nowhere.exitCode).toBe(10);
    const secret = 'NoSuchSecretAtAll';
    const wrong = await failing({ AWS_SECRET_ACCESS_KEY: secret });
    expect(wrong.exitCode).toBe(1);
    expect(wrong.errors).toContain('the secret key does not fit the access key');
    expect(wrong.errors).not.toContain(secret);
    const none = await failing({ AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' });
    expect(none.errors).toContain('no credentials were found for the storage');
  });
});
