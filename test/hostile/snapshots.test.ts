import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeSnapshot, encodeSnapshot } from '../../src/repository/snapshots.ts';
import {
  backUp,
  checkAll,
  initRepository,
  listSnapshots,
  withRepository,
} from '../tools/engine.ts';
import { HostileRepository, nodeJson } from '../tools/hostile-repository.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { codeOf, holdfast, isLong } from './bed.ts';

/** Hazards D3 and D9: snapshots of any shape, and files that stand where they do not belong. */

const scratch = scratchFolder('hostile-snapshots');
const tree = 'ab'.repeat(32);
const time = '2026-01-01T00:00:00Z';

function json(fields: string): Buffer {
  return Buffer.from(`{"time":"${time}","tree":"${tree}","paths":["/x"]${fields}}`);
}

describe('a snapshot with', () => {
  test.each([
    ['no tree', '{"time":"2026-01-01T00:00:00Z","paths":["/x"]}'],
    ['no time', `{"tree":"${tree}"}`],
    ['null for a tree', `{"time":"${time}","tree":null}`],
    ['a number for a tree', `{"time":"${time}","tree":5}`],
    ['a short tree', `{"time":"${time}","tree":"abcd"}`],
    ['a list for a tree', `{"time":"${time}","tree":["${tree}"]}`],
    ['a time in the year 1,000,000', `{"time":"1000000-01-01T00:00:00Z","tree":"${tree}"}`],
    ['a time before the year 0', `{"time":"-001-01-01T00:00:00Z","tree":"${tree}"}`],
    ['a day that is none', `{"time":"2026-02-30T00:00:00Z","tree":"${tree}"}`],
    ['a number for a time', `{"time":0,"tree":"${tree}"}`],
    ['paths that are a text', `{"time":"${time}","tree":"${tree}","paths":"/x"}`],
    ['paths that are numbers', `{"time":"${time}","tree":"${tree}","paths":[1]}`],
    ['a negative uid', `{"time":"${time}","tree":"${tree}","uid":-1}`],
    ['a uid of 2^53+1', `{"time":"${time}","tree":"${tree}","uid":9007199254740993}`],
    ['a float for a gid', `{"time":"${time}","tree":"${tree}","gid":1.5}`],
    ['tags that are an object', `{"time":"${time}","tree":"${tree}","tags":{}}`],
    ['a summary that is a list', `{"time":"${time}","tree":"${tree}","summary":[]}`],
    [
      'a summary with a negative count',
      `{"time":"${time}","tree":"${tree}","summary":{"files_new":-1}}`,
    ],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['two documents', `{"time":"${time}","tree":"${tree}"}{}`],
  ])('%s is damaged', async (_, text) => {
    expect(await codeOf(() => decodeSnapshot(Buffer.from(text)))).toBe('SNAPSHOT_DAMAGED');
  });

  test('keys that objects have by nature is what it says, and is written again', () => {
    const hostile =
      ',"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1,"hasOwnProperty":null';
    const snapshot = decodeSnapshot(json(hostile));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(snapshot)).toBe(Object.prototype);
    const again = Buffer.from(encodeSnapshot(snapshot)).toString();
    expect(again).toContain(hostile.slice(1));
    const copied = { ...snapshot, id: tree };
    expect((copied as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('a tag of 10 MB comes back', () => {
    const tag = 'x'.repeat(10_000_000);
    expect(decodeSnapshot(json(`,"tags":["${tag}"]`)).tags).toEqual([tag]);
  });

  test('the first and the last time there is comes back', () => {
    for (const text of ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999999999-23:59']) {
      const snapshot = decodeSnapshot(Buffer.from(`{"time":"${text}","tree":"${tree}"}`));
      expect(Buffer.from(encodeSnapshot(snapshot)).toString()).toContain(`"time":"${text}"`);
    }
  });

  test.runIf(isLong)('100,000 paths of 1 KiB is read, one beyond the limit is not', async () => {
    const paths = Array.from({ length: 100_000 }, (_, i) => `"/${i}${'x'.repeat(1000)}"`);
    const large = `{"time":"${time}","tree":"${tree}","paths":[${paths.join(',')}]}`;
    expect(decodeSnapshot(Buffer.from(large)).paths).toHaveLength(100_000);
    const larger = Buffer.concat([Buffer.from(large), Buffer.alloc(128 << 20, ' ')]);
    expect(await codeOf(() => decodeSnapshot(larger))).toBe('SNAPSHOT_DAMAGED');
  });
});

describe('the tree of a snapshot that is', () => {
  test.each(['a data blob', 'not stored'])('%s is told by check, ls and restore', async (what) => {
    const location = scratch.fresh('repository');
    const hostile = await HostileRepository.create(location);
    const data = hostile.blob('data', hostile.tree(nodeJson('a')));
    await hostile.store();
    const id = await hostile.snapshot(what === 'not stored' ? tree : data);
    const { affectedSnapshots, errorCount } = await checkAll(location);
    expect(affectedSnapshots).toEqual([id]);
    expect(errorCount).toBeGreaterThan(0);
    const target = scratch.fresh('target');
    for (const args of [
      ['ls', 'latest'],
      ['restore', 'latest', '--target', target],
    ]) {
      const { exitCode, errors } = await holdfast(location, args, scratch);
      expect(exitCode).toBe(1);
      expect(errors).toMatch(/blob/);
    }
  });
});

/** A repository with a backup, and its folder. */
async function madeRepository(): Promise<string> {
  const location = scratch.fresh('repository');
  const source = scratch.fresh('source');
  mkdirSync(source);
  writeFileSync(path.join(source, 'a'), 'content');
  await initRepository(location);
  await backUp(location, [source]);
  return location;
}

function firstOf(location: string, folder: string): string {
  const [name = ''] = readdirSync(path.join(location, folder));
  return name;
}

describe('a file of the repository that stands in another folder of it', () => {
  test.each([
    ['index', 'snapshots', 'snapshot'],
    ['snapshots', 'index', 'index'],
    ['locks', 'snapshots', 'snapshot'],
    ['keys', 'snapshots', 'snapshot'],
    ['snapshots', 'keys', 'key'],
    ['keys', 'index', 'index'],
    ['snapshots', 'locks', ''],
  ])('from %s in %s is named by check, and the rest can be used', async (from, to, word) => {
    const location = await madeRepository();
    const name = await nameIn(location, from);
    cpSync(path.join(location, from, name), path.join(location, to, name));
    if (from === 'locks') await removeLock(location, name);
    const { errors } = await checkAll(location);
    if (word !== '') expect(errors.join('\n')).toMatch(new RegExp(`^${word} ${name}`, 'm'));
    const snapshots = await holdfast(location, ['snapshots', '--json', '--no-lock'], scratch);
    expect(snapshots.output).toContain('"short_id"');
    const target = scratch.fresh('target');
    const restored = await holdfast(
      location,
      ['--no-lock', 'restore', 'latest', '--target', target],
      scratch,
    );
    if (to === 'index') expect(restored.errors).toContain(name);
    else expect(restored.errors.match(/TREE|BLOB/) ?? []).toEqual([]);
  });
});

async function nameIn(location: string, folder: string): Promise<string> {
  if (folder !== 'locks') return firstOf(location, folder);
  const lock = Buffer.from(`{"time":"${time}","exclusive":false,"hostname":"other","pid":1}`);
  return withRepository(location, {}, (repository) => repository.saveUnpacked('lock', lock));
}

async function removeLock(location: string, name: string): Promise<void> {
  await withRepository(location, {}, (repository) => repository.removeUnpacked('lock', name));
}

describe('parts of another repository:', () => {
  test('its config does not open with the keys here', async () => {
    const [here, other] = [await madeRepository(), await madeRepository()];
    cpSync(path.join(other, 'config'), path.join(here, 'config'), { force: true });
    const { exitCode, errors } = await holdfast(here, ['snapshots'], scratch);
    expect(exitCode).toBe(1);
    expect(errors).toContain('the repository config is not sealed with its master key');
  });

  test('its keys are passed over while one of ours opens', async () => {
    const [here, other] = [await madeRepository(), await madeRepository()];
    const name = firstOf(other, 'keys');
    cpSync(path.join(other, 'keys', name), path.join(here, 'keys', name));
    expect((await holdfast(here, ['check'], scratch)).exitCode).toBe(0);
  });

  test('its snapshots and index files are named by check', async () => {
    const [here, other] = [await madeRepository(), await madeRepository()];
    for (const folder of ['snapshots', 'index']) {
      const name = firstOf(other, folder);
      cpSync(path.join(other, folder, name), path.join(here, folder, name));
    }
    const { errors } = await checkAll(here);
    expect(errors.join('\n')).toContain(`snapshot ${firstOf(other, 'snapshots')}`);
    expect(errors.join('\n')).toContain(`index ${firstOf(other, 'index')}`);
    expect(await listSnapshots(other)).toHaveLength(1);
  });
});

describe('what this program does not know is kept', () => {
  test('in a snapshot whose tags change', async () => {
    const location = scratch.fresh('repository');
    const hostile = await HostileRepository.create(location);
    const root = hostile.tree(nodeJson('a'));
    await hostile.store();
    const unknown = '"later":{"a":[1,2.50,1e400,"\\ud83d\\ude00"],"b":null},"x-y":"\\u0041"';
    await hostile.snapshot(root, `,${unknown}`);
    const { exitCode } = await holdfast(location, ['tag', '--add', 'new'], scratch);
    expect(exitCode).toBe(0);
    const shown = await holdfast(location, ['cat', 'snapshot', 'latest'], scratch);
    expect(shown.output).toContain('new');
    const [stored] = await listSnapshots(location);
    const texts = (stored?.unknown ?? []).map(
      ({ key, value }) => `"${key}":${Buffer.from(value).toString()}`,
    );
    expect(texts.join(',')).toBe(unknown);
  });

  test('of a key file nothing is: a new one is written when the password changes', async () => {
    const location = await madeRepository();
    const name = firstOf(location, 'keys');
    const before = readFileSync(path.join(location, 'keys', name), 'utf8');
    const file = scratch.fresh('password');
    writeFileSync(file, 'another');
    const run = await holdfast(location, ['key', 'passwd', '--new-password-file', file], scratch);
    expect(run.exitCode).toBe(0);
    const after = readFileSync(path.join(location, 'keys', firstOf(location, 'keys')), 'utf8');
    expect(Object.keys(JSON.parse(after) as object)).toEqual(
      Object.keys(JSON.parse(before) as object),
    );
  });
});
