import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../repository/lock-test-support.ts';
import { Ending } from './ending.ts';

let clock: ManualClock;
let told: string[];
let exits: number;
let ending: Ending;

beforeEach(() => {
  clock = new ManualClock();
  told = [];
  exits = 0;
  ending = new Ending({ clock, tell: (text) => told.push(text), exit: () => exits++ });
});

test('the first request says at once that the work stops, and lets it end in order', () => {
  ending.request();
  expect(told).toEqual([expect.stringContaining('interrupted: stopping')]);
  expect(ending.signal.reason).toMatchObject({ code: 'CANCELLED', message: 'interrupted' });
  expect(exits).toBe(0);
});

test('the second removes locks first', async () => {
  const removed: string[] = [];
  ending.beforeEnd(async () => void removed.push('held'));
  ending.request();
  expect(removed).toEqual([]);
  ending.request();
  await clock.advance(0);
  expect(removed).toEqual(['held']);
  expect(exits).toBe(1);
});

test('but not for ever: two seconds later, or with the third, the process ends', async () => {
  ending.beforeEnd(() => new Promise(() => {}));
  ending.request();
  ending.request();
  await clock.advance(1999);
  expect(exits).toBe(0);
  await clock.advance(1);
  expect(exits).toBe(1);
  ending.request();
  expect(exits).toBe(2);
});

test('a work that does not end within five seconds is ended', async () => {
  ending.request();
  await clock.advance(4999);
  expect(told).toHaveLength(1);
  await clock.advance(1);
  expect(told).toHaveLength(2);
  expect(exits).toBe(1);
  await clock.advance(60_000);
  expect(exits).toBe(1);
});
