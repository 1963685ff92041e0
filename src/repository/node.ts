import type { Timestamp } from '../base/timestamp.ts';
import type { NodeType } from './mode.ts';

export type { NodeType };

/** An extended attribute: raw name, raw value. */
export interface ExtendedAttribute {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * One entry of a tree: what restic calls a node.
 *
 * Zero, empty and undefined mean the same as a missing key. Numbers that a file system may fill with 64 bits
 * are a bigint from 2^53 on and a number below.
 * @see docs/FORMAT.md#nodes
 */
export interface TreeNode {
  /** Raw bytes of the name, as the file system has it. */
  readonly name: Uint8Array;
  readonly type: NodeType;
  /** Go FileMode, see `goMode`. */
  readonly mode: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly ctime: Timestamp;
  readonly uid: number;
  readonly gid: number;
  /** Name of the owner, '' if not known. */
  readonly user: string;
  readonly group: string;
  readonly inode: number | bigint;
  readonly deviceId: number | bigint;
  /** Files only: bytes that were read. */
  readonly sizeBytes: number;
  readonly links: number;
  /** Raw bytes of the target of a symlink. */
  readonly linkTarget?: Uint8Array | undefined;
  /** In the order in which the file system lists them. */
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** Raw JSON of an object that is not empty, as it was read. */
  readonly genericAttributes?: Uint8Array | undefined;
  /** `st_rdev` of a device node. */
  readonly device: number | bigint;
  /** Files only: ids of the data blobs in order, 32 bytes each. */
  readonly content?: Uint8Array | undefined;
  /** Directories only: id of the tree, 32 bytes. */
  readonly subtree?: Uint8Array | undefined;
  readonly error?: string | undefined;
  /**
   * Set by the decoder only: why this node must not be used, in words. Its name must not reach a file
   * system; the other nodes of the tree are not affected.
   */
  readonly invalid?: string | undefined;
  /**
   * Set by the decoder only: what the node refers to though nothing of its type can, such as the content of a link. Of no
   * use to anybody but who decides what data is needed.
   */
  readonly stray?: StrayReferences | undefined;
}

/** What a node of another type would have; see `TreeNode`. */
export interface StrayReferences {
  readonly content: Uint8Array | undefined;
  readonly subtree: Uint8Array | undefined;
}

/** True if a tree has the name `a` before `b`: unsigned byte order, strictly. Quicker than a native call. */
export function isNameBefore(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference < 0;
  }
  return a.length < b.length;
}

/** What a node made by a program, not read from a file system, has besides its name, type, mode and times. */
export const bareNode: Pick<
  TreeNode,
  | 'uid'
  | 'gid'
  | 'user'
  | 'group'
  | 'inode'
  | 'deviceId'
  | 'sizeBytes'
  | 'links'
  | 'extendedAttributes'
  | 'device'
> = {
  uid: 0,
  gid: 0,
  user: '',
  group: '',
  inode: 0,
  deviceId: 0,
  sizeBytes: 0,
  links: 0,
  extendedAttributes: [],
  device: 0,
};
