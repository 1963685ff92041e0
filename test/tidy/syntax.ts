import { parseSync } from 'vite';

/** A node of the syntax tree (ESTree with TypeScript). Properties depend on `type`. */
export interface SyntaxNode {
  readonly type: string;
  /** UTF-16 offset of the first character. */
  readonly start: number;
  /** UTF-16 offset after the last character. */
  readonly end: number;
  readonly [key: string]: unknown;
}

/** True for a value that is a node of a syntax tree. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** The syntax tree of a file, or what is wrong with the file. */
export function parse(path: string, text: string): { program: SyntaxNode } | { problem: string } {
  const result = parseSync(path, text);
  const [error] = result.errors;
  if (error) return { problem: error.message };
  const program: unknown = result.program;
  return isNode(program) ? { program } : { problem: 'the parser gave no program' };
}

/** The children of a node in the order of the text. */
function childrenOf(node: SyntaxNode): SyntaxNode[] {
  return Object.values(node)
    .flatMap((value: unknown) => (Array.isArray(value) ? value : [value]))
    .filter(isNode);
}

/** Calls `visit` with every node below and including `node`, and with its ancestors, nearest last. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, ancestors: readonly SyntaxNode[]) => void,
): void {
  const ancestors: SyntaxNode[] = [];
  const enter = (current: SyntaxNode): void => {
    visit(current, ancestors);
    ancestors.push(current);
    childrenOf(current).forEach(enter);
    ancestors.pop();
  };
  enter(node);
}

/** The text of a string literal or of a template without holes. */
export function literalText(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Literal') return typeof node['value'] === 'string' ? node['value'] : undefined;
  const quasis = node.type === 'TemplateLiteral' ? node['quasis'] : undefined;
  if (!Array.isArray(quasis) || quasis.length !== 1) return undefined;
  const value: unknown = quasis[0]?.value;
  return typeof value === 'object' && value !== null && 'cooked' in value
    ? String(value.cooked)
    : undefined;
}

/** `name`, `object.name` or `a.b.c` as text; undefined for anything else. */
export function dottedName(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Identifier') return String(node['name']);
  if (node.type === 'MetaProperty') {
    return `${dottedName(node['meta'])}.${dottedName(node['property'])}`;
  }
  if (node.type !== 'MemberExpression') return undefined;
  const object = dottedName(node['object']);
  const property = node['computed'] ? literalText(node['property']) : dottedName(node['property']);
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}
