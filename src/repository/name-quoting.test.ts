import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { anyText } from './json-test-support.ts';
import { isPrintable } from './name-quoting-table.ts';
import { quoteName, unquoteName } from './name-quoting.ts';

const vectors: { printable: string[] } = JSON.parse(
  readFileSync(new URL('fixtures/name-quoting.json', import.meta.url), 'utf8'),
);

function quoted(name: string | number[]): string {
  const bytes = typeof name === 'string' ? Buffer.from(name, 'utf8') : Uint8Array.from(name);
  return Buffer.from(quoteName(bytes)).toString('utf8');
}

function unquoted(text: string): string | undefined {
  const bytes = unquoteName(Buffer.from(text, 'utf8'));
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1');
}

describe('isPrintable', () => {
  test('equals what restic was seen to write, for every code point', () => {
    const expected = new Uint8Array(0x110000);
    for (const range of vectors.printable) {
      const [first = '', last] = range.split('-');
      const from = Number.parseInt(first, 16);
      expected.fill(1, from, Number.parseInt(last ?? first, 16) + 1);
    }
    const actual = expected.map((_, codePoint) => (isPrintable(codePoint) ? 1 : 0));
    expect(Buffer.compare(actual, expected)).toBe(0);
  });
});

describe('quoteName', () => {
  test.each<[string | number[], string]>([
    ['plain name-1.txt', 'plain name-1.txt'],
    ["it's `fine` <&>", "it's `fine` <&>"],
    ['a"b\\c', 'a\\"b\\\\c'],
    ['\u0007\b\f\n\r\t\v', '\\a\\b\\f\\n\\r\\t\\v'],
    ['\u0001\u001b\u007f', '\\x01\\x1b\\x7f'],
    ['é 漢字 \u{1f600}', 'é 漢字 \u{1f600}'],
    ['\u00a0\u00ad\u200d\ufeff\u2028', '\\u00a0\\u00ad\\u200d\\ufeff\\u2028'],
    ['\ue000\u{e0001}\u{10ffff}', '\\ue000\\U000e0001\\U0010ffff'],
    ['\ufffd', '\ufffd'],
    [[0x61, 0xff, 0x62], 'a\\xffb'],
    // A surrogate, an overlong slash, a truncated sequence, a value above U+10FFFF.
    [[0xed, 0xa0, 0x80], '\\xed\\xa0\\x80'],
    [[0xc0, 0xaf], '\\xc0\\xaf'],
    [[0xe2, 0x82], '\\xe2\\x82'],
    [[0xf4, 0x90, 0x80, 0x80], '\\xf4\\x90\\x80\\x80'],
  ])('of %j is %j', (name, expected) => {
    expect(quoted(name)).toBe(expected);
  });

  test('returns plain names without a copy', () => {
    const name = Buffer.from('plain');
    expect(quoteName(name)).toBe(name);
    expect(unquoteName(name)).toBe(name);
  });

  test('is undone by unquoteName, for any bytes', () => {
    const text = anyText.map((s) => Uint8Array.from(Buffer.from(s)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), text), (name) => {
        const result = quoteName(name);
        expect(Buffer.from(Buffer.from(result).toString('utf8'))).toEqual(Buffer.from(result));
        expect(Buffer.compare(unquoteName(result)!, name)).toBe(0);
      }),
    );
  });
});

describe('unquoteName', () => {
  test('reads octal, upper-case hex and every other escape of Go', () => {
    expect(unquoted('\\101\\377\\000')).toBe('A\u00ff\u0000');
    expect(unquoted('\\xFF\\u00E9\\U0001F600')).toBe(
      Buffer.from([0xff, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]).toString('latin1'),
    );
    expect(unquoted('tab\tstays')).toBe('tab\tstays');
  });

  test.each([
    '"',
    'a\nb',
    '\\',
    'a\\',
    "\\'",
    '\\q',
    '\\x',
    '\\xf',
    '\\xfg',
    '\\u12',
    '\\ud800',
    '\\U00110000',
    '\\UFFFFFFFF',
    '\\400',
    '\\09',
    '\\128',
    '\\8',
    '\\\0',
  ])('refuses %j', (text) => {
    expect(unquoted(text)).toBeUndefined();
  });

  test('never throws and never gives more bytes than it got', () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from('\\xuU"01789abfnrtv\'\n')),
      maxLength: 24,
    });
    fc.assert(
      fc.property(text, (value) => {
        const bytes = unquoteName(Buffer.from(value));
        expect(bytes?.byteLength ?? 0).toBeLessThanOrEqual(value.length);
      }),
    );
  });
});
