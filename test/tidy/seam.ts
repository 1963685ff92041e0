import { type Finding, finding } from './rule.ts';
import type { SourceFile } from './source-file.ts';
import { dottedName, isNode, literalText, type SyntaxNode, walk } from './syntax.ts';

type Matcher = (node: SyntaxNode, parent: SyntaxNode | undefined) => boolean;

/** One thing that only a few files may touch, so that a simulator can stand in for it. */
interface Ban {
  readonly what: string;
  /** Files and folders of src/ that may. */
  readonly allowed: readonly string[];
  readonly instead: string;
  /** True if tests may, too. */
  readonly freeInTests?: true;
  readonly matches: Matcher;
}

const clock = { allowed: ['src/base/clock.ts'], instead: 'base/clock' };
const random = {
  allowed: ['src/base/random.ts', 'src/kernels/native/random.ts'],
  instead: 'base/random',
};
const files = {
  // The third reads certificates that are named on the command line.
  allowed: ['src/storage/local/', 'src/sources/', 'src/storage/http-tls.ts', 'src/platform/'],
  instead: 'platform or a backend',
};
const freeInTests = true;

/** Reading the time is free in tests, which hold limits against it; waiting for it to pass is not. */
const bans: readonly Ban[] = [
  { ...clock, what: 'Date.now', matches: member('Date.now') },
  { ...clock, what: 'new Date() without arguments', matches: isCurrentDate },
  { ...clock, what: 'performance.now', freeInTests, matches: member('performance.now') },
  { ...clock, what: 'process.hrtime', freeInTests, matches: member('process.hrtime') },
  { ...clock, what: 'setTimeout', matches: global('setTimeout') },
  { ...clock, what: 'setInterval', matches: global('setInterval') },
  { ...clock, what: 'setImmediate', freeInTests, matches: global('setImmediate') },
  { ...clock, what: 'AbortSignal.timeout', matches: member('AbortSignal.timeout') },
  { ...clock, what: 'node:timers', matches: imports(/^(node:)?timers(\/promises)?$/) },
  { ...random, what: 'Math.random', matches: member('Math.random') },
  { ...random, what: 'randomness of node:crypto', freeInTests, matches: isCryptoRandom },
  { ...random, what: 'getrandom', freeInTests, matches: isNamedGetrandom },
  { ...files, what: 'node:fs', freeInTests, matches: imports(/^(node:)?fs(\/promises)?$/) },
];

/** Uses of the clock, of randomness, of timers and of files that a simulator could not replace. */
export function seamBreaches(sources: readonly SourceFile[]): Finding[] {
  return sources.flatMap((file) => {
    const found: Finding[] = [];
    const held = bans.filter((ban) => isHeld(ban, file));
    if (!file.program || held.length === 0) return found;
    walk(file.program, (node, ancestors) => {
      if (!relevantTypes.test(node.type)) return;
      for (const { what, instead } of held.filter((ban) => ban.matches(node, ancestors.at(-1)))) {
        const line = file.lineOf(node.start);
        found.push(finding(file, line, `${what} goes past the seam; use ${instead}`));
      }
    });
    return found;
  });
}

/** Types of nodes that a matcher looks at. */
const relevantTypes = /^(Import|Export|Identifier|Literal|Template|Member|New|Call)/;

/** Scripts and benchmarks are tools of the real world: only src/ and test/ have a seam. */
function isHeld(ban: Ban, file: SourceFile): boolean {
  if (!/^(src|test)\//.test(file.path) || (file.isTest && ban.freeInTests)) return false;
  return !ban.allowed.some((allowed) => file.path.startsWith(allowed));
}

/** The member of a global object, like `Date.now`; however it is reached. */
function member(name: string): Matcher {
  const names = [name, `globalThis.${name}`, `global.${name}`];
  return (node) =>
    node.type === 'MemberExpression' && names.some((known) => dottedName(node) === known);
}

/** A global function by its name: called, passed on, or taken from `globalThis`. */
function global(name: string): Matcher {
  const isMember = member(name.replace(/^/, 'globalThis.'));
  return (node, parent) => {
    if (isMember(node, parent)) return true;
    if (node.type !== 'Identifier' || node['name'] !== name) return false;
    if (parent?.type === 'MemberExpression') return parent['object'] === node;
    return parent?.type !== 'TSTypeQuery' && parent?.['key'] !== node;
  };
}

function imports(specifier: RegExp): Matcher {
  return (node) => {
    const isImport = /^(Import|Export)\w*(Declaration|Expression)$/.test(node.type);
    const isRequire = node.type === 'CallExpression' && dottedName(node['callee']) === 'require';
    const source = isRequire ? argumentsOf(node)[0] : node['source'];
    return (isImport || isRequire) && specifier.test(literalText(source) ?? '');
  };
}

function argumentsOf(node: SyntaxNode): readonly unknown[] {
  return Array.isArray(node['arguments']) ? node['arguments'] : [];
}

/** `new Date()` and `Date()`. */
function isCurrentDate(node: SyntaxNode): boolean {
  const isCall = node.type === 'NewExpression' || node.type === 'CallExpression';
  return isCall && dottedName(node['callee']) === 'Date' && argumentsOf(node).length === 0;
}

function isNamedGetrandom(node: SyntaxNode): boolean {
  return literalText(node) === 'getrandom';
}

const cryptoNames =
  /^(randomBytes|pseudoRandomBytes|randomFill|randomFillSync|randomInt|randomUUID|getRandomValues)$/;

/** A random function taken from `node:crypto` or from an object named `crypto`. */
function isCryptoRandom(node: SyntaxNode, parent: SyntaxNode | undefined): boolean {
  if (node.type === 'MemberExpression') {
    const [object, name] = (dottedName(node) ?? '').split('.').slice(-2);
    return /^(crypto|webcrypto)$/i.test(object ?? '') && cryptoNames.test(name ?? '');
  }
  if (node.type !== 'ImportSpecifier' || !isNode(parent)) return false;
  const isCrypto = /^(node:)?crypto$/.test(literalText(parent['source']) ?? '');
  return isCrypto && cryptoNames.test(dottedName(node['imported']) ?? '');
}
