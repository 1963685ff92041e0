/** Holds the project to its own rules: layers.json, docs/CONTRIBUTING.md and the documents that mirror the source. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { operationsApart } from './operations.ts';

import { describe, expect, test } from 'vitest';

import { errorLines } from '../../scripts/error-lines.ts';
import { errorTable } from '../../src/base/errors.ts';
import { missingDocstrings } from './docstrings.ts';
import { anchorsOf, brokenDocumentLinks, brokenLinks, oddFragments } from './document-links.ts';
import { compareDependencies, compareErrors, unusedCodes } from './documents.ts';
import { foreignText } from './foreign-text.ts';
import { deadFiles, importCycles } from './graph.ts';
import { checkHouse, layersRule, readLayers } from './layers.ts';
import { lockProblems } from './lock-file.ts';
import { listFiles, readSourceFiles, readText, root } from './project.ts';
import { compareKnown, hold, type Rule } from './rule.ts';
import { seamBreaches } from './seam.ts';
import {
  compareOffenders,
  defaultExports,
  excesses,
  internalImports,
  type Offenders,
  unreadableFiles,
  unstrippableFiles,
} from './shape.ts';

const files = readSourceFiles();
const layers = readLayers();
const offenders: Offenders & { known: Readonly<Record<string, readonly string[]>> } = JSON.parse(
  readText('test/tidy/offenders.json'),
);
const starts = {
  entries: layers.entries,
  text: ['package.json', '.ci/run', 'bin/holdfast', 'vitest.config.ts'].map(readText).join('\n'),
};

const rules: Readonly<Record<string, Rule>> = {
  'every file is understood': unreadableFiles,
  'Node runs every file as it is': unstrippableFiles,
  'imports keep to the layers': layersRule(layers),
  'operations of the engine do not reach into each other': operationsApart('src/engine'),
  'no imports in circles': importCycles,
  'no dead files': (all) => deadFiles(all, starts),
  'internal folders stay internal': internalImports,
  'no default exports': defaultExports,
  'every exported name has a docstring': missingDocstrings,
  'files, functions and parameters keep their caps': (all) =>
    compareOffenders(excesses(all), offenders),
  'clock, randomness, timers and files go through the seam': seamBreaches,
  'mentions of documents lead somewhere': (all) =>
    brokenDocumentLinks(
      all.filter(({ path }) => path !== 'test/tidy/planted.test.ts'),
      readAnchors(),
    ),
};

/** Anchors of each document of docs/. */
function readAnchors(): Map<string, Set<string>> {
  const names = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return new Map(names.map((name) => [`docs/${name}`, anchorsOf(readText(`docs/${name}`))]));
}

describe('source', () => {
  test('is there', () => {
    for (const folder of ['src/base/', 'src/cli/', 'test/', 'bench/', 'scripts/']) {
      const count = files.filter(({ path }) => path.startsWith(folder)).length;
      expect(count, `source files in ${folder}`).toBeGreaterThan(0);
    }
  });

  test.each(Object.entries(rules))('%s', (name, rule) => {
    expect(compareKnown(hold(files, rule), offenders.known[name] ?? [])).toEqual([]);
  });

  test('the rooms make a house', () => {
    expect(hold(layers.rooms, checkHouse)).toEqual([]);
  });
});

describe('documents', () => {
  test('docs/ERRORS.md has the rows of the error table', () => {
    const document = readText('docs/ERRORS.md');
    expect(hold(errorLines(), (lines) => compareErrors(document, lines))).toEqual([]);
  });

  test('links of documents lead somewhere, and fragments of the changelog begin as they should', () => {
    const paths = listFiles().filter((path) => path.endsWith('.md'));
    const texts = new Map(paths.map((path) => [path, readText(path)]));
    expect(hold([texts], ([all = new Map()]) => brokenLinks(all))).toEqual([]);
    expect(hold([texts], ([all = new Map()]) => oddFragments(all))).toEqual([]);
  });

  test('every error code is used', () => {
    const others = files.filter(({ path }) => path !== 'src/base/errors.ts');
    const text = others.map((file) => file.text).join('\n');
    expect(hold(Object.keys(errorTable), (codes) => unusedCodes(codes, text))).toEqual([]);
  });

  test('docs/DEPENDENCIES.md explains the dependencies', () => {
    const document = readText('docs/DEPENDENCIES.md');
    const manifest = JSON.parse(readText('package.json'));
    expect(hold([document], ([text = '']) => compareDependencies(text, manifest))).toEqual([]);
  });

  test('package-lock.json is complete', () => {
    const lock = JSON.parse(readText('package-lock.json'));
    expect(Object.keys(lock.packages).length).toBeGreaterThan(10);
    expect(lockProblems(lock)).toEqual([]);
  });

  test('nothing names a machine or a registry', () => {
    const texts = listFiles().map((path) => ({ path, text: readText(path) }));
    expect(hold(texts, (all) => foreignText(all, root))).toEqual([]);
  });
});
