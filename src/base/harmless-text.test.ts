import { expect, test } from 'vitest';
import { harmlessJson, harmlessLine, harmlessText } from './harmless-text.ts';

test('what drives a terminal is escaped; line ends and tabs stay', () => {
  expect(harmlessText('a\u001b[31m\r\u0007\u009b\u007f\u202eb\tc\nd é 漢')).toBe(
    String.raw`a\x1b[31m\x0d\x07\x9b\x7f\u202eb` + '\tc\nd é 漢',
  );
});

test('a line stays one', () => {
  expect(harmlessLine('a\nFatal: b\u2028c\td')).toBe('a Fatal: b c d');
});

test('JSON says the same', () => {
  const json = JSON.stringify({ name: 'x\u009b31m\u202e\u007f\u001b' });
  const safe = harmlessJson(json);
  expect(safe).toBe(String.raw`{"name":"x\u009b31m\u202e\u007f\u001b"}`);
  expect(JSON.parse(safe)).toEqual(JSON.parse(json));
});
