import { describe, expect, it } from 'vitest';
import { assertComponent, printablePath } from './place.ts';

describe('assertComponent', () => {
  it.each(['a', '...', '..foo', '.a', ' ', '-rf', 'a:b', '\n', '\u0301', '\xff'])(
    'takes %j',
    (name) => {
      expect(() => assertComponent(Buffer.from(name, 'latin1'))).not.toThrow();
    },
  );

  it.each(['', '.', '..', '/', 'a/b', '/etc', '../x', 'a\0', '\0'])('refuses %j', (name) => {
    expect(() => assertComponent(Buffer.from(name))).toThrow(
      expect.objectContaining({ code: 'ASSERTION_FAILED' }),
    );
  });
});

describe('printablePath', () => {
  it('keeps readable text', () => {
    expect(printablePath(Buffer.from('/home/Zoë/日本 a'))).toBe('/home/Zoë/日本 a');
  });

  it.each([
    [Buffer.from('a\nb'), 'a\\x0ab'],
    [Buffer.from('\x1b[31mred'), '\\x1b[31mred'],
    [Buffer.from([0x61, 0xff, 0x62]), 'a\\xffb'],
    [Buffer.from('\u0085'), '\\xc2\\x85'],
  ])('escapes what is not', (path, expected) => {
    expect(printablePath(path)).toBe(expected);
  });
});
