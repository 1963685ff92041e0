import { execFileSync, spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { describeWith } from '../../test/tools/peers.ts';
import { features, readFeatures } from './features.ts';
import { password, TestPlace } from './holdfast-test-support.ts';
import { Variables } from './variables.ts';

const flag = 'device-id-for-hardlinks';
const read = (text: string): ReturnType<typeof readFeatures> =>
  readFeatures(new Variables({ RESTIC_FEATURES: text }));

describe('feature flags', () => {
  test.each([
    ['', false],
    [flag, true],
    [`${flag}=true`, true],
    [`s3-restore=0,${flag}=T`, true],
    [`${flag},${flag}=f`, false],
    ['backend-error-redesign=false', false],
  ])('"%s"', (text, hardLinkDevices) => {
    expect(read(text)).toEqual({ hardLinkDevices, warnings: [] });
  });

  test.each([
    ['bogus', 'unknown feature flag "bogus" in RESTIC_FEATURES'],
    [`${flag},`, 'unknown feature flag "" in RESTIC_FEATURES'],
    [` ${flag}`, `unknown feature flag " ${flag}" in RESTIC_FEATURES`],
    [`${flag}=`, `the feature flag "${flag}" in RESTIC_FEATURES takes true or false`],
    [`${flag}=1=1`, `the feature flag "${flag}" in RESTIC_FEATURES takes true or false`],
  ])('"%s" is refused', (text, message) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: 'USAGE', message }));
  });

  test('that are stable cannot be turned off', () => {
    expect(read('safe-forget-keep-tags=false').warnings).toEqual([
      'the feature flag "safe-forget-keep-tags" is always on',
    ]);
  });

  test('of our own variable win', () => {
    const variables = new Variables({ HOLDFAST_FEATURES: flag, RESTIC_FEATURES: 'bogus' });
    expect(readFeatures(variables).hardLinkDevices).toBe(true);
  });
});

const place = TestPlace.create();
const withFlag = { RESTIC_FEATURES: flag };

beforeAll(async () => {
  await place.createRepository();
  mkdirSync(place.at('source/sub'), { recursive: true });
  for (const name of ['one', 'two', 'sub/inside']) writeFileSync(place.at('source', name), name);
  linkSync(place.at('source/two'), place.at('source/sub/linked'));
  symlinkSync('one', place.at('source/link'));
  execFileSync('mkfifo', [place.at('source/fifo')]);
});
afterAll(() => place.remove());

test('one that is unknown ends the program before anything is done', async () => {
  for (const args of [['snapshots'], ['--help'], ['init', '-r', place.at('none')]]) {
    const variables = { RESTIC_FEATURES: 'bogus' };
    expect(await place.run(args, { variables })).toEqual({
      exitCode: 1,
      output: '',
      errors:
        'Fatal: unknown feature flag "bogus" in RESTIC_FEATURES\nList them with "holdfast features".\n',
    });
  }
});

function restic(args: readonly string[], variables: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr } = spawnSync('restic', [...args], {
    cwd: place.folder,
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      HOME: place.folder,
      RESTIC_REPOSITORY: place.repository,
      RESTIC_PASSWORD: password,
      ...variables,
    },
  });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** The trees of all snapshots of a host. */
async function treesOf(host: string): Promise<unknown[]> {
  const [list] = await place.json(['snapshots', '--host', host]);
  return (list as { readonly tree: string }[]).map(({ tree }) => tree);
}

describeWith(['restic'], 'device numbers for hard links only', () => {
  test('are what restic stores', async () => {
    restic(['backup', '-q', 'source', '--host', 'both'], withFlag);
    await place.must(['backup', 'source', '--host', 'both', '--force'], { variables: withFlag });
    await place.must(['backup', 'source', '--host', 'both', '--force']);
    const [theirs, ours, ...others] = await treesOf('both');
    expect(ours).toBe(theirs);
    expect(others).not.toContain(ours);
  });

  test('make no empty folder one that was on another device', async () => {
    restic(['backup', '-q', 'source', '--host', 'emptied'], withFlag);
    rmSync(place.at('source/sub'), { recursive: true });
    mkdirSync(place.at('source/sub'));
    await place.must(['backup', 'source', '--host', 'emptied']);
  });

  test('are called as restic calls them, with the same defaults', () => {
    const rows = restic(['features'])
      .split('\n')
      .slice(3, -2)
      .map((line) => line.split(/\s+/, 3));
    expect(features.map((each) => [each.name, each.state, `${each.isDefault}`])).toEqual(rows);
  });
});
