import { byteTextOf, readableText } from '../../../src/sources/files/byte-text.ts';
import { cleanPath, componentsOf } from '../../../src/sources/files/clean-path.ts';
import { readFilesFrom } from '../../../src/sources/files/files-from.ts';
import { decodePatterns } from '../../../src/sources/files/pattern-files.ts';
import { PatternList } from '../../../src/sources/files/patterns.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** Lists of patterns: the first line is a path, the others are patterns. */
export const patternsTarget: FuzzTarget = {
  name: 'patterns',
  runsInCi: 700,
  seeds: () =>
    textSeeds(
      '/home/anna/src/a.o\n*.o\n!keep.o\n/home/**/src\nsrc/[a-z]*\n**/b?\\*',
      '/a/b/c/d/e\n**/**/**/e\n/a/**/c/**/e\n[^b]\n!**',
      '/x\n*a*a*a*a*a*b\n\\[x\n[a-z-9]\n$HOME/x\n${HOME}y',
    ),
  mutate: mutateBytes,
  run: (input) => {
    const lines = decodePatterns(input, { HOME: '/home/anna' });
    const [path = Buffer.from('/x'), ...patterns] = lines;
    for (const ignoreCase of [false, true]) {
      const list = answerOf(() => PatternList.parse(patterns, { ignoreCase }), 'PATTERN_INVALID');
      if (!list.isGiven) continue;
      const components = componentsOf(cleanPath(byteTextOf(path)));
      const folder = components.slice(0, -1);
      const state = list.value.stateOf(folder);
      const name = components.at(-1);
      const whole = list.value.matches(path);
      if (name !== undefined) {
        mustEqual(list.value.matchesEntry(state, name), whole, 'step by step');
      }
      const patternParts = patterns
        .map((each) => Buffer.from(each).toString('latin1'))
        .join('/')
        .split('/').length;
      must(state.nodes.length <= 3 + 2 * patternParts, 'a state is no larger than the patterns');
      list.value.childMayMatch(state);
    }
    readableText(byteTextOf(input));
  },
};

/** Lists of files as they are, and with zero bytes between. */
export const filesFromTarget: FuzzTarget = {
  name: 'files-from',
  runsInCi: 2000,
  seeds: () => [
    ...textSeeds('/a\n/b c\n\n#no comment\n', '/a\0/b\0', '\uFEFF/a\r\n/b\r\n'),
    Uint8Array.from(Buffer.from('\uFEFF/a\n/b\n', 'utf16le')),
  ],
  mutate: mutateBytes,
  run: (input) => {
    const read = (): Uint8Array => input;
    const names = answerOf(() => readFilesFrom({ verbatim: ['x'], read }), 'USAGE');
    must(
      names.isGiven && names.value.targets.every(({ length }) => length > 0),
      'no name is empty',
    );
    const raw = answerOf(() => readFilesFrom({ raw: ['x'], read }), 'USAGE');
    if (!raw.isGiven) return;
    mustEqual(
      Buffer.concat(raw.value.targets.map((name) => Buffer.concat([name, Buffer.of(0)]))),
      Buffer.from(input),
      'raw names are the bytes between the zeros',
    );
  },
};
