import { compareBytes } from '../base/bytes.ts';
import { compareTimestamps } from '../base/timestamp.ts';
import type { WalkedNode } from '../engine/trees/walk-paths.ts';

/** What `ls --sort` can order by. */
export type SortMode = 'name' | 'size' | 'time' | 'mtime' | 'atime' | 'ctime' | 'extension';

type Compare = (a: WalkedNode, b: WalkedNode) => number;

const byTime =
  (field: 'mtime' | 'atime' | 'ctime'): Compare =>
  (a, b) =>
    compareTimestamps(a.node[field], b.node[field]);

const comparisons: Readonly<Record<SortMode, Compare>> = {
  name: (a, b) => compareBytes(a.path, b.path),
  size: (a, b) => a.node.sizeBytes - b.node.sizeBytes,
  time: byTime('mtime'),
  mtime: byTime('mtime'),
  atime: byTime('atime'),
  ctime: byTime('ctime'),
  extension: (a, b) => compareBytes(extension(a.node.name), extension(b.node.name)),
};

/** Sorts by one criterion; equal entries keep their order. */
export function sortNodes(nodes: readonly WalkedNode[], mode: SortMode): WalkedNode[] {
  return [...nodes].sort(comparisons[mode]);
}

/** From the last dot on; empty without a dot. */
function extension(name: Uint8Array): Uint8Array {
  const dot = name.lastIndexOf(0x2e);
  return dot < 0 ? new Uint8Array(0) : name.subarray(dot);
}
