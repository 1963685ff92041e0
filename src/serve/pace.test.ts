import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../base/clock.ts';
import { PaceWatch } from './pace.ts';
import { wrongCountMax, wrongForgottenMs } from './limits.ts';
import { WrongTries } from './wrong-tries.ts';

/** A clock that stands until it is moved. */
function standingClock(): { readonly clock: Clock; readonly pass: (ms: number) => void } {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs, every: () => ({ stop: () => {} }) };
  return { clock, pass: (ms) => (nowMs += ms) };
}

const rule = { windowMs: 1000, sizeBytesMin: 100 };

test('who moves less than the rule within a window is cut off, once', () => {
  const { clock, pass } = standingClock();
  const watch = new PaceWatch(clock);
  const cut: string[] = [];
  const slow = watch.start(rule, () => cut.push('slow'));
  const quick = watch.start(rule, () => cut.push('quick'));
  const ended = watch.start(rule, () => cut.push('ended'));
  ended.end();
  for (let i = 0; i < 3; i++) {
    pass(500);
    slow.moved(10);
    quick.moved(60);
    watch.check();
  }
  expect(cut).toEqual(['slow']);
});

test('nobody is blamed for the time that we need', async () => {
  const { clock, pass } = standingClock();
  const watch = new PaceWatch(clock);
  let isCut = false;
  const pace = watch.start(rule, () => (isCut = true));
  await pace.ours(async () => {
    pass(5000);
    watch.check();
  });
  pass(900);
  watch.check();
  expect(isCut).toBe(false);
  pass(200);
  watch.check();
  expect(isCut).toBe(true);
});

test('wrong tries run out, and are forgotten with time', () => {
  const { clock, pass } = standingClock();
  const tries = new WrongTries(clock);
  for (let i = 0; i < wrongCountMax; i++) {
    expect(tries.isOver('x')).toBe(false);
    tries.add('x');
  }
  expect([tries.isOver('x'), tries.isOver('y')]).toEqual([true, false]);
  pass(wrongForgottenMs);
  expect(tries.isOver('x')).toBe(false);
  tries.add('x');
  expect(tries.isOver('x')).toBe(true);
  tries.forget('x');
  expect(tries.isOver('x')).toBe(false);
});
