import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBoolean, parseDuration, parseFlagText, parseInteger, parseSize } from './values.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['250ms', 250],
    ['1s500ms', 1500],
    ['2000us', 2],
  ])('%s', (text, value) => expect(parseDuration(text)).toEqual({ value }));

  test.each(['', '5', 'm', '5x', '-5m', '5 m', '1h-3m', 'h5', '5m '])('refuses %j', (text) =>
    expect(parseDuration(text)).toHaveProperty('problem'),
  );

  test('adds up its parts', () => {
    const part = fc.record({ h: fc.nat(99), m: fc.nat(99), s: fc.nat(99) });
    fc.assert(
      fc.property(part, ({ h, m, s }) => {
        const parsed = parseDuration(`${h}h${m}m${s}s`);
        expect(parsed).toEqual({ value: ((h * 60 + m) * 60 + s) * 1000 });
      }),
    );
  });
});

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['500', 500],
    ['500b', 500],
    ['10k', 10_240],
    ['10K', 10_240],
    ['2M', 2_097_152],
    ['1g', 1_073_741_824],
    ['1T', 1_099_511_627_776],
  ])('%s', (text, value) => expect(parseSize(text)).toEqual({ value }));

  test.each(['', 'k', '1.5k', '-1', '10kb', '10 k', '9999999999999T'])('refuses %j', (text) =>
    expect(parseSize(text)).toHaveProperty('problem'),
  );
});

test('parseBoolean takes what Go takes', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
    expect(parseBoolean(text)).toEqual({ value: true });
  }
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
    expect(parseBoolean(text)).toEqual({ value: false });
  }
  for (const text of ['', 'yes', 'tRUE', '2']) expect(parseBoolean(text)).toHaveProperty('problem');
});

test('parseInteger keeps to its limits', () => {
  expect(parseInteger('12', 4, 128)).toEqual({ value: 12 });
  expect(parseInteger('+4', 4, 128)).toEqual({ value: 4 });
  expect(parseInteger('129', 4, 128)).toEqual({ problem: 'must be between 4 and 128' });
  for (const text of ['', '1.5', '1e3', '0x10', 'abc', ' 5']) {
    expect(parseInteger(text, 0, 100)).toEqual({ problem: 'must be a whole number' });
  }
});

test('a choice names what can be chosen', () => {
  const flag = {
    kind: 'choice',
    name: 'x',
    placeholder: 'x',
    description: '',
    choices: ['a', 'b'],
  } as const;
  expect(parseFlagText(flag, 'b')).toEqual({ value: 'b' });
  expect(parseFlagText(flag, 'c')).toEqual({ problem: 'must be one of (a|b)' });
});
