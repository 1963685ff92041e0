import { expect, it } from 'vitest';
import { readableText } from './byte-text.ts';
import { decodePatterns, expandVariables, readPatternFiles } from './pattern-files.ts';
import { decodeText, linesOf, trimSpace } from './text-file.ts';

const variables = { HOME: '/home/me', name: 'Zoë', EMPTY: '' };

function patternsOf(bytes: Uint8Array): string[] {
  return decodePatterns(bytes, variables).map((pattern) => Buffer.from(pattern).toString());
}

it('trims lines, skips comments and empty lines, keeps order', () => {
  const text = '  *.tmp \r\n\n# no\n\t#no\n\u00a0/x\u2003\n!keep';
  expect(patternsOf(Buffer.from(text))).toEqual(['*.tmp', '/x', '!keep']);
});

it('reads UTF-8 and UTF-16 with a byte order mark', () => {
  expect(patternsOf(Buffer.from('\ufeffä\n'))).toEqual(['ä']);
  expect(patternsOf(Buffer.from('\ufeffä\nb', 'utf16le'))).toEqual(['ä', 'b']);
  expect(patternsOf(Buffer.from('\ufeffä\nb', 'utf16le').swap16())).toEqual(['ä', 'b']);
  expect(decodeText(Uint8Array.of(0xff, 0x61))).toBe('\u00ffa');
});

it('keeps bytes that are no UTF-8', () => {
  expect(decodePatterns(Uint8Array.of(0x20, 0xff, 0x0a), {})).toEqual([Uint8Array.of(0xff)]);
});

it.each([
  ['$HOME/x', '/home/me/x'],
  ['${HOME}x', '/home/mex'],
  ['$HOMEx', ''],
  ['a$name', 'aZoë'],
  ['$$x', '$x'],
  ['${$}x', '$x'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$.x', '$.x'],
  ['$1x', 'x'],
  ['${}x', 'x'],
  ['${open', 'open'],
  ['$EMPTY$UNSET', ''],
])('expands %j to %j', (text, expanded) => {
  expect(readableText(expandVariables(text, variables))).toBe(expanded);
});

function twoLines(name: string): Uint8Array {
  return Buffer.from(`${name}1\n${name}2\n`);
}

it('reads several files in order', () => {
  const patterns = readPatternFiles(['a', 'b'], { variables, read: twoLines });
  expect(patterns.map((pattern) => Buffer.from(pattern).toString())).toEqual([
    'a1',
    'a2',
    'b1',
    'b2',
  ]);
  expect(() => readPatternFiles(['/no/such/file'], { variables })).toThrow('does not exist');
});

it('splits lines', () => {
  expect(linesOf('a\r\nb\n\nc')).toEqual(['a', 'b', '', 'c']);
  expect(linesOf('')).toEqual([]);
  expect(linesOf('a\n')).toEqual(['a']);
});

it('trims long runs of space in linear time', () => {
  expect(trimSpace(`${' '.repeat(2_000_000)}a${' '.repeat(20_000)}b `)).toHaveLength(20_002);
});

it.each(['__proto__', 'constructor', 'toString'])('$%s is no variable', (name) => {
  expect(expandVariables(`a/$${name}/\${${name}}`, {})).toBe('a//');
});
