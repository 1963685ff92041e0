import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import { emulatorAccount, startAzurite } from '../tools/azurite.ts';
import { cheapKeyed, hurried } from '../tools/engine.ts';
import { startHttpScript } from '../tools/http-script.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { ModelAzure } from '../tools/model-azure.ts';
import { scratchFolder } from '../tools/scratch.ts';

// Azurite keeps no versions and knows no policies: it is held that this is said, and the rest against a model.
const azurite = startAzurite();
const script = startHttpScript();
const scratch = scratchFolder('immutability-azure');
const source = path.join(scratch.path, 'source');

async function run(address: string, ...args: readonly string[]): Promise<CommandRun> {
  return runCommand(['--no-cache', ...args], {
    variables: {
      ...emulatorAccount,
      AZURE_ENDPOINT_SUFFIX: address,
      RESTIC_REPOSITORY: 'azure:box:/some/folder',
      RESTIC_PASSWORD: 'x',
    },
    environment: args[0] === 'init' ? cheapKeyed() : hurried,
  });
}

async function succeed(...args: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await run(script.address, ...args);
  expect(`${exitCode} ${errors}`, output).toBe('0 ');
  return output;
}

function makeSource(): void {
  mkdirSync(source, { recursive: true });
  for (let i = 0; i < 3; i++) writeFileSync(`${source}/${i}`, noise(50_000, i));
}

test('a container without immutability is refused, and rescue finds nothing to undo', async () => {
  const refused = await run(azurite.address, 'init', '--lock', '30d');
  expect(refused.exitCode).toBe(1);
  expect(refused.errors).toContain('it has no version-level immutability');
  expect((await run(azurite.address, 'init')).exitCode).toBe(0);
  const rescued = await run(azurite.address, 'rescue');
  expect(rescued.output).toContain('brought back: nothing');
  const again = await run(azurite.address, 'immutability', '--lock', '30d');
  expect(again.errors).toContain('it has no version-level immutability');
});

test('everything is deleted, rescued and restored', async () => {
  makeSource();
  const model = new ModelAzure();
  script.answer = model.answer;
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  const { snapshots } = JSON.parse(await succeed('immutability', '--json'));
  expect(snapshots).toMatchObject([{ kept: true }]);
  const count = [...model.blobs.keys()].filter((name) => !name.includes('/locks/')).length;
  expect(model.destroy()).toBe(count);
  expect((await run(script.address, 'snapshots')).exitCode).toBe(10);

  const { restored, lost } = JSON.parse(await succeed('rescue', '--json'));
  expect([restored.length, lost]).toEqual([count, []]);
  const target = scratch.fresh('target');
  await succeed('restore', `latest:${source}`, '--target', target);
  expect(manifestOf(target)).toEqual(manifestOf(source));
  await succeed('check', '--read-data');
});

test('locks that are only Unlocked can be shortened by whoever may set them; Locked ones hold', async () => {
  makeSource();
  const model = new ModelAzure();
  script.answer = model.answer;
  await succeed('init', '--lock', '1d');
  await succeed('backup', source);
  const unlocked = await run(script.address, 'immutability', '--attack');
  expect(unlocked.exitCode).toBe(1);
  expect(unlocked.output).toContain('attack on canary, shorten: SUCCEEDED');
  expect(unlocked.output).toMatch(/attack on pack [0-9a-f]{8}, delete: refused/);
  const compliance = ['--lock', '2d', '--lock-mode', 'compliance'];
  expect(await succeed('immutability', ...compliance, '--extend')).toContain('extended the locks');
  expect(await succeed('immutability', '--attack')).not.toContain('SUCCEEDED');
});
