import { idSizeBytes } from './id.ts';
import type { TreeNode } from './node.ts';
import type { ZoneOffset } from './time-format.ts';
import { TreeEncoder } from './tree-encoder.ts';

const begin = Buffer.from('{"nodes":[');
const end = Buffer.from(']}\n');
const nullContent = Buffer.from(',"content":null');
const listContent = Buffer.from(',"content":[');
const subtreeKey = Buffer.from(',"subtree":"');
const comma = 0x2c;
const quote = 0x22;
const closeBrace = 0x7d;
const closeBracket = 0x5d;
const hexDigits = 2 * idSizeBytes;

/**
 * Compares a directory with its stored tree, node by node, without decoding the tree.
 *
 * A node is encoded up to its content and compared with the stored bytes; what it refers to is read from
 * them. Several times cheaper than decoding and encoding again, for the directories that did not change.
 * Any difference, also one in mere form, is a difference: the caller then compares the decoded nodes.
 */
export class TreeMatcher {
  readonly #encoder: TreeEncoder;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #isFirst = true;
  #ids: Uint8Array = new Uint8Array(64 * idSizeBytes);

  /** @param zone that times of the nodes are written in */
  constructor(zone: ZoneOffset) {
    this.#encoder = new TreeEncoder(zone);
  }

  /** Begins a tree. @returns false if it does not begin as a tree does */
  begin(tree: Uint8Array): boolean {
    this.resume(tree, 0, true);
    return this.#take(begin);
  }

  /**
   * Goes on within a tree.
   * @param bytes of the tree, from somewhere on
   * @param at offset in `bytes`: behind a node, or, if `isFirst`, where the first node begins
   */
  resume(bytes: Uint8Array, at: number, isFirst: boolean): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#isFirst = isFirst;
  }

  /** Offset in the bytes of `begin` or `resume`, behind the node that was taken last. */
  get position(): number {
    return this.#at;
  }

  /** True if nothing follows the nodes so far. */
  atEnd(): boolean {
    return this.#take(end) && this.#at === this.#bytes.length;
  }

  /** The content of the next stored node if it is `node`, a file: ids as a view, valid until the next call. */
  takeFile(node: TreeNode): Uint8Array | undefined {
    if (!this.#takeMetadata(node) || !this.#take(listContent)) return undefined;
    const bytes = this.#bytes;
    let count = 0;
    if (bytes[this.#at] === closeBracket) this.#at++;
    else {
      for (let next = comma; next === comma; ) {
        if ((count + 1) * idSizeBytes > this.#ids.length) this.#growIds();
        if (bytes[this.#at++] !== quote || !this.#takeId(count++ * idSizeBytes)) return undefined;
        if (bytes[this.#at++] !== quote) return undefined;
        next = bytes[this.#at++] ?? 0;
        if (next !== comma && next !== closeBracket) return undefined;
      }
    }
    return bytes[this.#at++] === closeBrace
      ? this.#ids.subarray(0, count * idSizeBytes)
      : undefined;
  }

  /** The tree below the next stored node if it is `node`, a directory; owned by the caller. */
  takeDirectory(node: TreeNode): Uint8Array | undefined {
    if (!this.#takeMetadata(node) || !this.#take(nullContent)) return undefined;
    if (!this.#take(subtreeKey) || !this.#takeId(0)) return undefined;
    const isClosed = this.#bytes[this.#at] === quote && this.#bytes[this.#at + 1] === closeBrace;
    this.#at += 2;
    return isClosed ? this.#ids.slice(0, idSizeBytes) : undefined;
  }

  /** True if the next stored node is `node`, neither file nor directory. */
  takeOther(node: TreeNode): boolean {
    const isSame = this.#takeMetadata(node) && this.#take(nullContent);
    return isSame && this.#bytes[this.#at++] === closeBrace;
  }

  #takeMetadata(node: TreeNode): boolean {
    if (!this.#isFirst && this.#bytes[this.#at++] !== comma) return false;
    this.#isFirst = false;
    const stop = this.#encoder.endOfMetadata(node, this.#bytes, this.#at);
    if (stop < 0) return false;
    this.#at = stop;
    return true;
  }

  /** A loop: the few bytes of most are compared faster so than by a call. */
  #take(expected: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
    this.#at = at + expected.length;
    return true;
  }

  /** Reads an id from lower-case hex into the list of ids. */
  #takeId(target: number): boolean {
    const bytes = this.#bytes;
    const ids = this.#ids;
    for (let i = 0; i < idSizeBytes; i++) {
      const high = hexValue[bytes[this.#at + 2 * i] ?? 0] ?? 255;
      const low = hexValue[bytes[this.#at + 2 * i + 1] ?? 0] ?? 255;
      if (high > 15 || low > 15) return false;
      ids[target + i] = (high << 4) | low;
    }
    this.#at += hexDigits;
    return true;
  }

  #growIds(): void {
    const larger = new Uint8Array(this.#ids.length * 2);
    larger.set(this.#ids);
    this.#ids = larger;
  }
}

/** Value of each lower-case hex digit; 255 for other bytes. */
const hexValue: Uint8Array = new Uint8Array(256).fill(255);
for (const [value, digit] of Buffer.from('0123456789abcdef').entries()) hexValue[digit] = value;
