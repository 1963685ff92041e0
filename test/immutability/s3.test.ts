import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { cheapKeyed, hurried } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { describeWith } from '../tools/peers.ts';
import { type S3Server, startRadosgw } from '../tools/radosgw.ts';
import { S3Attacker } from '../tools/s3-attacker.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('immutability-s3');

describeWith(['radosgw'], 'a repository with locks in a bucket', () => {
  let server: S3Server;
  const source = path.join(scratch.path, 'source');
  beforeAll(async () => {
    server = await startRadosgw(scratch.fresh('server'));
    mkdirSync(path.join(source, 'folder'), { recursive: true });
    for (let i = 0; i < 4; i++) writeFileSync(`${source}/folder/${i}`, noise(300_000, i));
    writeFileSync(`${source}/empty`, '');
  });
  afterAll(() => server.stop());

  const run = async (bucket: string, ...args: readonly string[]): Promise<CommandRun> =>
    runCommand(['--no-cache', ...args], {
      variables: {
        ...server.variables,
        RESTIC_REPOSITORY: `s3:${server.endpoint}/${bucket}`,
        RESTIC_PASSWORD: 'x',
      },
      environment: args[0] === 'init' ? cheapKeyed() : hurried,
    });
  const succeed = async (bucket: string, ...args: readonly string[]): Promise<string> => {
    const { exitCode, output, errors } = await run(bucket, ...args);
    expect(`${exitCode} ${errors}`).toBe('0 ');
    return output;
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
    await attacker.overwrite(keys.filter((_, i) => i % 3 === 0));
    await attacker.remove(keys.filter((_, i) => i % 3 === 1));
    expect((await run('attacked', 'snapshots')).exitCode).not.toBe(0);

    console.log(await run('attacked', 'rescue', '--dry-run'));
    console.log(await run('attacked', 'rescue'));
    const target = scratch.fresh('target');
    await succeed('attacked', 'restore', `latest:${source}`, '--target', target);
    expect(manifestOf(target)).toEqual(manifestOf(source));
    await succeed('attacked', 'check', '--read-data');
    console.log(await run('attacked', 'immutability', '--attack'));
  });
});
