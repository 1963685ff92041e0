import type { ByteText } from './byte-text.ts';

/** A place in the tree of all literals. */
interface LiteralNode<Value> {
  /** By byte. */
  readonly children: Map<number, LiteralNode<Value>>;
  /** Values of the literals that end here. */
  readonly values: Value[];
  /** The node of the longest proper suffix that is the start of some literal; undefined for the root. */
  fallback: LiteralNode<Value> | undefined;
  /** The nearest node on the chain of fallbacks that has values. */
  nextWithValues: LiteralNode<Value> | undefined;
}

/**
 * Finds which of many literal texts occur in a name, in one pass over the name.
 * @see Aho and Corasick, "Efficient string matching", CACM 18(6), 1975
 */
export class LiteralIndex<Value> {
  readonly #root: LiteralNode<Value> = newNode();
  #isBuilt = true;

  /** Several values may have the same literal, which is not empty. */
  add(literal: ByteText, value: Value): void {
    let node = this.#root;
    for (let i = 0; i < literal.length; i++) {
      const byte = literal.charCodeAt(i);
      let child = node.children.get(byte);
      if (child === undefined) {
        child = newNode();
        node.children.set(byte, child);
      }
      node = child;
    }
    node.values.push(value);
    this.#isBuilt = false;
  }

  /** The values of all literals that occur in `name`, each once. */
  search(name: ByteText): Set<Value> {
    if (!this.#isBuilt) this.#build();
    const found = new Set<Value>();
    let node = this.#root;
    for (let i = 0; i < name.length; i++) {
      node = this.#next(node, name.charCodeAt(i));
      let holder = node.values.length > 0 ? node : node.nextWithValues;
      for (; holder !== undefined; holder = holder.nextWithValues) {
        for (const value of holder.values) found.add(value);
      }
    }
    return found;
  }

  #next(from: LiteralNode<Value> | undefined, byte: number): LiteralNode<Value> {
    for (let node = from; node !== undefined; node = node.fallback) {
      const child = node.children.get(byte);
      if (child !== undefined) return child;
    }
    return this.#root;
  }

  /** Breadth first, so that the fallback of a parent is known before its children's. */
  #build(): void {
    const queue = [this.#root];
    for (const node of queue) {
      for (const [byte, child] of node.children) {
        const fallback = this.#next(node.fallback, byte);
        child.fallback = fallback;
        child.nextWithValues = fallback.values.length > 0 ? fallback : fallback.nextWithValues;
        queue.push(child);
      }
    }
    this.#isBuilt = true;
  }
}

function newNode<Value>(): LiteralNode<Value> {
  return { children: new Map(), values: [], fallback: undefined, nextWithValues: undefined };
}
