import { type ErrorDetail, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { endOfObject, JsonKeys, JsonReader } from './json.ts';
import { isNameBefore, type TreeNode } from './node.ts';
import { type NodeDraft, NodeReader } from './node-reader.ts';

/**
 * Takes the nodes of a tree one by one, in their stored order.
 * @returns false to stop early; what follows is then not looked at
 */
export type NodeVisitor = (node: TreeNode) => boolean | void;

/**
 * Decodes a tree.
 *
 * Field types are checked, unknown fields skipped, missing ones have their defaults; all arrays are owned by
 * the caller. A node that must not be used (its name would leave the directory or comes twice, its type is
 * not known, content or subtree is missing) carries `invalid`; the others stay usable. The order is as stored:
 * other programs may write trees that are not sorted.
 * @throws TREE_DAMAGED with the field and the number of the node, if the bytes are not a tree
 */
export function decodeTree(bytes: Uint8Array): TreeNode[] {
  const nodes: TreeNode[] = [];
  iterateTree(bytes, (node) => {
    nodes.push(node);
  });
  return nodes;
}

/**
 * Decodes a tree node by node, so that a directory of millions costs no more memory than its bytes.
 * What was visited before an error stays visited. Otherwise as `decodeTree`.
 * @throws TREE_DAMAGED
 */
export function iterateTree(bytes: Uint8Array, visit: NodeVisitor): void {
  new TreeDecoder(bytes).decode(visit);
}

const topKeys = new JsonKeys(['nodes']);

class TreeDecoder {
  readonly #bytes: Uint8Array;
  readonly #reader: JsonReader;
  readonly #fields: NodeReader;
  readonly #order: NameOrder;
  #nodeCount = 0;

  constructor(bytes: Uint8Array, names?: Set<string>) {
    this.#bytes = bytes;
    this.#reader = new JsonReader(bytes);
    this.#fields = new NodeReader(this.#reader);
    this.#order = new NameOrder(() => this.#collectNames(), names);
  }

  decode(visit: NodeVisitor): void {
    try {
      this.#decode(visit);
    } catch (cause) {
      if (!isHoldfastError(cause, 'JSON_INVALID')) throw cause;
      const field = this.#fields.field;
      throw treeDamaged(cause, { field, node: this.#nodeCount, offset: this.#reader.position });
    }
  }

  #decode(visit: NodeVisitor): void {
    const reader = this.#reader;
    let isFound = false;
    reader.beginObject();
    for (let key = reader.nextKey(topKeys); key !== endOfObject; key = reader.nextKey(topKeys)) {
      if (key !== 0) {
        reader.skipValue();
        continue;
      }
      // The first list was acted upon already, so a second one cannot win.
      if (isFound) throw reader.error('has two lists of nodes');
      isFound = true;
      if (!this.#decodeNodes(visit)) return;
    }
    if (!isFound) throw reader.error('has no list of nodes');
    reader.end();
  }

  #decodeNodes(visit: NodeVisitor): boolean {
    const reader = this.#reader;
    reader.beginArray();
    while (reader.nextElement()) {
      const node = this.#fields.read();
      if (node.invalid === undefined) this.#order.check(node);
      this.#nodeCount++;
      if (visit(node) === false) return false;
    }
    return true;
  }

  /** Reads the names of the nodes up to here again: unsorted trees are rare, a set for each tree is not cheap. */
  #collectNames(): Set<string> {
    const names = new Set<string>();
    let left = this.#nodeCount;
    if (left > 0) new TreeDecoder(this.#bytes, names).decode(() => --left > 0);
    return names;
  }
}

/** The error for bytes that are not a tree. */
export function treeDamaged(
  cause: unknown,
  details: Readonly<Record<string, ErrorDetail>>,
): HoldfastError {
  return new HoldfastError('TREE_DAMAGED', { details, cause });
}

/** Finds names that come twice in a tree. In sorted trees one comparison tells. */
export class NameOrder {
  readonly #collect: () => Set<string>;
  #previousName: Uint8Array = new Uint8Array(0);
  #nameBefore: Uint8Array = this.#previousName;
  /** Names so far as latin1 text, once the order was found broken. */
  #names: Set<string> | undefined;

  /**
   * @param collect the names of all valid nodes before the one at hand; called when the order is found broken
   * @param names collects the names of all nodes from the first on
   */
  constructor(collect: () => Set<string>, names?: Set<string>) {
    this.#collect = collect;
    this.#names = names;
  }

  /** False once a name did not come after the one before. */
  get isSorted(): boolean {
    return this.#names === undefined;
  }

  /** Forgets the node that was checked last. */
  undo(node: TreeNode): void {
    this.#previousName = this.#nameBefore;
    if (node.invalid === undefined) this.#names?.delete(latin1(node.name));
  }

  /** Notes the name of the last of some nodes that are known to be in order. */
  pass(name: Uint8Array): void {
    this.#names?.add(latin1(name));
    this.#nameBefore = this.#previousName;
    this.#previousName = name;
  }

  /** Marks a node whose name was there before. */
  check(node: NodeDraft): void {
    const { name } = node;
    this.#nameBefore = this.#previousName;
    if (this.#names === undefined) {
      if (isNameBefore(this.#previousName, name)) {
        this.#previousName = name;
        return;
      }
      this.#names = this.#collect();
    }
    const text = latin1(name);
    if (this.#names.has(text)) node.invalid = 'its name comes twice';
    this.#names.add(text);
  }
}

function latin1(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
}
