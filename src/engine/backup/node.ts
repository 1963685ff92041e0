import type { FileKind, FileStatus } from '../../platform/status.ts';
import { groupName, userName } from '../../platform/owners.ts';
import { goMode } from '../../repository/mode.ts';
import type { NodeType, TreeNode } from '../../repository/tree.ts';
import type { SourceEntry } from '../../sources/source.ts';
import type { BackupOptions } from './options.ts';
import { storableAttributes } from './storable-attributes.ts';

const nodeTypes: Readonly<Record<FileKind, NodeType>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'symlink',
  block: 'dev',
  character: 'chardev',
  fifo: 'fifo',
  socket: 'socket',
  unknown: 'irregular',
};

const noDevice: ReadonlySet<NodeType> = new Set(['file', 'dir', 'symlink', 'fifo', 'socket']);
const noLinks: ReadonlySet<NodeType> = new Set(['dir', 'fifo', 'socket']);

/** A tree node that is still being filled. */
export type NodeDraft = { -readonly [K in keyof TreeNode]: TreeNode[K] };

/** What decides which metadata is stored. */
export type NodeOptions = Pick<BackupOptions, 'withAtime' | 'deviceOfHardLinksOnly'>;

/** The tree node of a source entry, without content and subtree. @see docs/FORMAT.md#trees */
export function nodeOf(entry: SourceEntry, options: NodeOptions): NodeDraft {
  const { status } = entry;
  const { mtime } = status;
  const type = nodeTypes[status.kind];
  const node: NodeDraft = {
    name: entry.name,
    type,
    mode: goMode(type, status.mode),
    mtime,
    atime: options.withAtime ? status.atime : mtime,
    ctime: status.ctime,
    uid: status.uid,
    gid: status.gid,
    user: userName(status.uid) ?? '',
    group: groupName(status.gid) ?? '',
    inode: status.inode,
    deviceId: storedDevice(status, options),
    sizeBytes: type === 'file' ? status.sizeBytes : 0,
    links: noLinks.has(type) ? 0 : status.links,
    extendedAttributes: storableAttributes(entry.extendedAttributes),
    device: noDevice.has(type) ? 0 : status.rdev,
  };
  if (entry.linkTarget) node.linkTarget = entry.linkTarget;
  return node;
}

/** Brings a file's node up to what was read of it: it changed, or another file took its name. */
export function updateNode(
  node: NodeDraft,
  now: { readonly status: FileStatus; readonly attributes?: TreeNode['extendedAttributes'] },
  options: NodeOptions,
): void {
  const { status, attributes } = now;
  node.mode = goMode(nodeTypes[status.kind], status.mode);
  node.mtime = status.mtime;
  node.atime = options.withAtime ? status.atime : status.mtime;
  node.ctime = status.ctime;
  node.uid = status.uid;
  node.gid = status.gid;
  node.user = userName(status.uid) ?? '';
  node.group = groupName(status.gid) ?? '';
  // Hard links are found by these: those of a file that is gone would lead to another one.
  node.inode = status.inode;
  node.deviceId = storedDevice(status, options);
  node.links = status.links;
  if (attributes) node.extendedAttributes = storableAttributes(attributes);
}

/** The device that is stored, 0 for none; as restic decides it, which counts no links of pipes. */
export function storedDevice(
  { kind, links, device }: Pick<FileStatus, 'kind' | 'links' | 'device'>,
  { deviceOfHardLinksOnly = false }: Pick<NodeOptions, 'deviceOfHardLinksOnly'>,
): FileStatus['device'] {
  if (!deviceOfHardLinksOnly || kind === 'fifo') return device;
  return kind === 'directory' || links === 1 ? 0 : device;
}
