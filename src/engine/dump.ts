import { defined } from '../base/assert.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { silentMonitor } from '../base/monitor.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { EngineContext } from './context.ts';
import type { ArchiveEntry, ArchiveWriter, ByteWriter } from './dump/archive.ts';
import { contentSizeBytes, dataPacksOf, readContent } from './dump/content.ts';
import { thawPacks } from './packs/thaw-packs.ts';
import { TarWriter } from './dump/tar.ts';
import { ZipWriter } from './dump/zip.ts';
import { type WalkedNode, walkTree } from './trees/walk-paths.ts';
import { findChild, splitSnapshotPath } from './trees/snapshot-path.ts';

export type { ByteWriter } from './dump/archive.ts';

/** How a folder is written: POSIX tar with PAX headers, or ZIP. */
export type ArchiveFormat = 'tar' | 'zip';

/** What is written, and where to. */
export interface DumpRequest {
  /** The tree that `path` begins in. */
  readonly root: Uint8Array;
  /** A file, or a folder, which becomes an archive; the empty path or `/` is the root. Raw bytes. */
  readonly path: Uint8Array;
  readonly format: ArchiveFormat;
  readonly write: ByteWriter;
  /** Told before anything is written if `path` is a folder; may throw. */
  readonly onFolder?: (() => void) | undefined;
}

/**
 * Writes the content of a file, or a folder as an archive.
 *
 * What an archive cannot hold, and files whose data is known to be missing, are told to the monitor and left out.
 * @throws PATH_NOT_FOUND; BLOB_DAMAGED: what was written is incomplete then; CANCELLED
 */
export async function dump(
  indexed: IndexedRepository,
  request: DumpRequest,
  context: EngineContext,
): Promise<void> {
  const parts = splitSnapshotPath(request.path);
  const found = await findPath(indexed, request.root, { parts, context });
  if (found.type === 'folder') {
    request.onFolder?.();
    const base = joinParts(parts);
    await thawFolder(indexed, found.tree, context);
    await dumpFolder(indexed, { ...request, tree: found.tree, base }, context);
    return;
  }
  const content = found.node.content ?? new Uint8Array(0);
  await thawPacks(indexed, dataPacksOf(indexed, content), context);
  for await (const bytes of readContent(indexed, content, context.signal)) {
    await request.write(bytes);
  }
}

/** Has all packs of data below a folder brought back from an archive, all at once, where that is to be done. */
async function thawFolder(
  indexed: IndexedRepository,
  tree: Uint8Array,
  context: EngineContext,
): Promise<void> {
  if (!indexed.repository.backend.thawing) return;
  const packs = new Set<number>();
  const node = ({ node: { content } }: WalkedNode): void => {
    for (const pack of dataPacksOf(indexed, content ?? new Uint8Array(0))) packs.add(pack);
  };
  // What is wrong with trees is told when they are written.
  await walkTree(indexed, tree, { node }, { ...context, monitor: silentMonitor });
  await thawPacks(indexed, packs, context);
}

type FoundPath =
  | { readonly type: 'folder'; readonly tree: Uint8Array }
  | { readonly type: 'file'; readonly node: TreeNode };

async function findPath(
  indexed: IndexedRepository,
  root: Uint8Array,
  how: { readonly parts: readonly Uint8Array[]; readonly context: EngineContext },
): Promise<FoundPath> {
  const { parts, context } = how;
  let tree = root;
  for (const [i, part] of parts.entries()) {
    const { signal } = context;
    const node = await findChild(indexed, tree, part, { signal });
    const shown = JSON.stringify(`/${Buffer.from(joinParts(parts.slice(0, i + 1))).toString()}`);
    if (!node) throw cannotDump(`path ${shown} not found in snapshot`);
    const isLast = i === parts.length - 1;
    if (isLast && node.type === 'file') return { type: 'file', node };
    if (node.type !== 'dir' || !node.subtree) {
      const wanted = isLast ? 'file' : 'dir';
      throw cannotDump(`${shown} should be a ${wanted}, but is a "${node.type}"`);
    }
    tree = node.subtree;
  }
  return { type: 'folder', tree };
}

function cannotDump(what: string): HoldfastError {
  return new HoldfastError('PATH_NOT_FOUND', { message: `cannot dump file: ${what}` });
}

function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part])));
}

interface FolderRequest extends DumpRequest {
  readonly tree: Uint8Array;
  /** What stands before the paths in the archive; may be empty. */
  readonly base: Uint8Array;
}

async function dumpFolder(
  indexed: IndexedRepository,
  request: FolderRequest,
  context: EngineContext,
): Promise<void> {
  const { format, write, tree, base } = request;
  const writer = format === 'tar' ? new TarWriter(write) : new ZipWriter(write);
  let waiting: Promise<void> | undefined;
  await walkTree(
    indexed,
    tree,
    {
      node: ({ path, node }) => {
        const inArchive = base.byteLength > 0 ? Buffer.concat([base, path]) : path.subarray(1);
        waiting = addEntry(writer, { indexed, context, node, path: inArchive });
      },
      settle: () => waiting,
    },
    context,
  );
  await writer.finish();
}

async function addEntry(
  writer: ArchiveWriter,
  item: {
    readonly indexed: IndexedRepository;
    readonly context: EngineContext;
    readonly node: TreeNode;
    readonly path: Uint8Array;
  },
): Promise<void> {
  const { indexed, context, node, path } = item;
  const name = Buffer.from(path).toString('utf8');
  const refusal = writer.refusal(node);
  if (refusal !== undefined) return context.monitor.note(`${name}: left out, ${refusal}`);
  let sizeBytes = 0;
  try {
    if (node.content) sizeBytes = contentSizeBytes(indexed, node.content);
  } catch (error) {
    if (!isHoldfastError(error, 'BLOB_NOT_FOUND')) throw error;
    return context.monitor.problem({ item: name, during: 'restore', error });
  }
  const entry: ArchiveEntry = {
    path,
    node,
    sizeBytes,
    content: () => {
      return readContent(indexed, defined(node.content, 'a file has content'), context.signal);
    },
  };
  await writer.add(entry);
}
