import { isBuiltin } from 'node:module';
import { posix } from 'node:path';

import { dottedName, isNode, literalText, parse, type SyntaxNode, walk } from './syntax.ts';

/** How one file names another: an import of values or types, one at run time, a URL beside itself, or a path. */
export type ReferenceKind = 'value' | 'type' | 'dynamic' | 'url' | 'path';

/** One mention of a module or file. */
export interface Reference {
  readonly kind: ReferenceKind;
  readonly specifier: string;
  readonly line: number;
  /** What it leads to: a path from the project's root, a Node builtin (`node:fs`) or the name of a package. */
  readonly target: string;
  readonly targetKind: 'file' | 'builtin' | 'package';
}

/** A source file as the rules see it. */
export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly lineCount: number;
  /** A test, or something that only tests use. */
  readonly isTest: boolean;
  /** Undefined for a file in another language (AssemblyScript). */
  readonly program: SyntaxNode | undefined;
  readonly references: readonly Reference[];
  /** What the parser says, if it does not understand the file. */
  readonly problem: string | undefined;
  /** The 1-based line of an offset. */
  lineOf(offset: number): number;
}

const testPattern =
  /^test\/|\.test\.ts$|\/fixtures\/|(^|[/-])test-support\.ts$|\/conformance\.ts$|-test-[a-z-]+\.ts$/;
const otherLanguage = /^src\/kernels\/assembly\//;
/** A file beside, started by its name. */
const fileName = /^[\w-]+(\.[\w-]+)*\.(ts|mjs)$/;
const sourcePath = /^(src|test|bench|scripts)\/[\w./-]+\.(ts|mjs)$/;

/** Reads a source file's structure from its text. */
export function sourceFile(path: string, text: string): SourceFile {
  const lineStarts = startsOfLines(text);
  const lineOf = (offset: number): number => lineAt(lineStarts, offset);
  const parsed = otherLanguage.test(path) ? undefined : parse(path, text);
  const program = parsed && 'program' in parsed ? parsed.program : undefined;
  return {
    path,
    text,
    lineCount: lineStarts.length - (text.endsWith('\n') ? 1 : 0),
    isTest: testPattern.test(path),
    program,
    references: program ? referencesIn(path, program, lineOf) : [],
    problem: parsed && 'problem' in parsed ? parsed.problem : undefined,
    lineOf,
  };
}

function startsOfLines(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function lineAt(starts: readonly number[], offset: number): number {
  const after = starts.findIndex((start) => start > offset);
  return after < 0 ? starts.length : after;
}

function referencesIn(
  path: string,
  program: SyntaxNode,
  lineOf: (offset: number) => number,
): Reference[] {
  const found: Reference[] = [];
  walk(program, (node) => {
    for (const { kind, specifier } of mentionsOf(node)) {
      found.push({ kind, specifier, line: lineOf(node.start), ...resolve(path, kind, specifier) });
    }
  });
  return found;
}

type Mention = Pick<Reference, 'kind' | 'specifier'>;

function mention(kind: ReferenceKind, source: unknown): Mention[] {
  const specifier = literalText(source);
  return specifier === undefined ? [] : [{ kind, specifier }];
}

/** What one node mentions. */
function mentionsOf(node: SyntaxNode): Mention[] {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return mention(isTypeOnly(node) ? 'type' : 'value', node['source']);
    case 'TSImportType':
      return mention('type', node['source'] ?? node['argument']);
    case 'ImportExpression':
      return mention('dynamic', node['source']);
    case 'CallExpression':
      if (dottedName(node['callee']) === 'workerModule') return mention('url', firstArgument(node));
      return isRequire(node) ? mention('dynamic', firstArgument(node)) : [];
    case 'NewExpression':
      return isUrlBeside(node)
        ? literalsIn(firstArgument(node)).flatMap((l) => mention('url', l))
        : [];
    case 'Literal':
      return sourcePath.test(String(node['value'])) || fileName.test(String(node['value']))
        ? mention('path', node)
        : [];
    default:
      return [];
  }
}

function isTypeOnly(node: SyntaxNode): boolean {
  return node['importKind'] === 'type' || node['exportKind'] === 'type';
}

function firstArgument(node: SyntaxNode): unknown {
  return Array.isArray(node['arguments']) ? node['arguments'][0] : undefined;
}

function isRequire(node: SyntaxNode): boolean {
  const name = dottedName(node['callee']);
  return name === 'require' || name === 'require.resolve' || name === 'import.meta.resolve';
}

/** `new URL(..., import.meta.url)`. */
function isUrlBeside(node: SyntaxNode): boolean {
  const base: unknown = Array.isArray(node['arguments']) ? node['arguments'][1] : undefined;
  return dottedName(node['callee']) === 'URL' && dottedName(base) === 'import.meta.url';
}

/** The string literals that an expression may give: both arms of a condition. */
function literalsIn(expression: unknown): SyntaxNode[] {
  if (!isNode(expression)) return [];
  if (expression.type !== 'ConditionalExpression') return [expression];
  return [...literalsIn(expression['consequent']), ...literalsIn(expression['alternate'])];
}

function resolve(
  path: string,
  kind: ReferenceKind,
  specifier: string,
): Pick<Reference, 'target' | 'targetKind'> {
  if (kind === 'path') {
    const target = fileName.test(specifier)
      ? posix.join(posix.dirname(path), specifier)
      : specifier;
    return { target, targetKind: 'file' };
  }
  if (kind === 'url' || specifier.startsWith('.') || specifier.startsWith('/')) {
    return { target: posix.join(posix.dirname(path), specifier), targetKind: 'file' };
  }
  if (isBuiltin(specifier)) {
    const target = specifier.startsWith('node:') ? specifier : `node:${specifier}`;
    return { target, targetKind: 'builtin' };
  }
  const parts = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1);
  return { target: parts.join('/'), targetKind: 'package' };
}
