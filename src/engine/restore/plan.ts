import type { TreeNode } from '../../repository/tree.ts';
import type { Metadata } from './messages.ts';
import { unixMode } from '../../repository/mode.ts';
import { groupId, userId } from '../../platform/owners.ts';
import type { RestoreOptions } from './options.ts';
import type { TargetDirectory } from './directories.ts';

/** A file that gets content. */
export interface PlannedFile {
  readonly directory: TargetDirectory;
  readonly node: TreeNode;
  /** Ids of its blobs, 32 bytes each. */
  readonly content: Uint8Array;
  /**
   * What has its name in the target: nothing, a regular file, or one with further names, which must
   * not change with it.
   */
  readonly existing: 'none' | 'regular' | 'linked';
  /** The content of the existing file is taken to be right without looking. */
  readonly isTrusted: boolean;
}

/** A further name of a file that was planned before. */
export interface PlannedLink {
  readonly directory: TargetDirectory;
  readonly name: Uint8Array;
  readonly first: PlannedFile;
}

/** Bytes of text for looking at attribute names. */
function attributeName(name: Uint8Array): string {
  return Buffer.from(name).toString('latin1');
}

/** What an item gets besides content. */
export function metadataOf(
  node: TreeNode,
  options: Pick<RestoreOptions, 'ownershipByName' | 'selectAttribute'>,
  clearsAttributes: boolean,
): Metadata {
  const { selectAttribute } = options;
  const uid = options.ownershipByName ? (userId(node.user) ?? node.uid) : node.uid;
  const gid = options.ownershipByName ? (groupId(node.group) ?? node.gid) : node.gid;
  const attributes = selectAttribute
    ? node.extendedAttributes.filter(({ name }) => selectAttribute(attributeName(name)))
    : node.extendedAttributes;
  return {
    mode: unixMode(node.mode) & 0o7777,
    uid,
    gid,
    mtime: node.mtime,
    atime: node.atime,
    attributes,
    clearsAttributes: clearsAttributes && !selectAttribute,
  };
}
