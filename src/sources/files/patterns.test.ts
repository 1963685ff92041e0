import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { naiveChildMayMatch, naiveListMatches } from './fixtures/naive-patterns.ts';
import { type PatternOptions, PatternList } from './patterns.ts';

function matches(patterns: string[], path: string | Uint8Array, options?: PatternOptions): boolean {
  return PatternList.parse(patterns, options).matches(path);
}

function mayMatchBelow(patterns: string[], path: string): boolean {
  const list = PatternList.parse(patterns);
  return list.childMayMatch(list.stateOf(path.split('/').filter((name) => name !== '')));
}

/** Chapter 13.1, sentence by sentence. */
const table: [patterns: string[], path: string, isMatched: boolean][] = [
  [['foo'], '/x/foo', true],
  [['foo'], '/x/foo/bar', true],
  [['foo'], '/x/foobar', false],
  [['/bin'], '/bin/bash', true],
  [['/bin'], '/usr/bin', false],
  [['foo/**/bar'], '/foo/bar', true],
  [['foo/**/bar'], '/foo/x/y/bar', true],
  [['foo/**/bar'], '/foo/x/y/bar/below', true],
  [['foo/**/bar'], '/foo/x/y/baz', false],
  [['foo/**'], '/foo', true],
  [['fo**'], '/foo', true],
  [['foo/'], '/foo', true],
  [['./foo'], '/x/foo', true],
  [['a/../b'], '/b', true],
  [['*', '!foo'], '/foo', false],
  [['*', '!foo'], '/foo/bar', false],
  [['*', '!foo'], '/bar', true],
  [['foo', '!foo/bar'], '/foo/bar', false],
  [['!foo', 'foo'], '/foo', true],
  [['/'], '/x', true],
  [['**'], '/x', true],
  [['/**'], '/x/y', true],
  [['!'], '/x', false],
  [['.'], '/x', false],
  [['!!x'], '/x', false],
  [[''], '/x', false],
  [['[!a]'], '/b', false],
  [['a/*/c'], '/x/a/b/c/d', true],
  [['a/*/c'], '/x/a/c', false],
  [['**/a/**/b/**'], '/x/a/y/z/b/t', true],
  [['\\*'], '/*', true],
  [['\\*'], '/a', false],
  [['../x'], '/x', false],
  [['/a//b/'], '/a/b', true],
];

describe('PatternList', () => {
  it.each(table)('%j on %s: %s', (patterns, path, isMatched) => {
    expect(matches(patterns, path)).toBe(isMatched);
  });

  it('names the pattern that is malformed', () => {
    expect(() => PatternList.parse(['ok', 'a/[b/c'])).toThrow(
      expect.objectContaining({ code: 'PATTERN_INVALID', details: { pattern: 'a/[b/c' } }),
    );
  });

  it('folds case as Go does', () => {
    const folded = { ignoreCase: true };
    expect(matches(['*.JPG'], '/a/B.jpg', folded)).toBe(true);
    expect(matches(['ÄPFEL'], '/äpfel', folded)).toBe(true);
    expect(matches(['[A-C]x'], '/bX', folded)).toBe(true);
    // One code point to one: not the two characters of the full mapping.
    expect(matches(['İ'], '/i', folded)).toBe(true);
    expect(matches(['ΑΣ'], '/ας', folded)).toBe(false);
    // What is no UTF-8 becomes U+FFFD on both sides.
    expect(matches(['\ufffdÄ'], Uint8Array.of(0x2f, 0xff, 0xc3, 0xa4), folded)).toBe(true);
    expect(matches(['*.JPG'], '/a/B.jpg')).toBe(false);
  });

  it('keeps names that are no UTF-8 apart', () => {
    const list = PatternList.parse([Uint8Array.of(0xff)]);
    expect(list.matches(Uint8Array.of(0x2f, 0xff))).toBe(true);
    expect(list.matches(Uint8Array.of(0x2f, 0xfe))).toBe(false);
  });

  it('tells whether something below may match', () => {
    expect(mayMatchBelow(['/a/b/c'], '/a')).toBe(true);
    expect(mayMatchBelow(['/a/b/c'], '/a/b')).toBe(true);
    expect(mayMatchBelow(['/a/b/c'], '/a/x')).toBe(false);
    expect(mayMatchBelow(['/a/b/c'], '/a/b/c/d')).toBe(true);
    expect(mayMatchBelow(['/a/**/c'], '/a/x/y')).toBe(true);
    expect(mayMatchBelow(['/a/**/c'], '/b')).toBe(false);
    expect(mayMatchBelow(['c'], '/b')).toBe(true);
    expect(mayMatchBelow(['/a', '!/a/b'], '/a/b')).toBe(false);
    expect(mayMatchBelow([], '/a')).toBe(false);
  });

  const component = fc.constantFrom(
    'a',
    'b',
    'ab',
    '*',
    '?',
    'a*',
    '*b',
    '[ab]',
    '**',
    '\\a',
    '[^b]*',
  );
  const pattern = fc
    .tuple(
      fc.constantFrom('', '', '!'),
      fc.constantFrom('', '/'),
      fc.array(component, { minLength: 1, maxLength: 4 }),
    )
    .map(([negation, root, components]) => negation + root + components.join('/'));
  const path = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'c'), { minLength: 1, maxLength: 5 })
    .map((names) => `/${names.join('/')}`);

  it('equals a naive list', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 6 }), path, (patterns, path) => {
        expect(matches(patterns, path)).toBe(naiveListMatches(patterns, path));
        expect(mayMatchBelow(patterns, path)).toBe(naiveChildMayMatch(patterns, path));
      }),
      { numRuns: 5000 },
    );
  });

  it('equals a naive list also where globs are found by their literals', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 });
    const glob = fc.tuple(
      fc.constantFrom('*', '?', '', 'c*'),
      text,
      fc.constantFrom('*', '?', '*a', '[ab]'),
    );
    const patterns = fc.array(
      glob.map((parts) => parts.join('')),
      { minLength: 20, maxLength: 40 },
    );
    const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(patterns, fc.array(name, { minLength: 1, maxLength: 3 }), (patterns, names) => {
        const path = `/${names.join('/')}`;
        expect(matches(patterns, path)).toBe(naiveListMatches(patterns, path));
      }),
      { numRuns: 500 },
    );
  });

  it('takes 10,000 patterns at the speed of a few (hazard C20)', () => {
    const kinds = [
      (i: number) => `*.tmp${i}`,
      (i: number) => `/home/user${i}/**/cache*${i}`,
      (i: number) => `name-${i}`,
      (i: number) => `*part${i}*[0-9]`,
      (i: number) => `build${i}/out?`,
    ];
    const list = PatternList.parse(
      Array.from({ length: 10_000 }, (_, i) => kinds[i % kinds.length]?.(i) ?? ''),
    );
    const names = Array.from({ length: 20_000 }, (_, i) => `some-file-number-${i}.txt`);
    const start = performance.now();
    const state = list.stateOf(['home', 'user1', 'projects']);
    expect(names.filter((name) => list.matchesEntry(state, name))).toEqual([]);
    // 1.5 µs a name when idle; a list walked one by one takes minutes.
    expect(performance.now() - start).toBeLessThan(3000);
    expect(list.matches('/home/user1/a/b/cache-1')).toBe(true);
    expect(list.matches('/x/name-9997/y')).toBe(true);
  });

  it('keeps one state for directories that no pattern cares about', () => {
    const list = PatternList.parse(['*.tmp', '/home/x/y']);
    const state = list.stateOf(['srv', 'data']);
    expect(list.descend(state, 'deeper')).toBe(state);
  });
});
