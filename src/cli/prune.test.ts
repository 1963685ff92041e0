import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestPlace } from './holdfast-test-support.ts';
import { parseMaxUnused } from './prune-flags.ts';

let place: TestPlace;

beforeAll(async () => {
  place = TestPlace.create(new Set());
  await (await place.createRepository()).close();
  mkdirSync(place.at('source'));
  for (const content of ['one', 'two', 'three']) {
    writeFileSync(place.at('source', 'file'), content.repeat(2000));
    await place.must(['backup', 'source']);
  }
});
afterAll(() => place.remove());

test('forget --prune goes on with what the removed snapshots leave', async () => {
  const dry = await place.must(['forget', '--keep-last', '2', '--prune', '--dry-run']);
  expect(dry).toMatch(/^\d+ snapshots would be removed, running prune dry run$/m);
  expect(dry).not.toContain('have been removed');
  expect(dry).toMatch(/^to delete: +[1-9]\d* blobs/m);
  const done = await place.must(['forget', '--keep-last', '2', '--prune']);
  expect(done).toMatch(/^marked 2 packs/m);
  expect(await place.must(['forget', '--keep-last', '2', '--prune'])).not.toMatch(/prune/);
  const deleted = await place.must(['prune', '--keep-delete', '0s']);
  expect(deleted).toMatch(/^deleted 2 packs/m);
  const instant = await place.must(['forget', '--keep-last', '1', '--prune', '--instant']);
  expect(instant).toMatch(/^removing 2 old packs$/m);
  expect(await place.must(['check', '--read-data'])).toMatch(/no errors were found/);
});

test('a dry run that finds nothing to do says what would be, not what was', async () => {
  for (const args of [
    ['repair', 'snapshots'],
    ['rewrite', '--exclude', 'no such file'],
  ]) {
    expect(await place.must([...args, '--dry-run'])).toMatch(/^no snapshots would be modified$/m);
    expect(await place.must(args)).toMatch(/^no snapshots were modified$/m);
  }
});

test('a repository that lost its snapshots is left alone, unless all shall go', async () => {
  const packs = await place.must(['list', 'packs']);
  renameSync(place.at('repository', 'snapshots'), place.at('elsewhere'));
  const { exitCode, output, errors } = await place.run(['prune', '--instant']);
  expect(exitCode).toBe(1);
  expect(output).not.toMatch(/remov|marked/);
  expect(errors).toMatch(/^Fatal: no snapshot was found, .*\n.*--unsafe-allow-remove-all"\.$/m);
  expect(await place.must(['list', 'packs'])).toBe(packs);
  await place.must(['prune', '--instant', '--unsafe-allow-remove-all']);
  expect(await place.must(['list', 'packs'])).toBe('');
});

test('the last snapshot and its data go together', async () => {
  await place.must(['backup', 'source']);
  await place.must(['forget', 'latest', '--prune', '--instant']);
  expect(await place.must(['list', 'packs'])).toBe('');
});

test('reads what --max-unused takes', () => {
  expect(parseMaxUnused('unlimited')).toEqual({ kind: 'unlimited' });
  expect(parseMaxUnused('2.5%')).toEqual({ kind: 'percent', percent: 2.5 });
  expect(parseMaxUnused('3M')).toEqual({ kind: 'size', sizeBytes: 3 << 20 });
  for (const text of ['100%', '-1%', 'x', '']) {
    expect(() => parseMaxUnused(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  }
});
