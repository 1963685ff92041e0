import type { TreeNode } from '../../repository/tree.ts';

/** Takes bytes in order; the promise resolves when more may come. */
export type ByteWriter = (bytes: Uint8Array) => Promise<void> | void;

/** One entry for an archive. */
export interface ArchiveEntry {
  /** Path without a slash at its ends; raw bytes. */
  readonly path: Uint8Array;
  readonly node: TreeNode;
  /** Bytes of a file's content; 0 for anything else. */
  readonly sizeBytes: number;
  /** The content of a file. */
  content(): AsyncIterable<Uint8Array>;
}

/** Writes an archive, entry by entry. */
export interface ArchiveWriter {
  /** Why the format cannot hold such an entry, in words; undefined if it can. */
  refusal(node: TreeNode): string | undefined;
  /** @throws what `content` throws, and ASSERTION_FAILED if it has another size; the archive is broken then */
  add(entry: ArchiveEntry): Promise<void>;
  /** Writes the end. */
  finish(): Promise<void>;
}
