import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { noise } from '../../src/engine/engine-test-support.ts';
import type { Environment } from '../../src/base/environment.ts';
import { openBackend } from '../../src/storage/open.ts';
import { ArchiveClock } from '../model-s3/archive-clock.ts';
import { fault } from '../model-s3/faults.ts';
import { type ModelS3, startModelS3 } from '../model-s3/model-s3.ts';
import { initRepository, password, singleThreaded } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { manifestOf } from '../tools/manifest.ts';
import { scratchFolder } from '../tools/scratch.ts';

const hourMs = 3_600_000;
const scratch = scratchFolder('archive');
const source = path.join(scratch.path, 'source');

let model: ModelS3;
let clock: ArchiveClock;
let environment: Environment;

beforeAll(async () => {
  mkdirSync(path.join(source, 'folder'), { recursive: true });
  for (let i = 0; i < 8; i++) writeFileSync(`${source}/folder/${i}`, noise(2_000_000, i));
  model = await startModelS3();
  clock = new ArchiveClock(model);
  environment = { ...singleThreaded, clock };
  model.bucket('bucket');
  const { variables } = model;
  const backend = await openBackend(location(), { environment, variables });
  await initRepository(backend, { environment });
  await backend.close();
  const made = await holdfast(
    'backup',
    '-o',
    's3.storage-class=GLACIER',
    '--pack-size',
    '4',
    source,
  );
  expect(`${made.exitCode} ${made.errors}`).toBe('0 ');
});
afterAll(() => model.stop());

beforeEach(() => {
  // What was brought back goes again, and nobody has asked for anything.
  for (const version of versions()) version.thawing = undefined;
  model.seen.length = 0;
});
afterEach(() => {
  model.faults = [];
});

function location(): string {
  return `s3:${model.endpoint}/bucket/repo`;
}

function versions() {
  return [...model.bucket('bucket').versions.values()].flat();
}

function holdfast(...args: readonly string[]): Promise<CommandRun> {
  return run(args);
}

/** With leave to bring files back. */
function patient(command: string, ...args: readonly string[]): Promise<CommandRun> {
  return run([command, ...leave, ...args]);
}

const leave = [
  '-o',
  's3.enable-restore=true',
  '-o',
  's3.restore-tier=Expedited',
  '-o',
  's3.restore-timeout=24h',
];

function run(args: readonly string[], signal?: AbortSignal): Promise<CommandRun> {
  const variables = {
    ...model.variables,
    HOME: scratch.path,
    RESTIC_REPOSITORY: location(),
    RESTIC_PASSWORD: password,
    RESTIC_CACHE_DIR: path.join(scratch.path, 'cache'),
  };
  return runCommand(args, { variables, environment, ...(signal && { signal }) });
}

function classes(): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  for (const { key, storageClass } of versions()) {
    const folder = key.split('/')[1] ?? '';
    found[folder] = [...new Set([...(found[folder] ?? []), storageClass])].sort();
  }
  return found;
}

function coldKeys(): string[] {
  const cold = versions().filter(({ storageClass }) => storageClass === 'GLACIER');
  return cold.map(({ key }) => key);
}

function coldPacks(): number {
  return coldKeys().length;
}

function asked(): number {
  return model.counts()['RestoreObject'] ?? 0;
}

function restored(target: string): unknown {
  return manifestOf(path.join(target, source));
}

test('only packs of data are cold, and all but their content is had without them', async () => {
  expect(classes()).toEqual({
    config: ['STANDARD'],
    data: ['GLACIER', 'STANDARD'],
    index: ['STANDARD'],
    keys: ['STANDARD'],
    snapshots: ['STANDARD'],
  });
  const commands = [
    ['backup', source],
    ['ls', 'latest'],
    ['find', '2'],
    ['check'],
    ['stats'],
    ['prune'],
  ];
  for (const command of commands) {
    expect(await holdfast(...command)).toMatchObject({ exitCode: 0 });
  }
});

test('a restore without leave says what is the case, and asks for nothing', async () => {
  const { exitCode, errors } = await holdfast(
    'restore',
    'latest',
    '--target',
    scratch.fresh('target'),
  );
  expect(exitCode).toBe(1);
  expect(errors).toContain('a file stands in an archive, from where it cannot be read at once');
  expect(asked()).toBe(0);
});

test('a restore asks for all at once, tells the plan, and waits', async () => {
  const target = scratch.fresh('target');
  const began = clock.flownMs;
  const { exitCode, errors } = await patient(
    'restore',
    'latest',
    '--target',
    target,
    '-o',
    's3.restore-tier=standard',
  );
  expect(exitCode).toBe(0);
  expect(restored(target)).toEqual(manifestOf(source));
  expect(asked()).toBe(coldPacks());
  const lines = errors.split('\n').filter((line) => /archive|tier|packs are back/.test(line));
  expect(lines.slice(0, 2)).toEqual([
    `${coldPacks()} of ${coldPacks()} packs (15.259 MiB) stand in an archive (GLACIER)`,
    `they were asked for by the tier "Standard", for 7 days; by Amazon's description that takes up to 5 h`,
  ]);
  expect(lines).toContainEqual(
    expect.stringMatching(/^0 of \d packs are back after 3\d min; waiting on$/),
  );
  expect(lines.at(-1)).toMatch(/^all packs are back from the archive after 5(\.\d)? h$/);
  expect((clock.flownMs - began) / hourMs).toBeLessThan(5.3);
  // No file is read before all were asked for, and asking takes few requests.
  const cold = new Set(coldKeys());
  const requests = model.seen.filter(({ key }) => cold.has(key)).map(({ operation }) => operation);
  expect(requests.lastIndexOf('RestoreObject')).toBeLessThan(requests.indexOf('GetObject'));
  const looks = requests.filter((operation) => operation === 'HeadObject');
  expect(looks.length).toBeLessThan(cold.size * 60);
});

test('a restore that was interrupted goes on with what is back', async () => {
  const target = scratch.fresh('target');
  const stop = new AbortController();
  let count = 0;
  model.faults = [
    fault(
      ({ operation }) => {
        if (operation === 'HeadObject' && ++count > 6) stop.abort();
        return false;
      },
      () => {},
    ),
  ];
  const first = await run(['restore', 'latest', '--target', target, ...leave], stop.signal);
  expect(first.exitCode).toBe(130);
  expect(asked()).toBe(coldPacks());
  model.faults = [];
  model.pass(hourMs);
  const second = await patient('restore', 'latest', '--target', target);
  expect(second.errors).not.toContain('archive');
  expect(second.exitCode).toBe(0);
  expect(asked()).toBe(coldPacks());
  expect(restored(target)).toEqual(manifestOf(source));

  // What is right in the target needs no pack.
  for (const version of versions()) version.thawing = undefined;
  expect((await patient('restore', 'latest', '--target', target)).exitCode).toBe(0);
  expect(asked()).toBe(coldPacks());
});

test('of a part, only its packs are asked for', async () => {
  const target = scratch.fresh('target');
  const { exitCode } = await patient(
    'restore',
    'latest',
    '--target',
    target,
    '--include',
    `${source}/folder/2`,
  );
  expect(exitCode).toBe(0);
  expect(asked()).toBeGreaterThan(0);
  expect(asked()).toBeLessThan(coldPacks());
});

test('a dump asks at once for what it needs', async () => {
  const file = await patient(
    'dump',
    'latest',
    `${source}/folder/1`,
    '--target',
    scratch.fresh('file'),
  );
  expect(file.exitCode).toBe(0);
  const some = asked();
  expect(some).toBeLessThan(coldPacks());
  const folder = await patient('dump', 'latest', source, '--target', scratch.fresh('archive'));
  expect(folder.exitCode).toBe(0);
  expect(asked()).toBe(coldPacks());
});

test('a check of the data waits for it, or says what it has not read', async () => {
  const without = await holdfast('check', '--read-data');
  expect(without.exitCode).toBe(1);
  expect(without.errors).toContain('it stands in an archive and was not read');
  expect(without.errors + without.output).not.toMatch(/repair|damaged/);
  expect(await patient('check', '--read-data')).toMatchObject({ exitCode: 0 });
  expect(asked()).toBe(coldPacks());
});

test('who waits too short a time is told that it was asked for', async () => {
  const slow = ['-o', 's3.restore-timeout=1m', '-o', 's3.restore-tier=Standard'];
  const impatient = [...slow, '--target', scratch.fresh('target')];
  const { exitCode, errors } = await patient('restore', 'latest', ...impatient);
  expect(exitCode).toBe(1);
  const count = coldPacks();
  expect(errors).toContain(`${count} of ${count} packs are not back from the archive after 1 min`);
  expect(errors).toContain('They were asked for.');
  expect(asked()).toBe(count);
  const again = await patient('restore', 'latest', ...impatient);
  expect(again.errors).toContain('0 were asked for, the others had been before, by the tier');
  expect(asked()).toBe(count);
});
