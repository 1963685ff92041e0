/** Plants a violation of each rule and expects it to be found. */
import { operationsApart } from './operations.ts';
import { describe, expect, test } from 'vitest';

import { errorLines } from '../../scripts/error-lines.ts';
import { missingDocstrings } from './docstrings.ts';
import { anchorsOf, brokenDocumentLinks, brokenLinks, oddFragments } from './document-links.ts';
import { compareDependencies, compareErrors, unusedCodes } from './documents.ts';
import { foreignText } from './foreign-text.ts';
import { deadFiles, importCycles } from './graph.ts';
import { checkHouse, type Layers, layersRule } from './layers.ts';
import { lockProblems } from './lock-file.ts';
import { compareKnown, hold } from './rule.ts';
import { seamBreaches } from './seam.ts';
import {
  compareOffenders,
  defaultExports,
  excesses,
  internalImports,
  unreadableFiles,
  unstrippableFiles,
} from './shape.ts';
import { type SourceFile, sourceFile } from './source-file.ts';

const room = { imports: [], builtins: [], packages: [] };
const layers: Layers = {
  rooms: [
    { ...room, name: 'low', builtins: ['node:path'], packages: ['good'] },
    {
      ...room,
      name: 'store',
      imports: ['low'],
      apart: true,
      joints: ['open.ts'],
      folders: { s3: { builtins: ['node:http'], packages: ['sdk'] } },
    },
    { ...room, name: 'high', imports: ['low', 'store/face.ts'], tests: ['store'] },
    { ...room, name: 'top', imports: ['*'] },
  ],
  places: { test: { imports: ['*'], packages: ['vitest'] }, bench: { imports: [], packages: [] } },
  testPackages: ['vitest'],
  entries: ['src/top/main.ts'],
};

/** Files by path. */
function tree(texts: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(texts).map(([path, text]) => sourceFile(path, text));
}

const lines = (count: number, line = '// x'): string => `${line}\n`.repeat(count);

test('a rule that looked at nothing does not hold', () => {
  expect(hold([], () => [])).toEqual(['the rule looked at nothing']);
  expect(hold([1], () => [])).toEqual([]);
});

test('what is known is let through, and nothing else', () => {
  expect(compareKnown(['a.ts:5: bad'], ['a.ts: bad'])).toEqual([]);
  expect(compareKnown(['a.ts:5: bad'], [])).toEqual(['a.ts:5: bad']);
  expect(compareKnown([], ['a.ts: bad'])[0]).toContain('is mended');
});

test('a file that is no TypeScript', () => {
  expect(unreadableFiles(tree({ 'src/low/a.ts': 'const = 1;' }))).toHaveLength(1);
  expect(unreadableFiles(tree({ 'src/low/a.ts': 'const a: number = 1;' }))).toEqual([]);
});

test('a file that Node cannot strip of its types', () => {
  const text = 'for (const of of [1]) void of;';
  expect(unreadableFiles(tree({ 'src/low/a.ts': text }))).toEqual([]);
  expect(unstrippableFiles(tree({ 'src/low/a.ts': text }))).toHaveLength(1);
  expect(unstrippableFiles(tree({ 'src/low/a.ts': 'const a: number = 1;' }))).toEqual([]);
});

const check = (path: string, text: string): string[] =>
  layersRule(layers)(tree({ [path]: text })).map((found) => found.replace(/^[^:]*:/, ''));

function links(text: string): string[] {
  return brokenLinks(
    new Map([
      ['README.md', text],
      ['docs/A.md', '# One two\n[up](../README.md)\n'],
    ]),
  );
}

function fragment(text: string): string[] {
  return oddFragments(new Map([['changelog/unreleased/a.md', text]]));
}

describe('layers', () => {
  test.each([
    ['an import of a room above', 'src/low/a.ts', "import { b } from '../high/b.ts';"],
    ['a type of a room above', 'src/low/a.ts', "import type { B } from '../high/b.ts';"],
    ['an import type expression', 'src/low/a.ts', "type B = import('../high/b.ts').B;"],
    ['a re-export', 'src/low/a.ts', "export * from '../high/b.ts';"],
    ['an import at run time', 'src/low/a.ts', "await import('../high/b.ts');"],
    ['a worker by its URL', 'src/low/a.ts', "new URL('../high/b.ts', import.meta.url);"],
    ['a worker by its name', 'src/low/a.ts', "workerModule('../high/b.ts', import.meta.url);"],
    ['the inside of a room of which one file is open', 'src/high/a.ts', "import '../store/x.ts';"],
    ['a Node builtin', 'src/low/a.ts', "import { connect } from 'node:net';"],
    ['a Node builtin without its prefix', 'src/low/a.ts', "import { connect } from 'net';"],
    ['a package', 'src/store/a.ts', "import good from 'good';"],
    ['a package by require', 'src/low/a.ts', "require('@scope/bad/file.js');"],
    ['a test package outside tests', 'src/low/a.ts', "import { test } from 'vitest';"],
    ['a neighbour', 'src/store/s3/a.ts', "import '../local/b.ts';"],
    ['the package of another folder', 'src/store/local/a.ts', "import sdk from 'sdk';"],
    ['the builtin of a folder, beside it', 'src/store/a.ts', "import 'node:http';"],
    ['a store named outside the joint', 'src/store/face.ts', "import './local/b.ts';"],
    ['a file outside src', 'src/low/a.ts', "import '../../bench/run.ts';"],
    ['a room from bench', 'bench/a.ts', "import '../src/low/a.ts';"],
    ['what tests may not have either', 'src/low/a.test.ts', "import '../high/b.ts';"],
  ])('%s', (_, path, text) => {
    expect(check(path, text)).toHaveLength(1);
  });

  test('a file in no room', () => {
    expect(check('src/nowhere/a.ts', '')).toEqual(['1: stands in no room or place of layers.json']);
    expect(check('src/a.ts', '')).toHaveLength(1);
    expect(check('tools/a.ts', '')).toHaveLength(1);
  });

  test.each([
    ['src/low/a.ts', "import 'node:path'; import good from 'good'; import './b.ts';"],
    ['src/high/a.ts', "import '../low/x.ts'; import { f } from '../store/face.ts';"],
    ['src/high/a.test.ts', "import '../store/local/b.ts'; import 'node:net'; import 'vitest';"],
    ['src/store/open.ts', "import './local/b.ts';"],
    ['src/store/local/a.ts', "import '../face.ts'; import './b.ts';"],
    ['src/store/s3/a.ts', "import 'node:http'; import sdk from 'sdk'; import '../face.ts';"],
    ['src/top/main.ts', "import '../store/local/b.ts';"],
    ['test/a.test.ts', "import '../src/high/b.ts'; import '../bench/run.ts'; import 'node:fs';"],
  ])('what %s may', (path, text) => {
    expect(check(path, text)).toEqual([]);
  });

  test('a room that stands on one above it', () => {
    const rooms = [
      { ...room, name: 'a', imports: ['b/face.ts'] },
      { ...room, name: 'b' },
    ];
    expect(checkHouse(rooms)).toEqual(['layers.json:1: a cannot stand on b/face.ts']);
    expect(checkHouse(layers.rooms)).toEqual([]);
  });
});

describe('graph', () => {
  test('imports in a circle', () => {
    const circle = tree({
      'src/low/a.ts': "import type { B } from './b.ts';",
      'src/low/b.ts': "import { c } from './c.ts';",
      'src/low/c.ts': "export { a } from './a.ts';",
      'src/low/d.ts': "import './a.ts';",
    });
    expect(importCycles(circle)).toMatchInlineSnapshot(`
      [
        "src/low/a.ts:1: imports itself in a circle: src/low/a.ts -> src/low/b.ts -> src/low/c.ts -> src/low/a.ts",
      ]
    `);
    expect(importCycles(circle.slice(1))).toEqual([]);
  });

  test('an operation that reaches into another', () => {
    const files = tree({
      'src/high/check.ts': "import './check/part.ts'; import './shared/tool.ts';",
      'src/high/check/part.ts': "import '../shared/tool.ts'; import '../mend-index.ts';",
      'src/high/mend-index.ts': "import './mend/step.ts'; import './check.ts';",
      'src/high/mend/step.ts': "import { X } from '../check/part.ts';",
      'src/high/mend/step.test.ts': "import '../check/part.ts';",
      'src/high/shared/tool.ts': "import type { Y } from '../mend/step.ts';",
      'src/high/lone.ts': "import './check/part.ts';",
    });
    expect(operationsApart('src/high')(files)).toEqual([
      'src/high/check/part.ts:1: reaches into another operation: src/high/mend-index.ts',
      'src/high/mend/step.ts:1: reaches into another operation: src/high/check/part.ts',
      'src/high/shared/tool.ts:1: reaches into another operation: src/high/mend/step.ts',
      'src/high/lone.ts:1: reaches into another operation: src/high/check/part.ts',
    ]);
    expect(operationsApart('src/high')(files.slice(0, 1))).toEqual([]);
  });

  test('a dead file', () => {
    const files = tree({
      'src/top/main.ts': "new Worker(workerModule('./worker.ts', import.meta.url));",
      'src/top/worker.ts': "await import('./late.ts');",
      'src/top/late.ts': '',
      'src/top/tested.ts': '',
      'src/top/tested.test.ts': "import './tested.ts';",
      'src/top/dead.ts': "import './deader.ts';",
      'src/top/deader.ts': '',
      'scripts/build.mjs': "run('scripts/step.mjs');",
      'scripts/step.mjs': "start(folder, 'beside.mjs');",
      'scripts/beside.mjs': '',
      'scripts/old.mjs': '',
    });
    const starts = { entries: layers.entries, text: '"build": "node scripts/build.mjs"' };
    expect(deadFiles(files, starts).map((found) => found.split(':')[0])).toEqual([
      'src/top/dead.ts',
      'src/top/deader.ts',
      'scripts/old.mjs',
    ]);
  });
});

describe('shape', () => {
  test('an import of an internal folder from elsewhere', () => {
    const text = "import '../b/internal/x.ts';";
    expect(internalImports(tree({ 'src/low/a/x.ts': text }))).toHaveLength(1);
    expect(internalImports(tree({ 'src/low/b/x.ts': "import './internal/x.ts';" }))).toEqual([]);
  });

  test.each(['export default 1;', 'export { a as default };', "export { default } from './b.ts';"])(
    'a default export: %s',
    (text) => {
      expect(defaultExports(tree({ 'src/low/a.ts': `const a = 1;\n${text}` }))).toHaveLength(1);
    },
  );

  const none = { fileLines: {}, functionLines: {}, parameters: {} };
  const long = `function long(): void {\n${lines(69)}}\n`;

  test.each([
    ['a file of 601 lines', 'src/low/a.ts', lines(601), 'fileLines'],
    ['a function of 71 lines', 'src/low/a.ts', long, 'functionLines'],
    ['a method of 71 lines', 'src/low/a.ts', `class A {\n${long.slice(9)}}`, 'functionLines'],
    ['an arrow of 71 lines', 'src/low/a.ts', `const f = () => {\n${lines(69)}};`, 'functionLines'],
    [
      'a test of 71 lines',
      'src/low/a.test.ts',
      `test('x', () => {\n${lines(69)}});`,
      'functionLines',
    ],
    ['4 parameters', 'src/low/a.ts', 'function f(a, b, c, d) {}', 'parameters'],
    [
      'a constructor with 4',
      'src/low/a.ts',
      'class A { constructor(a, b, c, d) {} }',
      'parameters',
    ],
  ])('%s', (_, path, text, measure) => {
    const found = excesses(tree({ [path]: text }));
    expect(found.map((excess) => excess.measure)).toEqual([measure]);
    expect(compareOffenders(found, none)).toHaveLength(1);
  });

  test.each([
    ['600 lines', 'src/low/a.ts', lines(600)],
    [
      'a list of tests',
      'src/low/a.test.ts',
      `describe('x', () => {\n${lines(99)}test('y', f); });`,
    ],
    ['a callback', 'src/low/a.ts', 'each(function (a, b, c, d) {});'],
    ['another language', 'src/kernels/assembly/a.ts', '@inline function f(a, b, c, d) {}'],
  ])('what is allowed: %s', (_, path, text) => {
    expect(excesses(tree({ [path]: text }))).toEqual([]);
  });

  test('the list of old offenders only shrinks', () => {
    const found = excesses(tree({ 'src/low/a.ts': 'function f(a, b, c, d) {}' }));
    const listed = (value: number) => ({ ...none, parameters: { 'src/low/a.ts#f': value } });
    expect(compareOffenders(found, listed(4))).toEqual([]);
    expect(compareOffenders(found, listed(5))[0]).toContain('lower it to 4');
    expect(compareOffenders([], listed(4))[0]).toContain('remove its line');
    expect(compareOffenders(found, none)[0]).toContain('src/low/a.ts#f: 4 parameters, 3 allowed');
  });
});

const undocumented = (text: string, path = 'src/low/a.ts'): string[] =>
  missingDocstrings(tree({ [path]: text }));

describe('docstrings', () => {
  test.each([
    ['a function', 'export async function f() {}'],
    ['a class', 'export abstract class A {}'],
    ['an interface', 'export interface A {}'],
    ['a type', 'export type A = 1;'],
    ['a constant', 'export const a = 1;'],
    ['a constant taken apart', 'export const { a } = b;'],
    ['a name that is exported later', 'const a = 1;\nexport { a as b };'],
    ['a type that is exported later', 'interface A {}\nexport type { A };'],
    ['only a line comment', '// What it is.\nexport const a = 1;'],
    ['only a plain block comment', '/* What it is. */\nexport const a = 1;'],
    ['an empty docstring', '/** */\nexport const a = 1;'],
    ['the docstring of the file', '/** What the file is. */\n\nexport const a = 1;'],
    ['the docstring of another', '/** What a is. */\nexport const a = 1;\nexport const b = 2;'],
    ['a docstring and then a comment', '/** What a is. */\n/* b */\nexport const a = 1;'],
  ])('%s without one', (_, text) => {
    expect(undocumented(text)).toHaveLength(1);
  });

  test('it is told which', () => {
    expect(undocumented('\nexport const a = 1;')).toEqual([
      'src/low/a.ts:2: exports a without a docstring on the line before it',
    ]);
  });

  test.each([
    ['a docstring', '/** What it is: `src/**`. */\nexport const a = 1;'],
    ['one of several lines', '/**\n * What it is.\n */\nexport class A {}'],
    [
      'further forms of a function',
      '/** F. */\nexport function f(a: 1): 1;\nexport function f() {}',
    ],
    ['what is exported elsewhere', "export { a } from './b.ts';\nexport * from './c.ts';"],
    ['what is imported', "import { a } from './b.ts';\nexport { a };"],
    ['what is not exported', 'const a = 1;'],
  ])('what is allowed: %s', (_, text) => {
    expect(undocumented(text)).toEqual([]);
  });

  test.each(['src/low/a.test.ts', 'src/low/a-test-support.ts', 'bench/a.ts', 'scripts/a.mjs'])(
    'what needs none: %s',
    (path) => {
      expect(undocumented('export const a = 1;', path)).toEqual([]);
    },
  );
});

const breaches = (path: string, text: string): string[] => seamBreaches(tree({ [path]: text }));

describe('seam', () => {
  test.each([
    'Date.now();',
    'globalThis.Date.now();',
    "Date['now']();",
    'new Date();',
    'Date();',
    'performance.now();',
    'process.hrtime.bigint();',
    'Math.random();',
    'setTimeout(f, 1);',
    'globalThis.setTimeout(f, 1);',
    'new Promise(setImmediate);',
    'setInterval(f, 1);',
    'AbortSignal.timeout(5);',
    "import { setTimeout as wait } from 'node:timers/promises';",
    "import { readFileSync } from 'node:fs';",
    "import { readFile } from 'fs/promises';",
    "const fs = require('fs');",
    "await import('node:fs');",
    "import { randomBytes } from 'node:crypto';",
    "import { randomFillSync as fill } from 'crypto';",
    'crypto.randomUUID();',
    'globalThis.crypto.getRandomValues(a);',
    "program.func('getrandom');",
  ])('%s', (text) => {
    expect(breaches('src/low/a.ts', text)).not.toEqual([]);
  });

  test.each(['Date.now();', 'new Date();', 'Math.random();', 'setTimeout(f, 1);'])(
    'in a test: %s',
    (text) => {
      expect(breaches('src/low/a.test.ts', text)).toHaveLength(1);
      expect(breaches('test/interop/a.ts', text)).toHaveLength(1);
    },
  );

  test.each([
    ['src/base/clock.ts', 'Date.now(); setTimeout(f, 1);'],
    ['src/base/random.ts', "import { randomFillSync } from 'node:crypto';"],
    ['src/platform/a.ts', "import { readFileSync } from 'node:fs';"],
    ['src/low/a.ts', 'new Date(5); clock.now(); clock.setTimeout(f); const o = { setTimeout: 1 };'],
    ['src/low/a.ts', "import { randomBytes } from '../base/random.ts'; randomBytes(random, 5);"],
    ['src/low/a.test.ts', "import { readFileSync } from 'node:fs'; performance.now();"],
    ['bench/a.ts', 'performance.now(); new Date();'],
  ])('what %s may: %s', (path, text) => {
    expect(breaches(path, text)).toEqual([]);
  });
});

const foreign = (text: string, root = '/data/checkouts/project/'): string[] =>
  foreignText([{ path: 'a', text }], root);

describe('documents', () => {
  test('rows of errors on one side only', () => {
    const rest = { scope: 'item', exitCode: 1, httpStatus: 500 } as const;
    const row = { summary: 'a', retry: 'never', ...rest } as const;
    const expected = errorLines({ USAGE: row, CANCELLED: { ...row, hint: 'Do b|c.' } });
    expect(expected).toEqual([
      '| `USAGE` | a. | never | item | 1 | 500 |',
      '| `CANCELLED` | a. Do b\\|c. | never | item | 1 | 500 |',
    ]);
    expect(compareErrors(expected.join('\n'), expected)).toEqual([]);
    expect(compareErrors(expected[0] ?? '', expected)[0]).toContain('lacks the row | `CANCELLED`');
    expect(compareErrors(expected.join('\n'), expected.slice(1))[0]).toContain('no code has');
    expect(compareErrors(expected.join('\n').replace('never', 'later'), expected)).toHaveLength(2);
  });

  test('a code that nothing uses', () => {
    expect(unusedCodes(['USAGE', 'CANCELLED'], "throw new HoldfastError('USAGE')")).toHaveLength(1);
  });

  test('dependencies on one side only', () => {
    const part = '**What for:** a\n**Considered:** b\n**Replaced by:** c\n';
    const document = `### koffi\n${part}\n| \`vitest\` | tests |\n`;
    const manifest = { dependencies: { koffi: '1' }, devDependencies: { vitest: '1' } };
    expect(compareDependencies(document, manifest)).toEqual([]);
    expect(compareDependencies(document, { ...manifest, dependencies: {} })).toHaveLength(1);
    expect(compareDependencies(document, { ...manifest, devDependencies: {} })).toHaveLength(1);
    expect(compareDependencies('', manifest)).toHaveLength(2);
    expect(compareDependencies(document.replace('Considered', 'Con'), manifest)[0]).toContain(
      'koffi does not say "Considered"',
    );
  });

  test('a lock that lacks a package, or has one that runs at install', () => {
    const packages = {
      '': { devDependencies: { a: '1' } },
      'node_modules/a': { optionalDependencies: { b: '1', c: '1' } },
      'node_modules/a/node_modules/b': { dependencies: { a: '1' } },
      'node_modules/c': {},
    };
    expect(lockProblems({ packages })).toEqual([]);
    const { 'node_modules/c': _, ...others } = packages;
    expect(lockProblems({ packages: others })[0]).toContain('needs c, which has no entry');
    const running = { 'node_modules/c': { hasInstallScript: true } };
    expect(lockProblems({ packages: running })[0]).toContain('runs a script');
  });

  test('mentions of documents that lead nowhere', () => {
    const documents = new Map([
      ['docs/FORMAT.md', anchorsOf('# Format\n## Packs and blobs: `a`\n')],
    ]);
    const found = (comment: string): string[] =>
      brokenDocumentLinks(tree({ 'src/low/a.ts': `// ${comment}` }), documents);
    expect(found('@see docs/FORMAT.md#packs-and-blobs-a and docs/FORMAT.md')).toEqual([]);
    expect(found('@see docs/FORMAT.md#pack')[0]).toContain('no such heading');
    expect(found('@see docs/NONE.md')[0]).toContain('no such document');
    expect(found('@see other/docs/FORMAT.md')[0]).toContain('no such document');
    expect(found('@see docs/FORMAT.md chapter 21')[0]).toContain('name a heading');
  });

  test('links and fragments', () => {
    expect(links('[a](docs/A.md) [b](docs/A.md#one-two) [c](https://example.com)')).toEqual([]);
    expect(links('[a](docs/B.md)')[0]).toContain('there is no docs/B.md');
    expect(links('x\n[a](docs/A.md#three)')[0]).toContain('has no heading #three');
    expect(fragment('Bugfix: Do it\n\nWhy.\n')).toEqual([]);
    expect(fragment('Faster: Do it\n\nWhy.\n')).toHaveLength(1);
    expect(fragment('Bugfix: Do it\nWhy.\n')).toHaveLength(1);
  });

  test('machines and registries', () => {
    expect(foreign('cd /data/checkouts/project')).toHaveLength(1);
    expect(foreign('a\nPATH=/data/checkouts/other/bin')).toEqual(['a:2: names /data/checkouts/']);
    expect(foreign(`https://${['registry', 'npmjs', 'org'].join('.')}/x`)).toHaveLength(1);
    expect(foreign(['"resolved": "https', '//example.com/x.tgz"'].join(':'))).toHaveLength(1);
    expect(foreign('see ./data/checkouts/ and https://example.com')).toEqual([]);
    expect(foreign('cd /tmp/x', '/tmp/project')).toEqual([]);
  });
});
