import { stripTypeScriptTypes } from 'node:module';
import { type Finding, finding } from './rule.ts';
import type { SourceFile } from './source-file.ts';
import { dottedName, isNode, type SyntaxNode, walk } from './syntax.ts';

/** Files that the parser does not understand. */
export function unreadableFiles(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => (file.problem ? [finding(file, 1, file.problem)] : []));
}

/** Files that Node cannot run as they are: its parser refuses some that others understand. */
export function unstrippableFiles(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    if (!file.program || !file.path.endsWith('.ts')) return [];
    try {
      stripTypeScriptTypes(file.text);
      return [];
    } catch (error) {
      return [finding(file, 1, error instanceof Error ? error.message : String(error))];
    }
  });
}

/** Imports of a folder `internal/` from outside the folder that holds it. */
export function internalImports(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    file.references.flatMap(({ target, line }) => {
      const at = target.indexOf('/internal/');
      if (at < 0 || file.path.startsWith(target.slice(0, at + 1))) return [];
      return [finding(file, line, `${target} is internal to ${target.slice(0, at)}`)];
    }),
  );
}

/** Files that a tool of ours asks to have a default export. */
const defaultExportsOfTools = new Set(['vitest.config.ts', 'test/tools/plain-reporter.ts']);

/** Default exports: they have no name to search for. */
export function defaultExports(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const found: Finding[] = [];
    if (!file.program || defaultExportsOfTools.has(file.path)) return found;
    walk(file.program, (node) => {
      const isDefault =
        node.type === 'ExportDefaultDeclaration' ||
        (node.type === 'ExportSpecifier' && dottedName(node['exported']) === 'default');
      if (isDefault) found.push(finding(file, file.lineOf(node.start), 'has a default export'));
    });
    return found;
  });
}

/** Names of measures that have a cap. */
export type Measure = 'fileLines' | 'functionLines' | 'parameters';

/** The caps. */
export const caps: Readonly<Record<Measure, number>> = {
  fileLines: 600,
  functionLines: 70,
  parameters: 3,
};

/** Something over its cap. */
export interface Excess {
  readonly measure: Measure;
  /** `path` or `path#function`. */
  readonly name: string;
  readonly value: number;
  readonly line: number;
}

/** Files and functions over a cap. */
export function excesses(files: readonly SourceFile[]): Excess[] {
  return files.flatMap((file) => {
    const found: Excess[] = [
      { measure: 'fileLines', name: file.path, value: file.lineCount, line: 1 },
    ];
    if (file.program) {
      walk(file.program, (node, ancestors) => {
        if (isFunction(node)) found.push(...measuresOf(file, node, ancestors));
      });
    }
    return found.filter(({ measure, value }) => value > caps[measure]);
  });
}

function isFunction(node: SyntaxNode): boolean {
  return (
    node.type === 'FunctionDeclaration' ||
    node.type === 'FunctionExpression' ||
    node.type === 'ArrowFunctionExpression'
  );
}

function measuresOf(
  file: SourceFile,
  node: SyntaxNode,
  ancestors: readonly SyntaxNode[],
): Excess[] {
  const line = file.lineOf(node.start);
  const name = `${file.path}#${functionName(ancestors, node)}`;
  const lines = file.lineOf(node.end - 1) - line + 1;
  const parameters = Array.isArray(node['params']) ? node['params'].length : 0;
  return [
    { measure: 'functionLines', name, value: file.isTest && isSuite(node) ? 0 : lines, line },
    { measure: 'parameters', name, value: isCallback(node, ancestors) ? 0 : parameters, line },
  ];
}

/** True for a function handed to a call: what it takes is for the callee to say. */
function isCallback(node: SyntaxNode, ancestors: readonly SyntaxNode[]): boolean {
  const parent = ancestors.at(-1);
  return parent?.type === 'CallExpression' && parent['callee'] !== node;
}

/** The function's own name, or that of what holds it. */
function functionName(ancestors: readonly SyntaxNode[], node: SyntaxNode): string {
  for (const holder of [node, ...ancestors.toReversed()]) {
    const named = holder['id'] ?? holder['key'];
    if (isNode(named) && typeof named['name'] === 'string') return named['name'];
  }
  return 'anonymous';
}

/** True for a function that declares tests: a list of them, not one piece of work. */
function isSuite(node: SyntaxNode): boolean {
  const body = node['body'];
  const statements = isNode(body) && Array.isArray(body['body']) ? body['body'] : [];
  return statements.some((statement: unknown) => {
    if (!isNode(statement) || statement.type !== 'ExpressionStatement') return false;
    let called: unknown = statement['expression'];
    while (isNode(called) && called.type === 'CallExpression') called = called['callee'];
    return /^(describe|test|it)(\.|$)/.test(dottedName(called) ?? '');
  });
}

/** Old offenders: name to value, a measure at a time. */
export type Offenders = Readonly<Record<Measure, Readonly<Record<string, number>>>>;

/**
 * Excesses that are not listed, and lines of the list that are not true any more.
 * The list may only shrink: each line must hold exactly what is there now, and is lowered or removed when that shrinks.
 */
export function compareOffenders(found: readonly Excess[], listed: Offenders): Finding[] {
  const now = new Map<string, number>();
  for (const { measure, name, value } of found) {
    const key = `${measure} ${name}`;
    now.set(key, Math.max(value, now.get(key) ?? 0));
  }
  const fresh = found
    .filter(({ measure, name, value }) => value > (listed[measure][name] ?? 0))
    .map(({ measure, name, value, line }) => {
      const path = name.split('#')[0] ?? '';
      return finding(path, line, `${name}: ${value} ${measure}, ${caps[measure]} allowed`);
    });
  const stale = Object.entries(listed).flatMap(([measure, entries]) =>
    Object.entries(entries)
      .filter(([name, value]) => (now.get(`${measure} ${name}`) ?? 0) < value)
      .map(([name]) => {
        const value = now.get(`${measure} ${name}`);
        const what = value === undefined ? 'remove its line' : `lower it to ${value}`;
        return finding('test/tidy/offenders.json', 1, `${measure} of ${name} shrank: ${what}`);
      }),
  );
  return [...fresh, ...stale];
}
