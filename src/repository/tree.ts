export { decodeTree, iterateTree, type NodeVisitor } from './tree-decoder.ts';
export { TreeEncoder } from './tree-encoder.ts';
export type { ExtendedAttribute, NodeType, TreeNode } from './node.ts';
export { goMode, typeOfMode, unixMode } from './mode.ts';
export { quoteName, unquoteName } from './name-quoting.ts';
