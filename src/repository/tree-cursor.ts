import { equalBytes } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import { endOfObject, JsonKeys, JsonReader } from './json.ts';
import type { TreeNode } from './node.ts';
import { NodeReader } from './node-reader.ts';
import { type TreeBytes, TreeWindow } from './tree-bytes.ts';
import { NameOrder, treeDamaged } from './tree-decoder.ts';
import { treeBegin, treeEnd } from './tree-encoder.ts';

/** What is seen of a tree at once, unless one node takes more. */
const aheadSizeBytes = 64 << 10;

const topKeys = new JsonKeys(['nodes']);
const noNames = new Uint8Array(0);

/**
 * Decodes a tree node by node, as they are asked for, whatever its size: only a piece of it is in memory.
 *
 * Takes and marks the same trees as `decodeTree`. Every method may throw TREE_DAMAGED.
 */
export class TreeCursor {
  readonly #tree: TreeBytes;
  readonly #window: TreeWindow;
  readonly #order: NameOrder;
  #reader: JsonReader;
  #fields: NodeReader;
  /** Start of the window that the reader reads. */
  #readerStart = -1;
  #readerEnd = -1;
  #position = 0;
  #positionBefore = 0;
  #nodeCount = 0;
  #isDone = false;
  /** The tree begins as we write it, so that equal nodes make an equal tree. */
  beginsAsOurs = false;

  constructor(tree: TreeBytes, names?: Set<string>) {
    this.#tree = tree;
    this.#window = new TreeWindow(tree);
    this.#order = new NameOrder(() => this.#collectNames(), names);
    this.#reader = new JsonReader(noNames);
    this.#fields = new NodeReader(this.#reader);
    this.#begin();
  }

  /** Offset in the tree: behind the node before, or behind the bracket that opens the list of nodes. */
  get position(): number {
    return this.#position;
  }

  /** Nodes before `position`. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** False once a node did not come after the one before. */
  get isSorted(): boolean {
    return this.#order.isSorted;
  }

  /** True if nothing follows but the end of a tree as we write it. */
  endsAsOurs(): boolean {
    const isNear = this.#position + treeEnd.length === this.#tree.sizeBytes;
    return isNear && equalBytes(this.peek(treeEnd.length), treeEnd);
  }

  /** The next node; undefined at the end. */
  next(): TreeNode | undefined {
    while (!this.#isDone) {
      this.#see(aheadSizeBytes);
      try {
        return this.#readNode();
      } catch (cause) {
        this.#seeMore(cause);
      }
    }
    return undefined;
  }

  /** Goes back to before the node that `next` gave last. */
  unread(node: TreeNode): void {
    this.#position = this.#positionBefore;
    this.#nodeCount--;
    this.#order.undo(node);
  }

  /** All nodes from here on. */
  *[Symbol.iterator](): Generator<TreeNode, void, void> {
    for (let node = this.next(); node; node = this.next()) yield node;
  }

  /**
   * The bytes from `position` on: `sizeBytes` of them, or all that are left, and perhaps more. Valid until the next call.
   */
  peek(sizeBytes: number): Uint8Array {
    this.#see(sizeBytes);
    return this.#window.bytes.subarray(this.#position - this.#window.start);
  }

  /**
   * Passes nodes over that the caller has looked at, in `peek`.
   * @param last name of the last of them
   */
  pass(sizeBytes: number, passed: { readonly nodeCount: number; readonly last: Uint8Array }): void {
    this.#position += sizeBytes;
    this.#nodeCount += passed.nodeCount;
    this.#order.pass(passed.last);
  }

  #begin(): void {
    for (;;) {
      this.#see(aheadSizeBytes);
      try {
        this.#reader.seek(0);
        this.#readHead();
        return;
      } catch (cause) {
        this.#seeMore(cause);
      }
    }
  }

  #readHead(): void {
    const reader = this.#reader;
    reader.beginObject();
    for (let key = reader.nextKey(topKeys); key !== 0; key = reader.nextKey(topKeys)) {
      if (key === endOfObject) throw reader.error('has no list of nodes');
      reader.skipValue();
    }
    reader.beginArray();
    this.#position = this.#window.start + reader.position;
    this.beginsAsOurs = equalBytes(this.#window.bytes.subarray(0, this.#position), treeBegin);
  }

  #readNode(): TreeNode | undefined {
    const reader = this.#reader;
    let at = this.#skipSpaces(this.#position - this.#window.start);
    const byte = this.#window.bytes[at];
    reader.position = at;
    if (byte === 0x5d) {
      this.#readTail(at + 1);
      this.#isDone = true;
      return undefined;
    }
    if (this.#nodeCount > 0) {
      if (byte !== 0x2c) throw reader.error('does not have a comma where one must be');
      at++;
    }
    reader.seek(at);
    const node = this.#fields.read();
    if (node.invalid === undefined) this.#order.check(node);
    this.#positionBefore = this.#position;
    this.#position = this.#window.start + reader.position;
    this.#nodeCount++;
    return node;
  }

  /** Makes sure that what follows the list is right, and no second list. */
  #readTail(at: number): void {
    const start = this.#window.start + at;
    this.#window.reach(this.#position, this.#tree.sizeBytes - this.#position);
    const rest = this.#window.bytes.subarray(start - this.#window.start);
    const reader = new JsonReader(Buffer.concat([Buffer.from('{"":0'), rest]));
    reader.beginObject();
    for (let key = reader.nextKey(topKeys); key !== endOfObject; key = reader.nextKey(topKeys)) {
      if (key === 0) throw reader.error('has two lists of nodes');
      reader.skipValue();
    }
    reader.end();
  }

  #skipSpaces(from: number): number {
    const { bytes } = this.#window;
    let at = from;
    while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) {
      at++;
    }
    return at;
  }

  /** Makes bytes from the position on visible to the reader. */
  #see(sizeBytes: number): void {
    const window = this.#window;
    window.reach(this.#position, sizeBytes);
    if (window.start === this.#readerStart && window.end === this.#readerEnd) return;
    this.#readerStart = window.start;
    this.#readerEnd = window.end;
    this.#reader = new JsonReader(window.bytes);
    this.#fields = new NodeReader(this.#reader);
  }

  /** After a failure: shows more of the tree, in case what is visible just ended too early. */
  #seeMore(cause: unknown): void {
    if (!isHoldfastError(cause, 'JSON_INVALID')) throw cause;
    const { field } = this.#fields;
    const offset = this.#window.start + this.#reader.position;
    if (this.#window.isAtEnd) {
      throw treeDamaged(cause, { field, node: this.#nodeCount, offset });
    }
    this.#see(this.#window.end - this.#position + 1);
  }

  #collectNames(): Set<string> {
    const names = new Set<string>();
    const again = new TreeCursor(this.#tree, names);
    while (again.nodeCount < this.#nodeCount) again.next();
    return names;
  }
}
