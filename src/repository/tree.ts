export { decodeTree, iterateTree, type NodeVisitor } from './tree-decoder.ts';
export {
  TreeBytes,
  treeInPiecesSizeBytesMin,
  treePieceSizeBytes,
  TreeWindow,
} from './tree-bytes.ts';
export { TreeCursor } from './tree-cursor.ts';
export { areSorted, nodesOf, type TreeNodes } from './tree-nodes.ts';
export { treeBegin, treeEnd, TreeEncoder } from './tree-encoder.ts';
export { bareNode, type ExtendedAttribute, type NodeType, type TreeNode } from './node.ts';
export { goMode, restorableTypes, typeOfMode, unixMode } from './mode.ts';
export { quoteName, unquoteName } from './name-quoting.ts';
