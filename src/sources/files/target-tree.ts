import type { FileStatus } from '../../platform/status.ts';
import { type ByteText, bytesOf } from './byte-text.ts';
import { absolutePath, cleanPath, componentsOf, joinPath } from './clean-path.ts';

/** One target as it goes into the tree: never `.` or `/`, which are replaced by their entries before. */
export interface Target {
  /** As given, cleaned; relative or absolute. */
  readonly path: ByteText;
  /** Named by the user: never excluded. False for the entries of `.` or `/`. */
  readonly isExplicit: boolean;
  /** For an entry of `.` or `/`: the device of that directory, for one-file-system. */
  readonly device?: FileStatus['device'];
}

/** A place in the merged tree: a target, or a directory above one, or both. */
export class TargetNode {
  /** Absolute path on this machine. */
  readonly path: ByteText;
  /** Last component of `path`. */
  readonly realName: Uint8Array;
  readonly children: Map<ByteText, TargetNode> = new Map();
  target: Target | undefined;

  constructor(path: ByteText) {
    this.path = path;
    this.realName = bytesOf(path.slice(path.lastIndexOf('/') + 1));
  }
}

/** Components that a target gives in the snapshot: leading `..` are dropped. */
export function snapshotComponents(path: ByteText): ByteText[] {
  return componentsOf(cleanPath(`/${path}`));
}

/**
 * Merges targets into one tree, as restic does: parents of targets become directories; equal targets count once (the
 * first decides whether it is explicit); a second first component from another root is renamed `name-1`, `name-2`.
 * @returns children of the snapshot's root, by name in the snapshot
 * @see docs/FORMAT.md
 */
export function mergeTargets(
  targets: readonly Target[],
  workingDirectory: ByteText,
): Map<ByteText, TargetNode> {
  const top = new Map<ByteText, TargetNode>();
  const rootOf = new Map<TargetNode, ByteText>();
  const seen = new Set<ByteText>();
  for (const target of targets) {
    if (seen.has(target.path)) continue;
    seen.add(target.path);
    const root = rootDirectoryOf(target.path);
    const [first = '', ...rest] = snapshotComponents(target.path);
    let name = first;
    let node = top.get(name);
    for (let i = 1; node && rootOf.get(node) !== root; i++) {
      name = `${first}-${i}`;
      node = top.get(name);
    }
    if (!node) {
      node = new TargetNode(absolutePath(joinPath(root, first), workingDirectory));
      top.set(name, node);
      rootOf.set(node, root);
    }
    addBelow(node, rest).target = target;
  }
  for (const node of top.values()) coverParents(node);
  return top;
}

/** Directories between a target and one below it are saved whole, as part of the upper one. */
function coverParents(node: TargetNode): void {
  for (const child of node.children.values()) {
    if (node.target) child.target ??= { path: child.path, isExplicit: false };
    coverParents(child);
  }
}

function addBelow(top: TargetNode, components: readonly ByteText[]): TargetNode {
  let node = top;
  for (const component of components) {
    let child = node.children.get(component);
    if (!child) {
      child = new TargetNode(`${node.path}/${component}`);
      node.children.set(component, child);
    }
    node = child;
  }
  return node;
}

/** The directory that holds a target's first component: `/`, `.`, `..`, `../..`, and so on. */
function rootDirectoryOf(path: ByteText): ByteText {
  if (path.startsWith('/')) return '/';
  const ups = path.split('/').filter((component) => component === '..');
  return ups.length === 0 ? '.' : ups.join('/');
}
