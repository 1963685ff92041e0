import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { type DialectName, dialects } from '../model-s3/dialects.ts';
import { type ModelS3, startModelS3 } from '../model-s3/model-s3.ts';
import { cheapKeyed, hurried } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { S3Attacker } from '../tools/s3-attacker.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('immutability-dialects');
const source = path.join(scratch.path, 'source');
beforeAll(() => {
  mkdirSync(source);
  for (let i = 0; i < 3; i++) writeFileSync(`${source}/${i}`, noise(50_000, i));
});

function run(model: ModelS3, ...args: readonly string[]): Promise<CommandRun> {
  const variables = {
    ...model.variables,
    RESTIC_REPOSITORY: `s3:${model.endpoint}/bucket`,
    RESTIC_PASSWORD: 'x',
  };
  const environment = args[0] === 'init' ? cheapKeyed() : hurried;
  return runCommand(['--no-cache', ...args], { variables, environment });
}

async function succeed(model: ModelS3, ...args: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await run(model, ...args);
  expect(`${exitCode} ${errors}`, output).toBe('0 ');
  return output;
}

/** radosgw itself is asked in s3.test.ts. */
const locking: readonly DialectName[] = ['aws', 'b2', 'minio'];

describe.each(locking)('locks, as of %s', (dialect) => {
  test(`of ${dialects[dialect].vendor} survive an attack, and everything is put back`, async () => {
    await using model = disposable(await startModelS3({ dialect, region: 'us-east-1' }));
    await succeed(model, 'init', '--lock', '1d', '--lock-mode', 'compliance');
    await succeed(model, 'backup', source);
    expect(await succeed(model, 'immutability', '--attack')).not.toContain('SUCCEEDED');
    const attacker = new S3Attacker(model, 'bucket');
    const keys = (await attacker.keys()).filter((key) => !key.startsWith('canary/'));
    await attacker.overwrite(keys);
    await attacker.remove(keys.filter((_, i) => i % 2 === 0));
    const { refusedCount } = await attacker.removeVersions();
    // The canary is one of them.
    expect(refusedCount).toBe(keys.length + 1);
    await attacker.overwrite(keys.filter((_, i) => i % 3 === 0));
    // A mark in front of a mark, within one second.
    for (let i = 0; i < 2; i++) await attacker.remove(keys.filter((_, at) => at % 3 !== 0));
    await succeed(model, 'rescue');
    const target = scratch.fresh('target');
    await succeed(model, 'restore', `latest:${source}`, '--target', target);
    expect(manifestOf(target)).toEqual(manifestOf(source));
    await succeed(model, 'check', '--read-data');
    expect(await succeed(model, 'immutability', '--extend')).toContain('promised: 1 days');
  });
});

test('R2, which has no such locks, is refused', async () => {
  await using model = disposable(await startModelS3({ dialect: 'r2' }));
  const { exitCode, errors } = await run(model, 'init', '--lock', '30d');
  expect(exitCode).toBe(1);
  expect(errors).toContain('Object Lock is not turned on');
});

function disposable(model: ModelS3): ModelS3 & AsyncDisposable {
  return Object.assign(model, { [Symbol.asyncDispose]: () => model.stop() });
}
