import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ByteWriter } from '../engine/dump.ts';
import { toFile, toOutput } from './dump-target.ts';
import { TestPlace } from './holdfast-test-support.ts';

const place = TestPlace.create();
const at = (...names: string[]): string => place.at('target', ...names);

beforeAll(() => mkdirSync(at()));
beforeEach(() => {
  writeFileSync(at('old'), 'old', { mode: 0o640 });
  chmodSync(at('old'), 0o640);
});
afterAll(() => place.remove());

const failing = async (write: ByteWriter): Promise<void> => {
  await write(Buffer.from('ne'));
  throw new Error('the storage fails');
};
const whole = async (write: ByteWriter): Promise<void> => {
  await write(Buffer.from('ne'));
  await write(Buffer.from('w'));
};

const typo = (): Promise<void> => Promise.reject(new Error('not in the snapshot'));

test('a dump that fails leaves what was at its target, and nothing beside it', async () => {
  await expect(toFile(Buffer.from(at('old')), failing)).rejects.toThrow('the storage fails');
  await expect(toFile(Buffer.from(at('fresh')), failing)).rejects.toThrow('the storage fails');
  expect(readFileSync(at('old'), 'utf8')).toBe('old');
  expect(readdirSync(at())).toEqual(['old']);
});

test('a whole one replaces a file, links followed, and keeps its permissions', async () => {
  symlinkSync('old', at('link'));
  await toFile(Buffer.from(at('link')), whole);
  expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
  expect(readFileSync(at('old'), 'utf8')).toBe('new');
  expect(statSync(at('old')).mode & 0o777).toBe(0o640);
  await toFile(Buffer.from(at('fresh')), whole);
  expect(readFileSync(at('fresh'), 'utf8')).toBe('new');
});

test('one that fails before the first byte touches nothing, also where it is written straight', async () => {
  symlinkSync('nothing', at('dangling'));
  const target = Buffer.from(at('dangling'));
  await expect(toFile(target, typo)).rejects.toThrow('not in the snapshot');
  expect(existsSync(at('nothing'))).toBe(false);
  await toFile(target, () => Promise.resolve());
  expect(readFileSync(at('nothing'), 'utf8')).toBe('');
  await toFile(target, whole);
  expect(readFileSync(at('nothing'), 'utf8')).toBe('new');
});

test('a target that cannot be is told in plain words', async () => {
  const to = (name: string): Promise<void> => toFile(Buffer.from(at(name)), whole);
  await expect(to('.')).rejects.toThrow('the target is a folder');
  await expect(to('none/x')).rejects.toThrow('the target is in no folder that exists');
  expect(existsSync(at('none'))).toBe(false);
  await expect(toFile(Buffer.from('/dev/full'), whole)).rejects.toThrow('the storage is full');
});

test('a terminal gets text, but neither an archive nor binary data', async () => {
  let shown = '';
  const sink = {
    isTerminal: true,
    columns: 80,
    write: () => {},
    writeAll: async (bytes: Uint8Array) => {
      shown += Buffer.from(bytes).toString();
    },
  };
  const [write, onFolder] = toOutput(sink);
  expect(onFolder).toThrow(/the terminal/);
  expect(() => write(Buffer.from('a\0b'))).toThrow(/the terminal/);
  await write(Buffer.from('text'));
  expect(shown).toBe('text');
  expect(toOutput({ ...sink, isTerminal: false })).toHaveLength(1);
});
