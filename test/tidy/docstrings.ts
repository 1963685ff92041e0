import { type Finding, finding } from './rule.ts';
import type { SourceFile } from './source-file.ts';
import { dottedName, isNode, type SyntaxNode } from './syntax.ts';

/**
 * Exported functions, classes, interfaces, types and constants of `src/` without a docstring on the line before. Of a
 * function with several forms the first has it. Tests and what only tests use need none.
 */
export function missingDocstrings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    if (!file.program || file.isTest || !file.path.startsWith('src/')) return [];
    const told = new Set<string>();
    return exportsOf(file.program).flatMap(({ name, start }) => {
      if (told.has(name)) return [];
      told.add(name);
      if (hasDocstring(file.text, start)) return [];
      const what = `exports ${name} without a docstring on the line before it`;
      return [finding(file, file.lineOf(start), what)];
    });
  });
}

/** An exported name, and where the statement that declares it starts. */
interface Exported {
  readonly name: string;
  readonly start: number;
}

function exportsOf(program: SyntaxNode): Exported[] {
  const statements = nodesIn(program['body']);
  const later = new Set(
    statements
      .filter(({ type, source }) => type === 'ExportNamedDeclaration' && !source)
      .flatMap((statement) => nodesIn(statement['specifiers']))
      .map((specifier) => dottedName(specifier['local'])),
  );
  return statements.flatMap((statement) => {
    const { declaration } = statement;
    if (isNode(declaration)) return declared(declaration, statement.start);
    return declared(statement, statement.start).filter(({ name }) => later.has(name));
  });
}

/** What a declaration declares; nothing for another statement. */
function declared(declaration: SyntaxNode, start: number): Exported[] {
  const parts =
    declaration.type === 'VariableDeclaration'
      ? nodesIn(declaration['declarations'])
      : [declaration];
  return parts.flatMap(({ id }) => {
    if (!isNode(id)) return [];
    return [{ name: dottedName(id) ?? 'what it takes apart', start }];
  });
}

function nodesIn(value: unknown): SyntaxNode[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** True if a comment in the form of a docstring, with words in it, ends on the line before `start`. */
function hasDocstring(text: string, start: number): boolean {
  const end = text.lastIndexOf('*/', start);
  if (end < 0 || !/^[ \t]*\r?\n?[ \t]*$/.test(text.slice(end + 2, start))) return false;
  const before = text.slice(text.lastIndexOf('*/', end - 1) + 1, end);
  return /\/\*\*(?!\/)[\s*]*[^\s*]/.test(before);
}
