import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { type ByteText, byteTextOf, lowerCase, readableText } from './byte-text.ts';
import { cleanPath, componentsOf } from './clean-path.ts';
import { Glob, hasGlobCharacter } from './glob.ts';
import { GlobSet } from './glob-set.ts';

/** All patterns that agree in their first components share a node; edges are components. */
class PatternNode {
  /** Stays active for everything below: the start of unrooted patterns, and `**`. */
  readonly isLoop: boolean;
  readonly literals: Map<ByteText, PatternNode> = new Map();
  readonly globs: GlobSet<PatternNode> = new GlobSet();
  readonly globNodes: Map<ByteText, PatternNode> = new Map();
  /** Where `**` leads. */
  gap: PatternNode | undefined;
  /** Highest number of a pattern that ends here; -1 for none. */
  last = -1;
  /** Highest number of a pattern without `!` that ends here or further on. */
  lastIncludingBelow = -1;

  constructor(isLoop: boolean) {
    this.isLoop = isLoop;
  }
}

/**
 * What is known about a directory's path: enough to decide on its entries without looking at the path again.
 * Opaque: comes from `PatternList.root` and `descend`.
 */
export interface PatternState {
  /** Number of the last pattern that matches the path; -1 for none. */
  readonly last: number;
  readonly nodes: readonly PatternNode[];
}

/** How patterns are compared with names. */
export interface PatternOptions {
  /** Compare in lower case, Unicode-aware (`--iexclude`). */
  readonly ignoreCase?: boolean;
}

/**
 * A list of exclude or include patterns; the last pattern that matches a path decides.
 *
 * A path matches a pattern if the pattern fits a run of its components, so what matches a directory matches all below
 * it. Paths are walked from the root, one component a step; a step costs about the length of the name, not the number
 * of patterns.
 * @see docs/FORMAT.md
 */
export class PatternList {
  readonly isEmpty: boolean;
  /** The state of `/`. */
  readonly root: PatternState;
  readonly #ignoreCase: boolean;
  readonly #isNegated: boolean[] = [];
  readonly #rooted = new PatternNode(false);
  readonly #unrooted = new PatternNode(true);
  readonly #found: PatternNode[] = [];

  private constructor(patterns: readonly ByteText[], ignoreCase: boolean) {
    this.#ignoreCase = ignoreCase;
    for (const pattern of patterns) this.#add(ignoreCase ? lowerCase(pattern) : pattern);
    this.isEmpty = this.#isNegated.length === 0;
    const nodes = [this.#unrooted];
    if (hasEdges(this.#rooted)) nodes.push(this.#rooted);
    if (this.#rooted.gap) nodes.push(this.#rooted.gap);
    this.root = { last: Math.max(this.#rooted.last, this.#unrooted.last), nodes };
  }

  /**
   * Empty patterns are skipped.
   * @throws PATTERN_INVALID that names the first malformed pattern
   */
  static parse(
    patterns: readonly (string | Uint8Array)[],
    options: PatternOptions = {},
  ): PatternList {
    const texts = patterns.map(byteTextOf).filter((text) => text !== '');
    return new PatternList(texts, options.ignoreCase ?? false);
  }

  /** True if the path of this state is matched. */
  isMatched(state: PatternState): boolean {
    return this.#decides(state.last);
  }

  /** True if the entry `name` of the directory with this state is matched. */
  matchesEntry(state: PatternState, name: ByteText): boolean {
    return this.#decides(this.#lastOf(state, this.#fold(name)));
  }

  /** The state of the directory `name` below the one with this state. */
  descend(state: PatternState, name: ByteText): PatternState {
    const folded = this.#fold(name);
    const last = this.#lastOf(state, folded);
    const nodes: PatternNode[] = [];
    for (const node of state.nodes) {
      if (node.isLoop) addNode(nodes, node);
      for (const next of this.#stepsFrom(node, folded)) {
        if (hasEdges(next)) addNode(nodes, next);
        if (next.gap) addNode(nodes, next.gap);
      }
    }
    const isSame = last === state.last && sameNodes(nodes, state.nodes);
    return isSame ? state : { last, nodes };
  }

  /** The state of an absolute path, given as components. */
  stateOf(components: readonly ByteText[]): PatternState {
    let state = this.root;
    for (const component of components) state = this.descend(state, component);
    return state;
  }

  /** True if the absolute path is matched. For walks use states: they cost one component a step. */
  matches(path: string | Uint8Array): boolean {
    return this.isMatched(this.stateOf(componentsOf(cleanPath(byteTextOf(path)))));
  }

  /** For includes: true if something below the path may match, so that the directory must be entered. */
  childMayMatch(state: PatternState): boolean {
    if (this.isEmpty) return false;
    let candidate = this.#unrooted.lastIncludingBelow;
    for (const node of state.nodes) candidate = Math.max(candidate, node.lastIncludingBelow);
    const isNegated = state.last >= 0 && this.#isNegated[state.last] === true;
    return isNegated ? candidate > state.last : state.last >= 0 || candidate >= 0;
  }

  #decides(last: number): boolean {
    return last >= 0 && this.#isNegated[last] === false;
  }

  #fold(name: ByteText): ByteText {
    return this.#ignoreCase ? lowerCase(name) : name;
  }

  /** Patterns that match a directory match all below, so only what newly ends here can raise the number. */
  #lastOf(state: PatternState, name: ByteText): number {
    let last = state.last;
    for (const node of state.nodes) {
      const literal = node.literals.get(name);
      if (literal !== undefined && literal.last > last) last = literal.last;
      if (node.globs.size === 0) continue;
      const found = this.#found;
      found.length = 0;
      node.globs.collect(name, found);
      for (const next of found) if (next.last > last) last = next.last;
    }
    return last;
  }

  #stepsFrom(node: PatternNode, name: ByteText): PatternNode[] {
    const steps: PatternNode[] = [];
    const literal = node.literals.get(name);
    if (literal !== undefined) steps.push(literal);
    node.globs.collect(name, steps);
    return steps;
  }

  #add(pattern: ByteText): void {
    const isNegated = pattern.startsWith('!');
    const number = this.#isNegated.push(isNegated) - 1;
    const path = cleanPath(isNegated ? pattern.slice(1) : pattern);
    const isRooted = path.startsWith('/');
    const components = isRooted ? componentsOf(path) : path.split('/');
    // What matches a directory matches all below, so "**" at the end changes nothing.
    while (components.at(-1) === '**') components.pop();
    let node = isRooted ? this.#rooted : this.#unrooted;
    const visited = [node];
    for (const component of components) {
      node = nextNode(node, component, pattern);
      visited.push(node);
    }
    node.last = number;
    if (!isNegated) for (const each of visited) each.lastIncludingBelow = number;
  }
}

/** The node after `component`, made if it is not there yet. */
function nextNode(node: PatternNode, component: ByteText, pattern: ByteText): PatternNode {
  if (component === '**') {
    if (node.isLoop) return node;
    node.gap ??= new PatternNode(true);
    return node.gap;
  }
  if (!hasGlobCharacter(component)) return literalNode(node, component);
  const known = node.globNodes.get(component);
  if (known) return known;
  const glob = compileComponent(component, pattern);
  if (glob.exact !== undefined) return literalNode(node, glob.exact);
  const next = new PatternNode(false);
  node.globNodes.set(component, next);
  node.globs.add(glob, next);
  return next;
}

function literalNode(node: PatternNode, name: ByteText): PatternNode {
  let next = node.literals.get(name);
  if (!next) {
    next = new PatternNode(false);
    node.literals.set(name, next);
  }
  return next;
}

function compileComponent(component: ByteText, pattern: ByteText): Glob {
  try {
    return new Glob(component);
  } catch (cause) {
    if (!isHoldfastError(cause, 'PATTERN_INVALID')) throw cause;
    throw new HoldfastError('PATTERN_INVALID', {
      details: { pattern: readableText(pattern) },
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      cause,
    });
  }
}

function hasEdges(node: PatternNode): boolean {
  return node.literals.size > 0 || node.globs.size > 0;
}

function addNode(nodes: PatternNode[], node: PatternNode): void {
  if (!nodes.includes(node)) nodes.push(node);
}

function sameNodes(a: readonly PatternNode[], b: readonly PatternNode[]): boolean {
  return a.length === b.length && a.every((node, i) => node === b[i]);
}
