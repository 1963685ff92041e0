import { type Kernel, loadKernel } from '../kernels/webassembly.ts';
import { treeMatchWasm } from '../kernels/tree-match-wasm.ts';
import { idSizeBytes } from './id.ts';
import type { TreeNode } from './node.ts';
import { OwnerFormatter, plainInName, treeBegin, treeEnd } from './tree-encoder.ts';

/** Numbers of a node. */
export const packedNodeFields = 17;

/** Where they stand. Files and directories only, whose access time is told as their modification time. */
export const packedField = {
  /** 0 for a file, 1 for a directory. */
  kind: 0,
  /** Go's; not 0. */
  mode: 1,
  /** What `ownerOf` gave. */
  ownerAt: 2,
  ownerLength: 3,
  links: 4,
  inode: 5,
  deviceId: 6,
  /** Seconds east of UTC that the zone has at the time of modification. */
  mtimeOffset: 7,
  sizeBytes: 8,
  ctimeOffset: 9,
  mtimeSeconds: 10,
  mtimeNanoseconds: 11,
  ctimeSeconds: 14,
  ctimeNanoseconds: 15,
  /** Bytes of the name. */
  nameLength: 16,
} as const;

/** Larger trees are left to `TreeMatcher`: their memory would be kept. */
export const packedTreeSizeBytesMax: number = 4 << 20;

/** As src/kernels/assembly/tree-match.ts numbers them. */
const texts = [
  treeBegin,
  treeEnd,
  '{"name":"',
  '","type":"file","mode":',
  '","type":"dir","mode":',
  ',"mtime":"',
  '","atime":"',
  '","ctime":"',
  '"',
  ',"inode":',
  ',"device_id":',
  ',"size":',
  ',"links":',
  ',"content":[',
  ',"content":null,"subtree":',
].map((text) => Buffer.from(text));
const plainAt = 128;
const textsAt = 512;
const ownersAt = 1024;
const bufferAt = 65_536;
const fieldBytes = 8;
const sizeBytesMin = 1 << 20;

/** A place in the kernel's memory. */
export interface PackedOwner {
  readonly at: number;
  readonly length: number;
}

/** What a tree refers to. */
export interface PackedReferences {
  /** Ids of all contents, one after the other; a view, valid until the next call. */
  readonly content: Uint8Array;
  /** Ids of the directories' trees, likewise. */
  readonly subtrees: Uint8Array;
}

/**
 * Compares a directory with its stored tree as `TreeMatcher` does, from nodes that are numbers, all at once.
 *
 * For directories of files and directories alone, with names that need no escaping. False differences are possible (a time
 * before 1970, a name in quotes): the caller then compares in the ordinary way.
 */
export class PackedTreeMatcher {
  #kernel: Kernel = newKernel(sizeBytesMin);
  readonly #formatter = new OwnerFormatter();
  readonly #owners = new Map<string, PackedOwner>();
  #ownersEnd = ownersAt;
  #fields = new Float64Array(0);

  /** Where the caller writes `packedNodeFields` numbers a node; valid until the next call of this. */
  room(nodeCount: number, sizes: { treeBytes: number; nameBytes: number }): Float64Array {
    const fields = nodeCount * packedNodeFields;
    // A content takes twice the bytes of its ids in the tree, and so does a subtree.
    const sizeBytes = bufferAt + fields * fieldBytes + sizes.nameBytes + 2 * sizes.treeBytes;
    if (sizeBytes > this.#kernel.buffer.byteLength) this.#grow(2 * sizeBytes);
    this.#fields = new Float64Array(this.#kernel.buffer, bufferAt, fields);
    return this.#fields;
  }

  /** Names an owner in the nodes of `room`; undefined if there are too many of them. */
  ownerOf(owner: Pick<TreeNode, 'uid' | 'gid' | 'user' | 'group'>): PackedOwner | undefined {
    const key = `${owner.uid} ${owner.gid} ${owner.user}\n${owner.group}`;
    const known = this.#owners.get(key);
    if (known) return known;
    const text = this.#formatter.of(owner);
    if (this.#ownersEnd + text.byteLength > bufferAt) return undefined;
    const place = { at: this.#ownersEnd, length: text.byteLength };
    new Uint8Array(this.#kernel.buffer).set(text, place.at);
    this.#ownersEnd += text.byteLength;
    this.#owners.set(key, place);
    return place;
  }

  /**
   * Compares the nodes of `room` with a stored tree.
   * @param names of the nodes, one after the other
   */
  match(tree: Uint8Array, names: Uint8Array): PackedReferences | undefined {
    const { buffer } = this.#kernel;
    const bytes = new Uint8Array(buffer);
    const namesAt = bufferAt + this.#fields.byteLength;
    const treeAt = namesAt + names.byteLength;
    const idsAt = treeAt + tree.byteLength;
    const subtreesAt = idsAt + (tree.byteLength >>> 1);
    bytes.set(names, namesAt);
    bytes.set(tree, treeAt);
    const nodeCount = this.#fields.length / packedNodeFields;
    const places = [treeAt, tree.byteLength, bufferAt, nodeCount, namesAt, idsAt, subtreesAt];
    const idCount = this.#kernel.call(...places);
    if (idCount < 0) return undefined;
    return {
      content: bytes.subarray(idsAt, idsAt + idCount * idSizeBytes),
      subtrees: bytes.subarray(subtreesAt),
    };
  }

  #grow(sizeBytes: number): void {
    const before = new Uint8Array(this.#kernel.buffer, ownersAt, this.#ownersEnd - ownersAt);
    this.#kernel = newKernel(sizeBytes);
    new Uint8Array(this.#kernel.buffer).set(before, ownersAt);
  }
}

function newKernel(sizeBytes: number): Kernel {
  const kernel = loadKernel(treeMatchWasm, 'match', sizeBytes);
  const bytes = new Uint8Array(kernel.buffer);
  const table = new Uint32Array(kernel.buffer);
  let at = textsAt;
  for (const [i, text] of texts.entries()) {
    table.set([at, text.byteLength], 2 * i);
    bytes.set(text, at);
    at += text.byteLength;
  }
  bytes.set(plainInName, plainAt);
  return kernel;
}
