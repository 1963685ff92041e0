import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteTextOf } from './byte-text.ts';
import { naiveMatch } from './fixtures/naive-patterns.ts';
import { Glob, hasGlobCharacter } from './glob.ts';

function matches(pattern: string | Uint8Array, name: string | Uint8Array): boolean {
  return new Glob(byteTextOf(pattern)).matches(byteTextOf(name));
}

/** The table of Go's own path/filepath tests, as far as it has no slash. */
const goTable: [pattern: string, name: string, result: boolean | 'invalid'][] = [
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'a', true],
  ['a*', 'abc', true],
  ['a*b*c*d*e*', 'axbxcxdxe', true],
  ['a*b*c*d*e*', 'axbxcxdxexxx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[e-g]', 'abc', false],
  ['ab[^c]', 'abc', false],
  ['ab[^b-d]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a[^a]b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['a[^a][^a][^a]b', 'a☺b', false],
  ['[a-ζ]*', 'α', true],
  ['*[a-ζ]', 'A', false],
  ['[\\]a]', ']', true],
  ['[\\-]', '-', true],
  ['[x\\-]', 'x', true],
  ['[x\\-]', '-', true],
  ['[x\\-]', 'z', false],
  ['[\\-x]', 'x', true],
  ['[\\-x]', '-', true],
  ['[\\-x]', 'a', false],
  ['[]a]', ']', 'invalid'],
  ['[-]', '-', 'invalid'],
  ['[x-]', 'x', 'invalid'],
  ['[-x]', 'x', 'invalid'],
  ['\\', 'a', 'invalid'],
  ['[a-b-c]', 'a', 'invalid'],
  ['[', 'a', 'invalid'],
  ['[^', 'a', 'invalid'],
  ['[^bc', 'a', 'invalid'],
  ['a[', 'a', 'invalid'],
  ['a[', 'ab', 'invalid'],
  ['a[', 'x', 'invalid'],
  ['*x', 'xxx', true],
  ['[!a]', '!', true],
  ['[!a]', 'b', false],
  ['**', 'anything', true],
  ['fo**', 'foo', true],
  ['', '', true],
];

describe('Glob', () => {
  it.each(goTable)('%j on %j gives %j', (pattern, name, result) => {
    if (result === 'invalid') expect(() => matches(pattern, name)).toThrow('not valid');
    else expect(matches(pattern, name)).toBe(result);
  });

  it('takes bytes that are no UTF-8 one by one', () => {
    expect(matches('?', Uint8Array.of(0xff))).toBe(true);
    expect(matches('?', Uint8Array.of(0xc3, 0x28))).toBe(false);
    expect(matches('??', Uint8Array.of(0xc3, 0x28))).toBe(true);
    expect(matches(Uint8Array.of(0xff, 0x2a), Uint8Array.of(0xff, 0x01))).toBe(true);
    // Surrogates and overlong forms are no UTF-8 for Go.
    expect(matches('???', Uint8Array.of(0xed, 0xa0, 0x80))).toBe(true);
    expect(matches('??', Uint8Array.of(0xc0, 0x80))).toBe(true);
    // A star may stop within a character, as Go's does.
    expect(matches('*??', '€')).toBe(true);
  });

  it('equals a naive matcher', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '*'), maxLength: 8 });
    const part = fc.constantFrom(
      'a',
      'b',
      'é',
      '*',
      '?',
      '[ab]',
      '[^a]',
      '[a-é]',
      '\\*',
      '\\a',
      '.',
    );
    const pattern = fc.array(part, { maxLength: 7 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, text, (pattern, name) => {
        expect(matches(pattern, name)).toBe(naiveMatch(pattern, name));
      }),
      { numRuns: 3000 },
    );
  });

  it('never fails but with PATTERN_INVALID', () => {
    const bytes = fc.uint8Array({ maxLength: 12 });
    const pattern = fc.oneof(
      bytes,
      fc.string({ unit: fc.constantFrom(...Array.from('[]\\*?^-ab')) }),
    );
    fc.assert(
      fc.property(pattern, bytes, (pattern, name) => {
        try {
          matches(pattern, name);
        } catch (error) {
          expect(error).toHaveProperty('code', 'PATTERN_INVALID');
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no more than pattern length times name length', () => {
    const glob = new Glob(`${'a*'.repeat(100)}b`);
    for (let i = 0; i < 100; i++) expect(glob.matches('a'.repeat(255))).toBe(false);
  });

  it('knows what is literal', () => {
    expect(new Glob('a\\*b').exact).toBe('a*b');
    expect(new Glob('a*b').exact).toBeUndefined();
    expect(new Glob('*.tar.[gx]z').literal).toBe('.tar.');
    expect(hasGlobCharacter('a]')).toBe(true);
    expect(hasGlobCharacter('plain.name')).toBe(false);
  });
});
