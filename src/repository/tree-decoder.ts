import { HoldfastError, isHoldfastError } from '../base/errors.ts';
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
  #nodeCount = 0;
  #previousName: Uint8Array = new Uint8Array(0);
  /** Names so far as latin1 text, once the order was found broken. */
  #names: Set<string> | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#reader = new JsonReader(bytes);
    this.#fields = new NodeReader(this.#reader);
  }

  decode(visit: NodeVisitor): void {
    try {
      this.#decode(visit);
    } catch (cause) {
      if (!isHoldfastError(cause, 'JSON_INVALID')) throw cause;
      const field = this.#fields.field;
      throw new HoldfastError('TREE_DAMAGED', {
        details: { field, node: this.#nodeCount, offset: this.#reader.position },
        cause,
      });
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
      if (node.invalid === undefined) this.#checkName(node);
      this.#nodeCount++;
      if (visit(node) === false) return false;
    }
    return true;
  }

  /** Marks a node whose name was there before. In sorted trees one comparison tells. */
  #checkName(node: NodeDraft): void {
    const { name } = node;
    if (this.#names === undefined) {
      if (isNameBefore(this.#previousName, name)) {
        this.#previousName = name;
        return;
      }
      this.#names = this.#collectNames();
    }
    const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
    if (this.#names.has(text)) node.invalid = 'its name comes twice';
    this.#names.add(text);
  }

  /** Reads the names of the nodes up to here again: unsorted trees are rare, a set for each tree is not cheap. */
  #collectNames(): Set<string> {
    const names = new Set<string>();
    let left = this.#nodeCount;
    if (left === 0) return names;
    const again = new TreeDecoder(this.#bytes);
    again.#names = names;
    again.decode(() => --left > 0);
    return names;
  }
}
