import { mkdirSync, writeFileSync } from 'node:fs';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Environment } from '../../src/base/environment.ts';
import { noise } from '../../src/engine/engine-test-support.ts';
import { type Fault, fault } from '../model-s3/faults.ts';
import { type ModelS3, modelUser, startModelS3 } from '../model-s3/model-s3.ts';
import { cheapKeyed, hurried } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { S3Attacker } from '../tools/s3-attacker.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('immutability-promises');
const dayMs = 86_400_000;
let model: ModelS3;
let source: string;
/** How far the clocks are that tell when a lock ends, ours and the server's. */
let passedMs: number;

beforeEach(async () => {
  model = await startModelS3();
  passedMs = 0;
  source = scratch.fresh('source');
  mkdirSync(source, { recursive: true });
  for (let i = 0; i < 2; i++) writeFileSync(`${source}/${i}`, noise(50_000, i));
});
afterEach(() => model.stop());

function later(environment: Environment): Environment {
  const { clock } = environment;
  return {
    ...environment,
    clock: {
      ...clock,
      wallMs: () => clock.wallMs() + passedMs,
      wallNs: () => clock.wallNs() + BigInt(passedMs) * 1_000_000n,
    },
  };
}

function pass(ms: number): void {
  passedMs += ms;
  model.pass(ms);
}

function run(...args: readonly string[]): Promise<CommandRun> {
  const variables = {
    ...model.variables,
    RESTIC_REPOSITORY: `s3:${model.endpoint}/bucket`,
    RESTIC_PASSWORD: 'x',
  };
  const environment = args[0] === 'init' ? cheapKeyed() : later(hurried);
  return runCommand(['--no-cache', ...args], { variables, environment });
}

async function succeed(...args: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await run(...args);
  expect(`${exitCode} ${errors}`, output).toBe('0 ');
  return output;
}

async function isWhole(): Promise<void> {
  const target = scratch.fresh('target');
  await succeed('restore', `latest:${source}`, '--target', target);
  expect(manifestOf(target)).toEqual(manifestOf(source));
}

/** Takes all locks of an object away, as no client can. */
function unlock(key: string): void {
  for (const version of model.bucket('bucket').versions.get(key) ?? []) {
    version.retention = undefined;
  }
}

const lockHeader = 'x-amz-object-lock-mode';

test('credentials that may not lock are enough where the bucket locks, and else are not', async () => {
  await succeed('init', '--lock', '1d');
  model.users = [
    {
      ...modelUser,
      may: (operation, { headers }) =>
        operation !== 'PutObjectRetention' && headers[lockHeader] === undefined,
    },
  ];
  const bare = await run('backup', source);
  expect(bare.exitCode).toBe(1);
  expect(bare.errors).toContain('the storage took a file, but did not lock it as promised');
  const retention = { mode: 'GOVERNANCE', ms: 2 * dayMs, unit: 'Days', count: 2 } as const;
  model.bucket('bucket').defaultRetention = retention;
  writeFileSync(`${source}/new`, noise(50_000, 5));
  await succeed('backup', source);
  const shown = await run('immutability', '--json');
  expect(JSON.parse(shown.output)).toMatchObject({ default: { mode: 'governance', days: 2 } });
});

test('a server that passes over the wish for a lock is found out at once', async () => {
  const forgetful: Fault = fault('PutObject', ({ request, run: answer, send }) => {
    const reply = answer();
    unlock(request.key);
    send(reply);
  });
  model.faults = [forgetful];
  const { exitCode, errors } = await run('init', '--lock', '1d');
  expect(exitCode).toBe(1);
  expect(errors).toContain('the storage took a file, but did not lock it as promised');
});

test('locks of old packs are extended for new snapshots, and end when nobody does', async () => {
  await succeed('init', '--lock', '3d');
  await succeed('backup', source);
  pass(2.5 * dayMs);
  await succeed('backup', source, '--force');
  const broken = await run('immutability', '--json');
  expect(broken.exitCode).toBe(1);
  expect(JSON.parse(broken.output)).toMatchObject({
    snapshots: [{ kept: true }, { kept: false }],
  });
  await succeed('immutability', '--extend');
  pass(2.9 * dayMs);
  expect(JSON.parse(await succeed('immutability', '--json'))).toMatchObject({
    snapshots: [{ kept: true }, { kept: true }],
  });
  pass(10 * dayMs);
  // The promise was for a time that is over.
  expect(await succeed('immutability')).toContain('not locked');
});

test('prune takes what it kept once the locks have ended', async () => {
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  await succeed('backup', `${source}/0`);
  await succeed('forget', '--keep-last', '1', '--group-by', '', '--prune');
  expect(await succeed('prune', '--keep-delete', '1h')).not.toContain('deleted');
  pass(3 * dayMs);
  expect(await succeed('prune', '--keep-delete', '1h')).toMatch(/deleted [0-9]+ packs/);
  await succeed('check', '--read-data');
});

test('rescue leaves alone what was done before the time that is given', async () => {
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  await succeed('backup', `${source}/0`);
  await succeed('forget', '--keep-last', '1', '--group-by', '');
  pass(dayMs / 2);
  const attacker = new S3Attacker(model, 'bucket');
  await attacker.remove(await attacker.keys());
  const since = new Date(model.nowMs - dayMs / 4).toISOString();
  const { restored } = JSON.parse(await succeed('rescue', '--since', since, '--json'));
  expect(restored.filter((name: string) => name.startsWith('snapshot'))).toHaveLength(1);
  expect(await succeed('snapshots', '--json')).toMatch(/^\[\{.*\}\]\n$/);
  await succeed('check', '--read-data');
});

/** Removes versions whatever locks them, of keys that begin so. */
function careless(prefix: string): Fault {
  return fault(
    ({ operation, key, query }) =>
      operation === 'DeleteObject' && query.has('versionId') && key.startsWith(prefix),
    ({ request, run: answer, send }) => {
      unlock(request.key);
      send(answer());
    },
  );
}

test('an attack spares the packs where the canary fell', async () => {
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  model.faults = [careless('')];
  const { exitCode, output } = await run('immutability', '--attack');
  expect(exitCode).toBe(1);
  expect(output).toContain('attack on canary, delete: SUCCEEDED');
  expect(output).not.toMatch(/attack on pack [0-9a-f]{8}, delete/);
  await isWhole();
});

test('an attack puts a pack back that is lost where the canary was safe', async () => {
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  model.faults = [careless('data/')];
  const { exitCode, output } = await run('immutability', '--attack', '--sample', '1');
  expect(exitCode).toBe(1);
  expect(output).toContain('attack on canary, delete: refused');
  expect(output).toMatch(/attack on pack [0-9a-f]{8}, delete: SUCCEEDED/);
  model.faults = [];
  await isWhole();
  expect(JSON.parse(await succeed('immutability', '--json'))).toMatchObject({ hidden: [] });
});
