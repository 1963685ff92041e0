import type { Transferable } from 'node:worker_threads';
import { idSizeBytes } from '../../repository/id.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { assert, defined } from '../../base/assert.ts';
import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import { deserializeError } from '../../base/serialized-errors.ts';
import { closeFile } from '../../platform/files.ts';
import { tryReadKind } from '../../platform/status.ts';
import { BatchFile, type FoundContent, keptBytesMin } from './batch-file.ts';
import { compareFiles, type FileToCompare, type RestorePool } from './comparison.ts';
import { privilegeBits } from './metadata.ts';
import type { RestoreParts } from './parts.ts';
import type { TargetDirectory } from './directories.ts';
import { createTemporary, discardFile } from './file-writer.ts';
import type { PackContent } from '../packs/pack-content.ts';
import type {
  FileTask,
  RestoreEvent,
  RestoreRequest,
  RestoreResponse,
  WriteResponse,
} from './messages.ts';
import { clearAttributes } from './metadata.ts';
import { attributeName, type PlannedFile } from './plan.ts';
import { isReadable, type PackRange, type WantedBlob, WantedBlobs } from './ranges.ts';
import { type TemporaryKind, temporaryName } from './temporary-name.ts';

/** Files of one message that finishes them or sets their metadata. */
const filesPerMessage = 256;

/**
 * Size of a read from a storage that is no folder of this machine: several are under way at once, and each waits in memory for a
 * thread.
 */
const distantReadSizeBytesMax = 8 << 20;

/** What a batch has besides its files. */
export interface BatchParts extends RestoreParts {
  readonly pool: RestorePool;
  /** Descriptors of the directories of all its files. */
  readonly fds: ReadonlyMap<TargetDirectory, number>;
  /** Takes the files of several names that are as they should be. */
  readonly finished: Set<PlannedFile>;
  /** Takes what is to be read back at the end. */
  readonly toVerify: FileToCompare[];
}

/** What a thread wrote of a range, and the files it was for. */
interface WrittenPart {
  readonly response: WriteResponse;
  readonly files: readonly BatchFile[];
}

/** Writes the content of one batch of planned files. */
export class Batch {
  readonly #parts: BatchParts;
  readonly #files: BatchFile[] = [];
  readonly #wanted: WantedBlobs;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#wanted = new WantedBlobs(parts.indexed.index);
  }

  async run(planned: readonly PlannedFile[]): Promise<void> {
    const { tally, context } = this.#parts;
    const compared = await this.#compareExisting(planned);
    throwIfAborted(context.signal);
    for (const file of planned) this.#addFile(file, compared.get(file));
    if (this.#parts.options.dryRun) {
      for (const file of this.#files) this.#settle(file);
      return;
    }
    const unchanged = this.#files.filter(({ state }) => state === 'placed');
    await this.#inMessages(unchanged, (tasks) => ({ type: 'metadata', tasks }));
    for (const file of unchanged) this.#settle(file);
    try {
      await this.#write();
    } finally {
      this.#discardUnfinished();
      this.#endUpdates();
      tally.endWriting();
    }
  }

  async #write(): Promise<void> {
    const { pool, context, tally } = this.#parts;
    const { backend } = this.#parts.indexed.repository;
    const isDistant = backend.localPath === undefined;
    const ranges = this.#wanted.ranges(isDistant ? distantReadSizeBytesMax : undefined);
    const readCount = isDistant ? backend.connectionCount : 2;
    this.#chooseModes(ranges);
    await this.#writeEmpty();
    await forEachConcurrent(ranges, pool.size + readCount, async (range) => {
      throwIfAborted(context.signal);
      await this.#writeRange(range);
      tally.progress();
    });
    const rest = this.#files.filter((file) => this.#isReady(file));
    await this.#inMessages(rest, (tasks) => ({ type: 'finish', tasks }));
    for (const file of rest) this.#place(file);
  }

  /** Compares what is there: existing files, and what an interrupted run left of large ones. */
  async #compareExisting(planned: readonly PlannedFile[]): Promise<Map<PlannedFile, FoundContent>> {
    const { pool, fds } = this.#parts;
    const result = new Map<PlannedFile, FoundContent>();
    const files: { readonly file: PlannedFile; readonly leftover?: TemporaryKind }[] = [];
    const candidates: FileToCompare[] = [];
    for (const file of planned) {
      const { directory, node, content } = file;
      if (file.isTrusted) {
        const compared = { matches: new Uint8Array(0), isWhole: true, canBeRead: true };
        result.set(file, { compared });
      } else if (file.canStay) {
        files.push({ file });
        candidates.push({ directory, name: node.name, content });
      } else {
        const leftover = this.#leftoverOf(file);
        if (!leftover) continue;
        files.push({ file, leftover });
        const name = temporaryName(node.name, directory.temporarySalt, leftover);
        candidates.push({ directory, name, content });
      }
    }
    const compared = await this.#tellLarge(files, () => compareFiles(pool, candidates, fds));
    files.forEach(({ file, leftover }, i) => {
      const found = defined(compared[i], 'each file is compared');
      // Whole under its temporary name is not yet in its place.
      if (leftover) result.set(file, { compared: { ...found, isWhole: false }, leftover });
      else result.set(file, { compared: found });
    });
    return result;
  }

  /** Names what takes long while `work` goes on. */
  async #tellLarge<T>(
    files: readonly { readonly file: PlannedFile }[],
    work: () => Promise<T>,
  ): Promise<T> {
    const { tally, pool } = this.#parts;
    const large = files
      .filter(({ file }) => file.node.sizeBytes > keptBytesMin)
      .slice(0, pool.size);
    for (const { file } of large) tally.atWork.add(file);
    tally.progress();
    try {
      return await work();
    } finally {
      for (const { file } of large) tally.atWork.delete(file);
    }
  }

  /** What an interrupted run left of a large file. */
  #leftoverOf({ directory, node, existing }: PlannedFile): TemporaryKind | undefined {
    if (existing !== 'none' || node.sizeBytes <= keptBytesMin) return undefined;
    if (this.#parts.options.dryRun || !directory.existed) return undefined;
    const fd = this.#fd(directory);
    const kinds = ['half', 'part'] as const;
    return kinds.find((kind) => {
      const name = temporaryName(node.name, directory.temporarySalt, kind);
      return tryReadKind({ directory: fd, name }) === 'file';
    });
  }

  #addFile(planned: PlannedFile, found: FoundContent | undefined): void {
    const { options } = this.#parts;
    const directory = options.dryRun ? -1 : this.#fd(planned.directory);
    const file = new BatchFile(planned, { file: this.#files.length, directory }, options);
    this.#files.push(file);
    if (found?.compared.isWhole) {
      file.wasRight = true;
      file.state = 'placed';
    } else this.#want(file, options.dryRun ? undefined : file.keep(found, options));
  }

  /** Asks for the blobs that are not there yet. */
  #want(file: BatchFile, kept: Uint8Array | undefined): void {
    const { indexed, tally } = this.#parts;
    const { content } = file.planned;
    let offset = 0;
    for (let i = 0; i * idSizeBytes < content.byteLength; i++) {
      const entry = indexed.index.find('data', content, i * idSizeBytes);
      if (entry < 0 || !isReadable(indexed.index, entry)) {
        const blob = toHex(content.subarray(i * idSizeBytes, (i + 1) * idSizeBytes));
        const code = entry < 0 ? 'BLOB_NOT_FOUND' : 'BLOB_DAMAGED';
        this.#fail(file, new HoldfastError(code, { details: { blob } }));
        return;
      }
      const sizeBytes = indexed.index.plainSizeOf(entry);
      if (kept?.[i] !== 1) {
        this.#wanted.add(entry, { file: file.task.file, offset });
        file.wantedBytes += sizeBytes;
      }
      offset += sizeBytes;
    }
    // The sum of the content counts: a recorded size that differs is no damage of the data.
    tally.bytesTotal += offset - file.task.sizeBytes;
    if (offset !== file.task.sizeBytes) file.task = { ...file.task, sizeBytes: offset };
  }

  /** Files whose blobs all come with one read are finished by the thread that writes them. */
  #chooseModes(ranges: readonly PackRange[]): void {
    ranges.forEach((range, number) => {
      for (const { targets } of range.blobs) {
        for (const target of targets) this.#files[target.file]?.ranges.add(number);
      }
    });
    for (const file of this.#files) {
      if (file.state !== 'open' || file.isContinued) continue;
      if (file.ranges.size <= 1) file.task = { ...file.task, mode: 'whole' };
      else this.#create(file);
    }
  }

  /** Makes a file that will be written by several messages. */
  #create(file: BatchFile): void {
    file.task = { ...file.task, mode: 'parts' };
    try {
      closeFile(createTemporary(file.task));
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#fail(file, error);
    }
  }

  /** Makes the files without content. */
  async #writeEmpty(): Promise<void> {
    const { pool } = this.#parts;
    const empty = this.#files.filter(
      ({ state, task, ranges }) => state === 'open' && task.mode === 'whole' && ranges.size === 0,
    );
    await forEachConcurrent(chunksOf(empty, filesPerMessage), pool.size, async (files) => {
      const tasks = files.map((file) => file.task);
      const content = { kind: 'bytes', bytes: new Uint8Array(0), start: 0 } as const;
      const response = await pool.run({ type: 'part', content, tasks, blobs: [] });
      this.#takeFailures(written(response));
      for (const file of files) this.#place(file);
    });
  }

  async #writeRange(range: PackRange): Promise<void> {
    const written = (await this.#writeFromFile(range)) ?? (await this.#writeFromStorage(range));
    if (!written) {
      for (const file of this.#wholeFilesOf(range.blobs)) this.#create(file);
      for (const blob of range.blobs) await this.#writeElsewhere(blob);
      return;
    }
    this.#takeFailures(written.response);
    const damaged = new Set(written.response.damagedEntries);
    const missing = range.blobs.filter(({ entry }) => damaged.has(entry));
    // These were made, and left open for the blobs that come from elsewhere: finished with the rest.
    for (const file of this.#wholeFilesOf(missing)) file.task = { ...file.task, mode: 'parts' };
    for (const blob of missing) await this.#writeElsewhere(blob);
    for (const file of written.files) if (file.task.mode === 'whole') this.#place(file);
  }

  /** Has a thread read the range itself; undefined if it cannot. */
  #writeFromFile(range: PackRange): Promise<WrittenPart | undefined> {
    const { repository, index } = this.#parts.indexed;
    const path = repository.packPath(toHex(index.packId(range.pack)));
    if (path === undefined) return Promise.resolve(undefined);
    return this.#writePart(range, { kind: 'file', path, range });
  }

  /** Reads the range from the storage; undefined if it cannot be had from there. */
  async #writeFromStorage(range: PackRange): Promise<WrittenPart | undefined> {
    const bytes = await this.#readRange(range);
    return bytes && this.#writePart(range, { kind: 'bytes', bytes, start: range.start });
  }

  async #writePart(range: PackRange, content: PackContent): Promise<WrittenPart | undefined> {
    const taskOf = new Map<BatchFile, number>();
    const tasks: FileTask[] = [];
    const blobs = range.blobs.map(({ entry, targets }) => ({
      entry,
      targets: targets.flatMap(({ file, offset }) => {
        const batchFile = this.#files[file];
        if (!this.#isReady(batchFile)) return [];
        const task = taskOf.get(batchFile) ?? tasks.push(batchFile.task) - 1;
        taskOf.set(batchFile, task);
        return [{ task, offset }];
      }),
    }));
    const request = { type: 'part', content, tasks, blobs } as const;
    const transfer = content.kind === 'bytes' ? [content.bytes.buffer] : [];
    // Without the signal: the files must not be let go while a thread still writes.
    const response = await this.#runWriting(request, tasks, transfer);
    if (response.type === 'unread') return undefined;
    return { response: written(response), files: [...taskOf.keys()] };
  }

  /** True for a file that may be written now. */
  #isReady(file: BatchFile | undefined): file is BatchFile {
    if (file?.state !== 'open') return false;
    try {
      file.prepare();
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#fail(file, error);
      return false;
    }
  }

  /** Has a thread write into `tasks`; if it does not come to an end, nobody knows what it wrote. */
  async #runWriting(
    request: RestoreRequest,
    tasks: readonly FileTask[],
    transfer: readonly Transferable[] = [],
  ): Promise<RestoreResponse> {
    const { pool, tally } = this.#parts;
    const [first] = tasks;
    const atWork = first && this.#file(first.file).planned;
    const onEvent = ({ bytesWritten }: RestoreEvent): void => {
      tally.write(bytesWritten);
      tally.progress();
    };
    if (atWork) tally.atWork.add(atWork);
    try {
      const response = await pool.run(request, transfer, { onEvent });
      if (response.type === 'written') tally.write(response.bytesWritten);
      return response;
    } catch (error) {
      for (const { file } of tasks) this.#file(file).isChanged = true;
      throw error;
    } finally {
      if (atWork) tally.atWork.delete(atWork);
    }
  }

  #file(number: number): BatchFile {
    return defined(this.#files[number], 'a message is about a file of the batch');
  }

  #wholeFilesOf(blobs: readonly WantedBlob[]): Set<BatchFile> {
    const files = new Set<BatchFile>();
    for (const { targets } of blobs) {
      for (const target of targets) {
        const file = this.#files[target.file];
        if (file?.state === 'open' && file.task.mode === 'whole') files.add(file);
      }
    }
    return files;
  }

  /** The bytes of a range; undefined if they cannot be had from there. */
  async #readRange(range: PackRange): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { indexed, context, tally } = this.#parts;
    const name = toHex(indexed.index.packId(range.pack));
    const { signal } = context;
    try {
      const { backend } = indexed.repository;
      return await backend.get({ type: 'pack', name }, range, { signal });
    } catch (error) {
      if (endsWork(error)) throw error;
      tally.note(`pack ${name} cannot be read; trying other copies of its blobs`);
      return undefined;
    }
  }

  /** Writes a blob from any other copy of it, or fails the files that need it. */
  async #writeElsewhere({ entry, targets }: WantedBlob): Promise<void> {
    const { indexed, context } = this.#parts;
    let plain: Uint8Array<ArrayBuffer>;
    try {
      const id = indexed.index.idOf(entry);
      plain = await indexed.loadBlob('data', id, { signal: context.signal });
      // Every offset behind it was counted with the size that the index told first.
      if (plain.byteLength !== indexed.index.plainSizeOf(entry)) {
        throw new HoldfastError('INDEX_DAMAGED', { details: { blob: toHex(id) } });
      }
    } catch (error) {
      if (endsWork(error)) throw error;
      for (const { file } of targets) this.#fail(this.#files[file], error);
      return;
    }
    for (const { file, offset } of targets) {
      const batchFile = this.#files[file];
      if (!this.#isReady(batchFile)) continue;
      const { task } = batchFile;
      const request = { type: 'plain', bytes: plain, task, offset } as const;
      this.#takeFailures(written(await this.#runWriting(request, [task])));
    }
  }

  async #inMessages(
    files: readonly BatchFile[],
    message: (tasks: readonly FileTask[]) => RestoreRequest,
  ): Promise<void> {
    const { pool } = this.#parts;
    const tasks = files.map((file) => file.task);
    await forEachConcurrent(chunksOf(tasks, filesPerMessage), pool.size, async (part) => {
      this.#takeFailures(written(await this.#runWriting(message(part), part)));
    });
  }

  #takeFailures(response: WriteResponse): void {
    for (const file of response.changed) this.#file(file).isChanged = true;
    for (const { file, fatal, error } of response.failures) {
      const batchFile = this.#files[file];
      if (fatal) this.#fail(batchFile, deserializeError(error));
      else this.#report(batchFile, deserializeError(error));
    }
  }

  #place(file: BatchFile): void {
    if (file.state !== 'open') return;
    file.state = 'placed';
    this.#settle(file);
  }

  /** Counts a file that is as it should be. */
  #settle(file: BatchFile): void {
    if (file.state === 'failed') return;
    const { planned, task, wantedBytes, wasRight } = file;
    const { tally, options } = this.#parts;
    const { directory, node, content } = planned;
    if (node.links > 1) this.#parts.finished.add(planned);
    // Only what is needed: it is a list of all files.
    if (options.verify) this.#parts.toVerify.push({ directory, name: node.name, content });
    this.#clearChosenAttributes(file);
    const isPrivileged = (task.metadata.mode & privilegeBits) !== 0;
    if (isPrivileged && !file.isIncomplete) tally.privileged(directory.pathOf(node.name));
    if (wasRight) tally.skipFile(task.sizeBytes);
    else tally.restoreFile(wantedBytes, task.sizeBytes - wantedBytes);
    if (!tally.wantsItems) return;
    const action = wasRight ? 'unchanged' : planned.existing === 'none' ? 'restored' : 'updated';
    tally.item(action, planned.directory.pathOf(planned.node.name), task.sizeBytes);
  }

  #clearChosenAttributes({ planned, task }: BatchFile): void {
    const { selectAttribute, dryRun } = this.#parts.options;
    if (!selectAttribute || dryRun) return;
    if (planned.existing === 'none' && !planned.directory.existed) return;
    const isCleared = (name: Uint8Array): boolean => selectAttribute(attributeName(name));
    try {
      const keep = task.metadata.attributes;
      clearAttributes({ directory: task.directory, name: task.name }, { keep, isCleared });
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#parts.tally.problem(planned.directory.pathOf(planned.node.name), error);
    }
  }

  #fail(file: BatchFile | undefined, error: unknown): void {
    if (!file || file.state === 'failed') return;
    file.state = 'failed';
    file.failure = error;
    // Threads may still write into it.
    if (file.task.mode === 'update') return;
    if (!this.#parts.options.dryRun) discardFile(file.task);
    this.#report(file, error);
  }

  #report(file: BatchFile | undefined, error: unknown): void {
    const failed = defined(file, 'a failure belongs to a file of the batch');
    failed.isIncomplete = true;
    const { planned } = failed;
    this.#parts.tally.problem(planned.directory.pathOf(planned.node.name), error);
  }

  /** After an interruption: keeps only what the next run can go on with. */
  #discardUnfinished(): void {
    for (const { state, task } of this.#files) {
      if (state === 'open' && task.sizeBytes <= keptBytesMin) discardFile(task);
    }
  }

  /** Says what became of existing files that could not be updated. */
  #endUpdates(): void {
    for (const file of this.#files) {
      const error = file.endUpdate();
      if (error !== undefined) this.#report(file, error);
    }
  }

  #fd(directory: TargetDirectory): number {
    return defined(this.#parts.fds.get(directory), 'the directory of a planned file is open');
  }
}

function written(response: RestoreResponse): WriteResponse {
  assert(response.type === 'written', 'writing is answered with what was written');
  return response;
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) {
    chunks.push(items.slice(start, start + size));
  }
  return chunks;
}
