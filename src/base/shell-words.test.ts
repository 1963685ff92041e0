import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitShellWords } from './shell-words.ts';

test.each([
  ['pass show backup', ['pass', 'show', 'backup']],
  ['  a\tb\n', ['a', 'b']],
  [`sh -c 'echo "x y"'`, ['sh', '-c', 'echo "x y"']],
  [`echo "a b" c\\ d`, ['echo', 'a b', 'c d']],
  [`"" ''`, ['', '']],
  [String.raw`"a\"b\\c\d"`, [String.raw`a"b\c\d`]],
  [String.raw`'a\b'`, [String.raw`a\b`]],
  [`a"b"'c'd`, ['abcd']],
  ['$HOME `x` ; | >', ['$HOME', '`x`', ';', '|', '>']],
])('%s', (text, words) => expect(splitShellWords(text)).toEqual(words));

test.each([`'open`, `"open`, '', '   '])('refuses %j', (text) => {
  expect(() => splitShellWords(text)).toThrow();
});

test('single quotes protect every word', () => {
  const word = fc.string().filter((text) => !text.includes("'"));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      expect(splitShellWords(words.map((one) => `'${one}'`).join(' '))).toEqual(words);
    }),
  );
});
