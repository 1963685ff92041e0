import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { freshVerify } from '../policy/verify-share.ts';
import { StateFile } from './state-file.ts';

const scratch = scratchFolder('state');

function open(path: string, notes: string[] = []): StateFile {
  const state = StateFile.open(path, (text) => notes.push(text));
  if (!state) throw new Error('somebody holds it');
  return state;
}

test('it remembers from one run to the next, and forgets duties that are gone', () => {
  const path = `${scratch.fresh('folder')}/below/run.json`;
  const record = { sinceMs: 1, servedMs: 2, lastSuccessMs: 3, verify: freshVerify(4) };
  const first = open(path);
  first.save('back up a', record);
  first.save('back up b', { sinceMs: 5, lastFailure: { atMs: 6, message: 'no' } });
  first.close();
  const second = open(path);
  expect(second.load('back up a')).toEqual(record);
  second.retain(new Set(['back up b']));
  second.close();
  const peeked = StateFile.peek(path, () => undefined);
  expect([peeked.load('back up a'), peeked.load('back up b')?.sinceMs]).toEqual([undefined, 5]);
});

test('one run holds it at a time', () => {
  const path = scratch.fresh('held');
  const first = open(path);
  expect(StateFile.open(path, () => undefined)).toBeUndefined();
  first.close();
  open(path).close();
});

test('what cannot be written is told once, and remembered as long as the run', () => {
  const path = scratch.fresh('blocked');
  const notes: string[] = [];
  const state = open(path, notes);
  mkdirSync(path);
  state.save('a', { sinceMs: 1 });
  state.save('b', { sinceMs: 2 });
  expect(state.load('a')).toEqual({ sinceMs: 1 });
  expect(notes.length).toBe(1);
  expect(notes[0]).toMatch(/^what was done cannot be remembered: /);
  state.close();
});

test.each([
  'no json',
  '{"version":2,"duties":{}}',
  '{"version":1,"duties":{"a":{"sinceMs":"x"}}}',
  '{"version":1,"duties":{"a":{"sinceMs":1,"verify":{"total":2,"next":3,"readMs":[0,0]}}}}',
])('what is no state is begun anew, and that is said: %s', (text) => {
  const path = scratch.fresh('broken');
  writeFileSync(path, text);
  const notes: string[] = [];
  const state = open(path, notes);
  expect(state.load('a')).toBeUndefined();
  expect(notes).toEqual([`the state file "${path}" cannot be read: beginning anew`]);
  state.save('a', { sinceMs: 1 });
  state.close();
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    version: 1,
    duties: { a: { sinceMs: 1 } },
  });
});
