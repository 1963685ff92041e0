import { equalBytes } from '../../base/bytes.ts';
import { compareTimestamps } from '../../base/timestamp.ts';
import type { TreeNode } from '../../repository/tree.ts';

const plainFields = [
  'type',
  'mode',
  'uid',
  'gid',
  'user',
  'group',
  'inode',
  'deviceId',
  'sizeBytes',
  'links',
  'device',
  'error',
] as const satisfies readonly (keyof TreeNode)[];

const timeFields = ['mtime', 'atime', 'ctime'] as const;

/**
 * True if two entries agree in everything but perhaps their content. Times are compared as instants, extended attributes
 * whatever their order.
 */
export function equalNodes(
  a: TreeNode,
  b: TreeNode,
  options: { readonly ignoreContent?: boolean } = {},
): boolean {
  return (
    equalBytes(a.name, b.name) &&
    plainFields.every((field) => a[field] === b[field]) &&
    timeFields.every((field) => compareTimestamps(a[field], b[field]) === 0) &&
    equalOptional(a.linkTarget, b.linkTarget) &&
    equalOptional(a.subtree, b.subtree) &&
    equalOptional(a.genericAttributes, b.genericAttributes) &&
    (options.ignoreContent === true || equalOptional(a.content, b.content)) &&
    equalAttributes(a, b)
  );
}

function equalOptional(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  const none = new Uint8Array(0);
  return equalBytes(a ?? none, b ?? none);
}

/** The order of extended attributes is the kernel's and means nothing. */
function equalAttributes(a: TreeNode, b: TreeNode): boolean {
  if (a.extendedAttributes.length !== b.extendedAttributes.length) return false;
  return a.extendedAttributes.every((attribute) => {
    const other = b.extendedAttributes.find(({ name }) => equalBytes(name, attribute.name));
    return other !== undefined && equalBytes(other.value, attribute.value);
  });
}
