import { describe, expect, test } from 'vitest';
import { decodeText, trimText } from './text-file.ts';

const utf16le = (text: string): Buffer => Buffer.from(text, 'utf16le');

describe('decodeText', () => {
  test.each([
    ['plain', Buffer.from('gehéim')],
    ['UTF-8 with a mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('gehéim')])],
    ['UTF-16 little endian', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16le('gehéim')])],
    ['UTF-16 big endian', Buffer.concat([Buffer.from([0xfe, 0xff]), utf16le('gehéim').swap16()])],
  ])('%s', (_, bytes) => expect(Buffer.from(decodeText(bytes)).toString()).toBe('gehéim'));

  test('leaves other bytes alone', () => {
    const bytes = Uint8Array.of(0x80, 0xff, 0x00);
    expect(decodeText(bytes)).toEqual(bytes);
  });
});

test('trimText takes blanks of Unicode off both ends', () => {
  const text = ' \t\u00a0\u3000secret word\u2028\r\n';
  expect(Buffer.from(trimText(Buffer.from(text))).toString()).toBe('secret word');
  expect(trimText(Buffer.from('  \n'))).toHaveLength(0);
});

test('trimText keeps bytes that are not UTF-8', () => {
  const bytes = Buffer.from([0x20, 0xff, 0x20, 0xfe, 0x0a]);
  expect([...trimText(bytes)]).toEqual([0xff, 0x20, 0xfe]);
});
