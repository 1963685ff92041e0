import { equalNodes } from '../trees/equal-nodes.ts';
import { idSizeBytes } from '../../repository/id.ts';
import { defined } from '../../base/assert.ts';
import { toHex } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { deserializeError } from '../../base/serialized-errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { localZone } from '../../repository/time-format.ts';
import type { TreeBytes, TreeNode } from '../../repository/tree.ts';
import { TreeMatcher } from '../../repository/tree-matcher.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { PackedEntries, SourceEntry, SourceListing } from '../../sources/source.ts';
import type { EngineContext } from '../context.ts';
import { throwIfAborted } from '../../base/abort.ts';
import type { Change } from './counters.ts';
import { hasAllChunks, isUnmodified, mayHideChange, type ParentTime } from './change-detection.ts';
import { EmptiedSources } from './emptied-sources.ts';
import { emptyTreeId } from './empty-tree.ts';
import { encodeBatch, FileBatches, listedFileOf, type QueuedFile } from './file-batches.ts';
import { FarFiles } from './far-files.ts';
import { isFileFailure } from './file-failure.ts';
import type { FileListener, SoleRead } from './file-reader.ts';
import { largeFileBytesMin, LargeFileReader } from './large-file.ts';
import { fileOutcome, type FilesResponse } from './messages.ts';
import { type NodeDraft, nodeOf, updateNode } from './node.ts';
import type { BackupMonitor, BackupOptions } from './options.ts';
import { PackedMatcher } from './packed-match.ts';
import { ParentTrees } from './parent-trees.ts';
import type { NodeFinder } from './previous-nodes.ts';
import type { Pipeline } from './pipeline.ts';
import type { BackupReport } from './report.ts';
import { entryCount, type SourceWalk } from '../source-walk.ts';
import { areStorable } from './storable-attributes.ts';
import { TakenListing } from './taken-listing.ts';
import { TreeBuilder } from './tree-builder.ts';
import { type FramePart, type MatchedTree, NodeCursor, TreeFrame } from './tree-frame.ts';

/** How long this thread works before results of the workers are looked at. */
const turnMs = 15;
/** How often numbers are told while nothing is left to walk. */
const progressMs = 100;
/** Bytes of the parent's tree that an entry may take, on average, to be compared as bytes. */
const matchedEntryBytes = 1024;
const noBytes = new Uint8Array(0);

/** What one run works with. */
export interface RunParts {
  readonly indexed: IndexedRepository;
  readonly walk: SourceWalk;
  readonly pipeline: Pipeline;
  readonly report: BackupReport;
  readonly options: BackupOptions;
  readonly context: EngineContext<BackupMonitor>;
  /** Snapshots that there are, the oldest first. */
  readonly earlier: readonly StoredSnapshot[];
  /** Of the new snapshot. */
  readonly time: Timestamp;
  /** When the parent backup ran, as far as that is known. */
  readonly parentTime: ParentTime | undefined;
}

/** Walks the source, compares it with the parent's trees, has changed files read, and builds the new trees. */
export class BackupRun {
  readonly #parts: RunParts;
  readonly #parents: ParentTrees;
  readonly #trees: TreeBuilder;
  readonly #matcher = new TreeMatcher(localZone);
  readonly #packedMatcher: PackedMatcher;
  readonly #batches: FileBatches;
  readonly #largeFiles: LargeFileReader;
  readonly #farFiles: FarFiles;
  readonly #emptied: EmptiedSources;
  /** Directories that wait for their listing; the next one is the last. */
  readonly #frames: TreeFrame[] = [];
  /** Settles when the large file before is done. */
  #largeFile: Promise<void> = Promise.resolve();
  /** Something is stored besides directories that only lead to targets. */
  #holdsTarget = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { indexed, pipeline, report, context, walk } = parts;
    this.#farFiles = new FarFiles(walk.source, pipeline);
    this.#emptied = new EmptiedSources({ ...parts, paths: walk.source.paths });
    this.#parents = new ParentTrees(indexed, context);
    const { parentTime } = parts;
    this.#packedMatcher = new PackedMatcher({
      index: indexed.index,
      options: parts.options,
      zone: localZone,
      parentTime,
    });
    const parents = this.#parents;
    this.#trees = new TreeBuilder({ indexed, pipeline, report, parents });
    this.#batches = new FileBatches((files) => this.#sendFiles(files));
    const { polynomial } = indexed.repository.config;
    this.#largeFiles = new LargeFileReader(pipeline, polynomial, context.environment.clock);
  }

  /**
   * @param parentTree root tree of the parent snapshot
   * @returns the id of the new root tree, stored with all it refers to unless this is a dry run
   * @throws SOURCE_FAILED if no target could be read: the directories above them alone are no backup of anything
   */
  async run(parentTree: Uint8Array | undefined): Promise<Uint8Array> {
    const { walk, pipeline, report, context } = this.#parts;
    const { clock } = context.environment;
    let turnStart = clock.monotonicMs();
    if (!parentTree) pipeline.warmUp();
    this.#frames.push(new TreeFrame({ previousTree: parentTree }));
    for (;;) {
      throwIfAborted(context.signal);
      const listing = await walk.next();
      // An interrupt may have ended the listing: then that is no problem of the source.
      throwIfAborted(context.signal);
      if (!listing) break;
      await this.#takeListing(new TakenListing(listing));
      await pipeline.ready();
      await this.#farFiles.ready();
      if (clock.monotonicMs() - turnStart < turnMs) continue;
      report.progress();
      await clock.nextTurn();
      turnStart = clock.monotonicMs();
    }
    // The walk is ahead of reading and storing, which may take far longer.
    const ticker = clock.every(progressMs, () => report.progress());
    try {
      this.#batches.flush();
      await pipeline.idle();
      this.#trees.flush();
      await pipeline.finish();
    } finally {
      ticker.stop();
    }
    report.progress();
    const root = defined(this.#trees.root, 'the root tree is complete once nothing is on the way');
    if (this.#holdsTarget || toHex(root) === emptyTreeId) return root;
    throw new HoldfastError('SOURCE_FAILED', {
      message: 'nothing of what was to be backed up could be read: no snapshot was made',
    });
  }

  async #takeListing(listing: SourceListing): Promise<void> {
    const frame = defined(this.#frames.pop(), 'each listing has its directory');
    const { pipeline, report } = this.#parts;
    for (const problem of listing.problems) report.sourceProblem(problem);
    for (const path of listing.vanished) report.vanished(path);
    if (!listing.complete && frame.parent && !frame.wide) {
      // A directory that could not be listed is left out; its problem has been reported.
      this.#trees.settle(frame.parent, frame.slot, undefined);
      return;
    }
    if (frame.entry && !frame.entry.isImplied) this.#holdsTarget = true;
    // Packed entries have no attributes.
    for (const entry of listing.packed ? [] : listing.entries) {
      if (!areStorable(entry.extendedAttributes)) report.unstorableAttribute(entry.path);
    }
    const isEmpty = entryCount(listing) === 0 && !listing.rest && !frame.wide;
    if (isEmpty) await this.#emptied.look(frame);
    const tree = frame.wide ? undefined : await this.#previousOf(frame);
    const isOfLarge = tree !== undefined && !tree.whole && !isEmpty;
    if (listing.rest || frame.wide || isOfLarge) {
      await this.#takePart(frame, listing, tree);
      return;
    }
    let directories =
      (tree?.whole && this.#takePacked(frame, listing.packed, tree.whole)) ??
      (tree?.whole && this.#takeMatching(frame, listing, tree.whole));
    if (!directories) {
      // Something is to be stored: the threads come up while the rest is compared.
      pipeline.warmUp();
      directories = this.#takeEntries(frame, listing, this.#finderOf(frame, tree));
    }
    this.#enterLater(directories);
    this.#trees.release(frame);
  }

  async #previousOf({ previousTree }: TreeFrame): Promise<TreeBytes | undefined> {
    return previousTree && (await this.#parents.load(previousTree));
  }

  /** Has directories listed next, the first one first. */
  #enterLater(directories: readonly TreeFrame[]): void {
    for (let i = directories.length - 1; i >= 0; i--) {
      const directory = directories[i];
      if (directory) this.#frames.push(directory);
    }
  }

  /**
   * Takes a part of a directory that is listed in parts, or is compared with a very large tree.
   * @param previous what to compare with, for the first part
   */
  async #takePart(
    frame: TreeFrame,
    listing: SourceListing,
    previous: TreeBytes | undefined,
  ): Promise<void> {
    const id = frame.previousTree;
    const wide = frame.wide ?? this.#trees.widen(frame, previous && id && { id, tree: previous });
    wide.endsAlike = false;
    if (listing.complete) {
      const part: FramePart = { wide, number: wide.tree.addPart(), range: undefined };
      const below = new TreeFrame({
        parent: frame,
        ...(frame.entry ? { entry: frame.entry } : {}),
        part,
      });
      frame.pending++;
      const directories =
        this.#takeMatchingPart(below, part, listing) ??
        this.#takeEntries(below, listing, wide.previous);
      if (listing.rest) this.#frames.push(frame);
      else wide.endsAlike = wide.previous?.endsAsOurs() ?? false;
      this.#enterLater(directories);
      this.#trees.release(below);
      await wide.tree.ready();
    }
    if (!listing.rest) this.#trees.release(frame);
  }

  /**
   * Takes a directory that has no changes of its own, which most have not; undefined if it has some.
   * @returns the frames of the directories in it
   */
  #takeMatching(
    frame: TreeFrame,
    { entries }: SourceListing,
    stored: Uint8Array,
  ): TreeFrame[] | undefined {
    const matcher = this.#matcher;
    if (!matcher.begin(stored)) return undefined;
    const matched = this.#match(frame, entries);
    if (!matched || !matcher.atEnd()) return undefined;
    return this.#takeMatched(frame, entries, { bytes: stored, ...matched });
  }

  /** As `#takeMatching`, of a directory that is there in numbers. Some that it could take are left to the other. */
  #takePacked(
    frame: TreeFrame,
    packed: PackedEntries | undefined,
    stored: Uint8Array,
  ): TreeFrame[] | undefined {
    const { options, report } = this.#parts;
    if (!packed || options.withAtime || report.wantsItems) return undefined;
    const match = this.#packedMatcher.match(packed, stored);
    if (!match) return undefined;
    const subtrees = new Map<number, Uint8Array>();
    const directories = packed.directories.map(({ slot, entry }, i) => {
      const subtree = defined(match.subtrees[i], 'each directory has its tree');
      subtrees.set(slot, subtree);
      const node = nodeOf(entry, options);
      return this.#newFrame({
        parent: frame,
        slot,
        entry,
        node,
        previousNode: { ...node, subtree },
      });
    });
    if (match.fileCount > 0) this.#holdsTarget = true;
    report.counters.countFiles('unmodified', match.fileCount, match.fileBytes);
    frame.matched = { bytes: stored, subtrees };
    frame.pending += directories.length;
    return directories;
  }

  /** As `#takeMatching`, of a part that goes on where the one before ended. */
  #takeMatchingPart(
    frame: TreeFrame,
    part: FramePart,
    { entries }: SourceListing,
  ): TreeFrame[] | undefined {
    const cursor = part.wide.previous?.cursor;
    const last = entries.at(-1)?.name;
    if (!last || !cursor?.beginsAsOurs || !cursor.isSorted) return undefined;
    const bytes = cursor.peek(entries.length * matchedEntryBytes);
    this.#matcher.resume(bytes, 0, cursor.nodeCount === 0);
    const matched = this.#match(frame, entries);
    if (!matched) return undefined;
    const start = cursor.position;
    cursor.pass(this.#matcher.position, { nodeCount: entries.length, last });
    part.range = { start, end: cursor.position };
    return this.#takeMatched(frame, entries, { bytes: noBytes, ...matched });
  }

  /** The directories among entries that are as the matcher's next nodes; undefined if some are not. */
  #match(
    frame: TreeFrame,
    entries: readonly SourceEntry[],
  ): { directories: TreeFrame[]; subtrees: Map<number, Uint8Array> } | undefined {
    const { options, indexed, parentTime } = this.#parts;
    const matcher = this.#matcher;
    const directories: TreeFrame[] = [];
    const subtrees = new Map<number, Uint8Array>();
    for (const [slot, entry] of entries.entries()) {
      const node = nodeOf(entry, options);
      if (node.type === 'dir') {
        const subtree = matcher.takeDirectory(node);
        if (!subtree) return undefined;
        subtrees.set(slot, subtree);
        const previousNode = { ...node, subtree };
        directories.push(this.#newFrame({ parent: frame, slot, entry, node, previousNode }));
      } else if (node.type === 'file') {
        const content = matcher.takeFile(node);
        if (mayHideChange(node.ctime, parentTime)) return undefined;
        if (!content || !hasAllChunks(indexed.index, content)) return undefined;
      } else if (!matcher.takeOther(node)) return undefined;
    }
    return { directories, subtrees };
  }

  #takeMatched(
    frame: TreeFrame,
    entries: readonly SourceEntry[],
    matched: MatchedTree & { readonly directories: TreeFrame[] },
  ): TreeFrame[] {
    const { bytes, subtrees, directories } = matched;
    if (entries.length > directories.length) this.#holdsTarget = true;
    for (const entry of entries) this.#parts.report.unchanged(entry, frame);
    frame.matched = { bytes, subtrees };
    frame.pending += directories.length;
    return directories;
  }

  /** What finds the directory's nodes in the parent snapshot. */
  #finderOf(frame: TreeFrame, tree: TreeBytes | undefined): NodeFinder | undefined {
    const id = frame.previousTree;
    const previous = tree?.whole && id && this.#parents.decode(id, tree.whole);
    return previous && new NodeCursor(previous);
  }

  /** Takes the entries of a directory one by one. @returns the frames of the directories in it */
  #takeEntries(
    frame: TreeFrame,
    listing: SourceListing,
    previous: NodeFinder | undefined,
  ): TreeFrame[] {
    frame.nodes = Array.from<undefined>({ length: listing.entries.length });
    const directories: TreeFrame[] = [];
    listing.entries.forEach((entry, slot) => {
      const below = this.#takeEntry(entry, { frame, slot, previous: previous?.find(entry.name) });
      if (below) directories.push(below);
    });
    return directories;
  }

  /** Settles one entry, or sets it on its way. Returns the frame of a directory that is to be listed. */
  #takeEntry(entry: SourceEntry, place: Place): TreeFrame | undefined {
    const node = nodeOf(entry, this.#parts.options);
    const { frame, slot, previous } = place;
    if (node.type === 'dir') {
      frame.pending++;
      const previousNode = previous?.type === 'dir' ? previous : undefined;
      return this.#newFrame({ parent: frame, slot, entry, node, previousNode });
    }
    if (node.type === 'file') this.#takeFile(entry, node, place);
    else this.#takeAsIs(node, place);
    return undefined;
  }

  /** Takes what needs no reading. */
  #takeAsIs(node: TreeNode, { frame, slot }: Place): void {
    frame.nodes[slot] = node;
    this.#holdsTarget = true;
  }

  #newFrame(options: ConstructorParameters<typeof TreeFrame>[0]): TreeFrame {
    const frame = new TreeFrame(options);
    this.#parts.report.begin(frame);
    return frame;
  }

  #takeFile(entry: SourceEntry, node: NodeDraft, place: Place): void {
    const { frame, slot, previous } = place;
    const { indexed, report, options, parentTime } = this.#parts;
    if (previous?.content && isUnmodified(node, previous, { ...options, parentTime })) {
      if (hasAllChunks(indexed.index, previous.content)) {
        node.content = previous.content;
        node.sizeBytes = previous.sizeBytes;
        this.#takeAsIs(node, place);
        report.file({ entry, frame }, 'unmodified', { ...nothingAdded, sizeBytes: node.sizeBytes });
        return;
      }
      report.lost(entry.path);
    }
    frame.pending++;
    report.begin(entry);
    const file = { entry, path: entry.path, node, previous, frame, slot };
    if (this.#parts.walk.source.isFar?.(entry)) this.#queueFarFile(file);
    else if (entry.status.sizeBytes >= largeFileBytesMin) this.#queueLargeFile(file);
    else this.#batches.add(file);
  }

  #sendFiles(files: readonly QueuedFile[]): void {
    const { pipeline, report } = this.#parts;
    const last = files.at(-1);
    if (last) report.working(last.path);
    pipeline.spawn(async () => {
      const batch = encodeBatch(files);
      const transfer = [batch.paths.buffer, batch.stats.buffer, batch.identities.buffer];
      this.#takeFiles(files, await pipeline.send(batch, { transfer }));
    });
  }

  #takeFiles(files: readonly QueuedFile[], response: FilesResponse): void {
    this.#parts.report.counters.add('data', response.added);
    const extras = new Map(response.extras.map((extra) => [extra.index, extra]));
    let id = 0;
    files.forEach((file, i) => {
      const idEnd = id + (response.chunkCounts[i] ?? 0) * idSizeBytes;
      const content = response.ids.subarray(id, idEnd);
      id = idEnd;
      const { now, error } = extras.get(i) ?? {};
      if (error) return this.#dropFile(file, deserializeError(error));
      if (now) updateNode(file.node, now, this.#parts.options);
      file.node.content = content;
      file.node.sizeBytes = response.sizes[i] ?? 0;
      this.#finishFile(file, {
        changing: response.outcomes[i] === fileOutcome.changing,
        plainBytes: response.addedByFile[2 * i] ?? 0,
        storedBytes: response.addedByFile[2 * i + 1] ?? 0,
      });
    });
  }

  /** Large files are read one after the other, each by all workers. */
  #queueLargeFile(file: QueuedFile): void {
    const before = this.#largeFile;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#largeFile = promise;
    this.#readAlone(file, async (listener) => {
      await before;
      this.#parts.report.working(file.path);
      try {
        return await this.#largeFiles.read(file.entry, file.frame.entry?.status, listener);
      } finally {
        resolve();
      }
    });
  }

  /** Files of file systems that may stop answering are read by processes of the source. */
  #queueFarFile(file: QueuedFile): void {
    this.#readAlone(file, (listener) => {
      this.#parts.report.working(file.path);
      return this.#farFiles.read(listedFileOf(file), listener);
    });
  }

  /** Stores a file apart from others. @param read gives nothing for one that is to go with others after all */
  #readAlone(
    file: QueuedFile,
    read: (listener: FileListener) => Promise<SoleRead | undefined>,
  ): void {
    const { pipeline, report, options } = this.#parts;
    pipeline.spawn(async () => {
      let shownBytes = 0;
      const sizes = { plainBytes: 0, storedBytes: 0 };
      try {
        const stored = await read({
          bytes: (sizeBytes) => {
            shownBytes += sizeBytes;
            report.reading(sizeBytes);
          },
          added: (added) => {
            sizes.plainBytes += added.plainBytes;
            sizes.storedBytes += added.storedBytes;
            report.counters.add('data', added);
          },
        });
        if (!stored) return this.#sendFiles([file]);
        if (stored.now) updateNode(file.node, stored.now, options);
        file.node.content = stored.ids;
        file.node.sizeBytes = stored.sizeBytes;
        this.#finishFile(file, { changing: stored.changing, ...sizes });
      } catch (error) {
        // What failed may be a pack, whose error looks like one of a file.
        if (!isFileFailure(error) || pipeline.hasFailed) throw error;
        this.#dropFile(file, error);
      } finally {
        report.reading(-shownBytes);
      }
    });
  }

  #finishFile(
    file: QueuedFile,
    read: { readonly changing: boolean; readonly plainBytes: number; readonly storedBytes: number },
  ): void {
    const { node, previous } = file;
    const { report } = this.#parts;
    if (read.changing) {
      const message =
        'it changed while it was being read, three times over: the stored content may mix states';
      report.problem(file.path, new HoldfastError('SOURCE_FAILED', { message }), 'archival');
    }
    this.#holdsTarget = true;
    report.file(file, changeOf(node, previous), { ...read, sizeBytes: node.sizeBytes });
    this.#trees.settle(file.frame, file.slot, node);
  }

  #dropFile(file: QueuedFile, error: HoldfastError): void {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) this.#parts.report.vanished(file.path);
    else this.#parts.report.problem(file.path, error, 'archival');
    this.#trees.settle(file.frame, file.slot, undefined);
  }
}

/** Where an entry belongs, and what was there in the parent snapshot. */
interface Place {
  readonly frame: TreeFrame;
  readonly slot: number;
  readonly previous: TreeNode | undefined;
}

const nothingAdded = { plainBytes: 0, storedBytes: 0 };

function changeOf(node: TreeNode, previous: TreeNode | undefined): Change {
  if (!previous || previous.type !== node.type) return 'new';
  return equalNodes(node, previous) ? 'unmodified' : 'changed';
}
