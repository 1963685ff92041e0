import { throwIfAborted } from '../../base/abort.ts';
import { assert, defined } from '../../base/assert.ts';
import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { deserializeError } from '../../kernels/worker-errors.ts';
import type { WorkerPool } from '../../kernels/worker-pool.ts';
import { tryReadStatus } from '../../platform/status.ts';
import { plainSizeOf } from './compare.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { ContentParts } from './content.ts';
import type { TargetDirectory } from './directories.ts';
import { discardFile } from './file-writer.ts';
import type {
  CompareFiles,
  FileTask,
  RestoreRequest,
  RestoreResponse,
  WriteResponse,
} from './messages.ts';
import { metadataOf, type PlannedFile } from './plan.ts';
import { type PackRange, type WantedBlob, WantedBlobs } from './ranges.ts';
import { temporaryName } from './temporary-name.ts';

/** Existing files up to this size are written anew beside the old one; larger ones are updated in place. */
const replaceBytesMax = 64 << 20;
/** Files of one message that compares, finishes or sets metadata. */
const filesPerMessage = 256;
const idSizeBytes = 32;
/** Files up to this size may be one blob: those are written in one go, and replace a leftover. */
const chunkedBytesMin = 512 << 10;

type Pool = WorkerPool<RestoreRequest, RestoreResponse>;

interface BatchFile {
  readonly planned: PlannedFile;
  task: FileTask;
  /** Ranges that hold blobs of it. */
  readonly ranges: Set<number>;
  /** Bytes that are to be written; the rest was found right. */
  wantedBytes: number;
  /** The worker that wrote it has put it in place. */
  isPlaced: boolean;
  failed: boolean;
}

/** How an existing file, or one that an interrupted run left, agrees with the snapshot. */
interface Comparison {
  readonly matches: Uint8Array;
  readonly isWhole: boolean;
}

/** Writes the content of one batch of planned files. */
export class Batch {
  readonly #parts: ContentParts;
  readonly #pool: Pool;
  readonly #fds: ReadonlyMap<TargetDirectory, number>;
  readonly #finished: Set<PlannedFile>;
  readonly #files: BatchFile[] = [];
  readonly #wanted: WantedBlobs;

  constructor(
    parts: ContentParts,
    pool: Pool,
    shared: {
      readonly fds: ReadonlyMap<TargetDirectory, number>;
      readonly finished: Set<PlannedFile>;
    },
  ) {
    this.#parts = parts;
    this.#pool = pool;
    this.#fds = shared.fds;
    this.#finished = shared.finished;
    this.#wanted = new WantedBlobs(parts.indexed.index);
  }

  async run(planned: readonly PlannedFile[]): Promise<void> {
    const compared = await this.#compareExisting(planned);
    const unchanged: BatchFile[] = [];
    for (const file of planned) {
      const added = this.#addFile(file, compared.get(file));
      if (added) unchanged.push(added);
    }
    await this.#inMessages(unchanged, (tasks) => ({ type: 'metadata', tasks }));
    for (const file of unchanged) this.#settle(file);
    const ranges = this.#wanted.ranges();
    this.#markWhole(ranges);
    await this.#writeEmpty();
    await forEachConcurrent(ranges, this.#pool.size + 2, async (range) => {
      throwIfAborted(this.#parts.context.signal);
      await this.#writeRange(range);
      this.#parts.tally.progress();
    });
    const rest = this.#files.filter((file) => !file.isPlaced && !file.failed);
    await this.#inMessages(rest, (tasks) => ({ type: 'finish', tasks }));
    for (const file of rest) this.#settle(file);
  }

  /** Whether each file holds exactly what it should. */
  async areRight(files: readonly PlannedFile[]): Promise<boolean[]> {
    const placed = files.filter((file) => this.#fds.has(file.directory));
    const compared = await this.#compareExisting(
      placed.map((file) => ({ ...file, existing: 'regular', isTrusted: false })),
    );
    const right = new Set<TreeNode>();
    for (const [file, { isWhole }] of compared) if (isWhole) right.add(file.node);
    return files.map((file) => right.has(file.node));
  }

  /** Compares what is there: existing files, and what an interrupted run left of large ones. */
  async #compareExisting(planned: readonly PlannedFile[]): Promise<Map<PlannedFile, Comparison>> {
    const result = new Map<PlannedFile, Comparison>();
    const candidates: { file: PlannedFile; name: Uint8Array }[] = [];
    for (const file of planned) {
      const { name } = file.node;
      if (file.isTrusted) {
        result.set(file, { matches: new Uint8Array(0), isWhole: true });
      } else if (file.existing !== 'none') candidates.push({ file, name });
      else if (file.node.sizeBytes > replaceBytesMax && this.#hasPartial(file)) {
        candidates.push({ file, name: temporaryName(name) });
      }
    }
    await forEachConcurrent(
      chunksOf(candidates, filesPerMessage),
      this.#pool.size,
      async (part) => {
        const files = part.map(({ file, name }) => this.#comparison(file, name));
        const response = await this.#pool.run({ type: 'compare', files });
        assert(response.type === 'compared', 'a comparison is answered by one');
        part.forEach(({ file, name }, i) => {
          const matches = defined(response.matches[i], 'each file is compared');
          const isFinal = name === file.node.name;
          const count = file.content.byteLength / idSizeBytes;
          const isRight = matches.length === count && matches.every((match) => match === 1);
          const isWhole = isFinal && isRight && response.sizesMatch[i] === true;
          result.set(file, { matches, isWhole });
        });
      },
    );
    return result;
  }

  #comparison(file: PlannedFile, name: Uint8Array): CompareFiles['files'][number] {
    const { sizeBytes } = file.node;
    return { directory: this.#fd(file), name, sizeBytes, content: file.content };
  }

  #hasPartial(file: PlannedFile): boolean {
    return (
      tryReadStatus({ directory: this.#fd(file), name: temporaryName(file.node.name) })?.kind ===
      'file'
    );
  }

  /** Takes a file into the batch. Returns it if its content is right already. */
  #addFile(planned: PlannedFile, compared: Comparison | undefined): BatchFile | undefined {
    const isLarge = planned.node.sizeBytes > replaceBytesMax;
    const inPlace = isLarge && planned.existing === 'regular';
    const metadata = metadataOf(
      planned.node,
      this.#parts.options,
      planned.existing !== 'none' || planned.directory.existed,
    );
    const task: FileTask = {
      file: this.#files.length,
      directory: this.#fd(planned),
      name: planned.node.name,
      sizeBytes: planned.node.sizeBytes,
      mode: inPlace ? 'in-place' : 'replace',
      sparse: this.#parts.options.sparse === true && !inPlace,
      isWhole: false,
      metadata,
    };
    const file = {
      planned,
      task,
      ranges: new Set<number>(),
      wantedBytes: 0,
      isPlaced: false,
      failed: false,
    };
    this.#files.push(file);
    if (compared?.isWhole) {
      file.isPlaced = true;
      return file;
    }
    const keepsParts = isLarge && (inPlace || planned.existing === 'none');
    const matches = keepsParts ? compared?.matches : undefined;
    if (!matches?.includes(1)) this.#discardPartial(task);
    this.#want(file, matches);
    return undefined;
  }

  /** Removes what an interrupted run left under the temporary name, before anything is added to it. */
  #discardPartial(task: FileTask): void {
    if (task.sizeBytes > chunkedBytesMin) discardFile(task);
  }

  #want(file: BatchFile, matches: Uint8Array | undefined): void {
    const { index } = this.#parts.indexed;
    const { content } = file.planned;
    let offset = 0;
    for (let i = 0; i * idSizeBytes < content.byteLength; i++) {
      const entry = index.find('data', content, i * idSizeBytes);
      if (entry < 0) {
        const blob = toHex(content.subarray(i * idSizeBytes, (i + 1) * idSizeBytes));
        this.#fail(file, new HoldfastError('BLOB_NOT_FOUND', { details: { blob } }));
        return;
      }
      if (matches?.[i] !== 1) {
        this.#wanted.add(entry, { file: file.task.file, offset });
        file.wantedBytes += plainSizeOf(index, entry);
      }
      offset += plainSizeOf(index, entry);
    }
    if (offset === file.task.sizeBytes) return;
    // The sum of the content counts: a recorded size that differs is no damage of the data.
    file.task = { ...file.task, sizeBytes: offset };
  }

  /** Files whose blobs all come with one read are finished by the worker that writes them. */
  #markWhole(ranges: readonly PackRange[]): void {
    ranges.forEach((range, number) => {
      for (const { targets } of range.blobs) {
        for (const target of targets) this.#files[target.file]?.ranges.add(number);
      }
    });
    for (const file of this.#files) {
      const isWhole = file.ranges.size <= 1 && file.task.mode === 'replace' && !file.isPlaced;
      const isComplete = file.wantedBytes === file.task.sizeBytes;
      if (isWhole && isComplete) file.task = { ...file.task, isWhole: true };
    }
  }

  /** Makes the files without content. */
  async #writeEmpty(): Promise<void> {
    const empty = this.#files.filter(
      (file) => !file.failed && !file.isPlaced && file.task.isWhole && file.ranges.size === 0,
    );
    await forEachConcurrent(chunksOf(empty, filesPerMessage), this.#pool.size, async (files) => {
      const tasks = files.map((file) => file.task);
      const bytes = new Uint8Array(0);
      const response = await this.#pool.run({ type: 'part', bytes, start: 0, tasks, blobs: [] });
      this.#takeFailures(written(response));
      for (const file of files) this.#place(file);
    });
  }

  async #writeRange(range: PackRange): Promise<void> {
    const bytes = await this.#readRange(range);
    if (!bytes) {
      for (const blob of range.blobs) await this.#writeElsewhere(blob);
      return;
    }
    const tasks: FileTask[] = [];
    const taskOf = new Map<number, number>();
    const blobs = range.blobs.map(({ entry, targets }) => ({
      entry,
      targets: targets.flatMap(({ file, offset }) => {
        const batchFile = this.#files[file];
        if (!batchFile || batchFile.failed) return [];
        const task = taskOf.get(file) ?? tasks.push(batchFile.task) - 1;
        taskOf.set(file, task);
        return [{ task, offset }];
      }),
    }));
    const { start } = range;
    const { signal } = this.#parts.context;
    const request = { type: 'part', bytes, start, tasks, blobs } as const;
    const response = written(await this.#pool.run(request, [bytes.buffer], { signal }));
    this.#takeFailures(response);
    const damaged = new Set(response.damagedEntries);
    const waiting = new Set<number>();
    for (const blob of range.blobs) {
      if (!damaged.has(blob.entry)) continue;
      for (const { file } of blob.targets) waiting.add(file);
      await this.#writeElsewhere(blob);
    }
    for (const file of taskOf.keys()) {
      const batchFile = this.#files[file];
      if (!batchFile?.task.isWhole) continue;
      // The worker left it open for the blob that came from elsewhere: it is finished with the rest.
      if (waiting.has(file)) batchFile.task = { ...batchFile.task, isWhole: false };
      else this.#place(batchFile);
    }
  }

  /** The bytes of a range; undefined if they cannot be had from there. */
  async #readRange(range: PackRange): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { indexed, context } = this.#parts;
    const name = toHex(indexed.index.packId(range.pack));
    const { signal } = context;
    try {
      const { backend } = indexed.repository;
      return await backend.get({ type: 'pack', name }, range, { signal });
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      this.#parts.tally.note(`pack ${name} cannot be read; trying other copies of its blobs`);
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
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      for (const { file } of targets) this.#fail(this.#files[file], error);
      return;
    }
    for (const { file, offset } of targets) {
      const batchFile = this.#files[file];
      if (!batchFile || batchFile.failed) continue;
      batchFile.task = { ...batchFile.task, isWhole: false };
      const request = { type: 'plain', bytes: plain, task: batchFile.task, offset } as const;
      this.#takeFailures(written(await this.#pool.run(request)));
    }
  }

  async #inMessages(
    files: readonly BatchFile[],
    message: (tasks: readonly FileTask[]) => RestoreRequest,
  ): Promise<void> {
    const tasks = files.map((file) => file.task);
    await forEachConcurrent(chunksOf(tasks, filesPerMessage), this.#pool.size, async (part) => {
      this.#takeFailures(written(await this.#pool.run(message(part))));
    });
  }

  #takeFailures(response: WriteResponse): void {
    for (const { file, fatal, error } of response.failures) {
      const batchFile = this.#files[file];
      if (fatal) this.#fail(batchFile, deserializeError(error));
      else this.#report(batchFile, deserializeError(error));
    }
  }

  #place(file: BatchFile): void {
    if (file.failed) return;
    file.isPlaced = true;
    this.#settle(file);
  }

  #settle(file: BatchFile): void {
    if (file.failed) return;
    const { planned, task, wantedBytes } = file;
    const { tally } = this.#parts;
    // Only these are asked for later; for all files it would be a list of everything.
    if (planned.node.links > 1 || this.#parts.options.verify) this.#finished.add(planned);
    const skippedBytes = task.sizeBytes - wantedBytes;
    const isSkipped = wantedBytes === 0 && planned.existing !== 'none';
    if (isSkipped) tally.filesSkipped++;
    tally.filesRestored++;
    tally.bytesRestored += wantedBytes;
    tally.bytesSkipped += skippedBytes;
    if (!tally.wantsItems) return;
    const action = isSkipped ? 'unchanged' : planned.existing === 'none' ? 'restored' : 'updated';
    tally.item(action, planned.directory.pathOf(planned.node.name), task.sizeBytes);
  }

  #fail(file: BatchFile | undefined, error: HoldfastError): void {
    if (!file || file.failed) return;
    file.failed = true;
    discardFile(file.task);
    this.#report(file, error);
  }

  #report(file: BatchFile | undefined, error: HoldfastError): void {
    const { planned } = defined(file, 'a failure belongs to a file of the batch');
    this.#parts.tally.problem(planned.directory.pathOf(planned.node.name), error);
  }

  #fd(file: PlannedFile): number {
    return defined(this.#fds.get(file.directory), 'the directory of a planned file is open');
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
