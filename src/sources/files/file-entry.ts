import type { FileStatus } from '../../platform/status.ts';
import type { ExtendedAttribute, SourceEntry } from '../source.ts';
import type { DirectoryScope } from './directory-scope.ts';
import type { TargetNode } from './target-tree.ts';

/** What was read of an entry besides its name. */
export interface EntryFacts {
  readonly status: FileStatus;
  readonly linkTarget: Uint8Array | undefined;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

/** An entry of a file source. Small, because a directory may have millions: the path is put together when asked for. */
export class FileEntry implements SourceEntry {
  readonly name: Uint8Array;
  readonly status: FileStatus;
  readonly linkTarget: Uint8Array | undefined;
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** The directory that holds the entry. */
  readonly scope: DirectoryScope;
  /** Its place in the tree of targets, for a target or a directory above one. */
  readonly node: TargetNode | undefined;

  constructor(
    name: Uint8Array,
    facts: EntryFacts,
    place: { readonly scope: DirectoryScope; readonly node?: TargetNode },
  ) {
    this.name = name;
    this.status = facts.status;
    this.linkTarget = facts.linkTarget;
    this.extendedAttributes = facts.extendedAttributes;
    this.scope = place.scope;
    this.node = place.node;
  }

  get path(): Uint8Array {
    return this.scope.pathOf(this.realName);
  }

  /** The name on disk. */
  get realName(): Uint8Array {
    return this.node?.realName ?? this.name;
  }

  get isImplied(): boolean {
    return this.node !== undefined && this.node.target === undefined;
  }
}
