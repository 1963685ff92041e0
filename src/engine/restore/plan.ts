import type { TreeNode } from '../../repository/tree.ts';
import { unixMode } from '../../repository/mode.ts';
import { groupId, userId } from '../../platform/owners.ts';
import type { TargetDirectory } from './directories.ts';
import type { Metadata } from './messages.ts';
import type { RestoreOptions } from './options.ts';

/** A file that gets content. */
export interface PlannedFile {
  readonly directory: TargetDirectory;
  readonly node: TreeNode;
  /** Ids of its blobs, 32 bytes each. */
  readonly content: Uint8Array;
  /**
   * What has its name in the target: nothing, a regular file, one with further names, which must not
   * change with it, or something that is no file.
   */
  readonly existing: 'none' | 'regular' | 'linked' | 'other';
  /** How many names the existing file has. */
  readonly linkCount: number;
  /** The existing file may stay if its content is right. Of one with several names it is decided when all were looked at. */
  canStay: boolean;
  /** The content of the existing file is taken to be right without looking. */
  isTrusted: boolean;
}

/** A name in the target. */
export interface TargetEntry {
  readonly directory: TargetDirectory;
  readonly name: Uint8Array;
}

/** Text of an attribute's name, for filters. */
export function attributeName(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('utf8');
}

/**
 * What an item gets besides content.
 * @param clearsAttributes there may be attributes that the snapshot does not have
 */
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
    mode: unixMode(node.mode),
    uid,
    gid,
    mtime: node.mtime,
    atime: node.atime,
    attributes,
    // With a choice of attributes only the chosen ones are cleared, which is done where the choice is.
    clearsAttributes: clearsAttributes && !selectAttribute,
  };
}
