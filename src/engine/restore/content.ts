import { availableParallelism } from 'node:os';
import { isHoldfastError } from '../../base/errors.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import { closeFile } from '../../platform/files.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { EngineContext } from '../context.ts';
import { Batch } from './batch.ts';
import type { DirectoryOpener, TargetDirectory } from './directories.ts';
import type { RestoreRequest, RestoreResponse, RestoreWorkerData } from './messages.ts';
import type { RestoreOptions } from './options.ts';
import type { PlannedFile } from './plan.ts';
import type { RestoreTally } from './tally.ts';

/** Limits of one batch: what is planned before it is written. Bounds memory and open directories. */
const batchFilesMax = 8_000;
const batchDirectoriesMax = 400;
const batchBlobsMax = 200_000;
const idSizeBytes = 32;

const workerModule = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** What writing works with. */
export interface ContentParts {
  readonly indexed: IndexedRepository;
  readonly opener: DirectoryOpener;
  readonly tally: RestoreTally;
  readonly options: RestoreOptions;
  readonly context: EngineContext;
}

/** Writes the content of files, in batches, each pack read once a batch. */
export class ContentWriter {
  readonly #parts: ContentParts;
  readonly #pool: WorkerPool<RestoreRequest, RestoreResponse>;
  #planned: PlannedFile[] = [];
  #directories = new Set<TargetDirectory>();
  #blobCount = 0;
  #running: Promise<void> = Promise.resolve();
  /** Files that are as they should be now: what further names may be linked to. */
  readonly finished: Set<PlannedFile> = new Set<PlannedFile>();

  private constructor(parts: ContentParts, pool: WorkerPool<RestoreRequest, RestoreResponse>) {
    this.#parts = parts;
    this.#pool = pool;
  }

  static async start(parts: ContentParts): Promise<ContentWriter> {
    const { indexed, options, context } = parts;
    const workerData: RestoreWorkerData = {
      index: indexed.index.share(),
      masterKey: indexed.repository.masterKey,
    };
    const size = options.workerCount ?? Math.max(2, availableParallelism());
    const { environment } = context;
    const pool = await WorkerPool.start<RestoreRequest, RestoreResponse>(workerModule, {
      size,
      workerData,
      environment,
    });
    return new ContentWriter(parts, pool);
  }

  get isFull(): boolean {
    return (
      this.#planned.length >= batchFilesMax ||
      this.#directories.size >= batchDirectoriesMax ||
      this.#blobCount >= batchBlobsMax
    );
  }

  add(file: PlannedFile): void {
    this.#planned.push(file);
    this.#directories.add(file.directory);
    this.#blobCount += file.content.byteLength / idSizeBytes;
  }

  /** Stops the threads, and resolves once nothing is written any more. */
  async close(): Promise<void> {
    await this.#pool.close();
    await Promise.allSettled([this.#running]);
  }

  /**
   * Starts to write what was planned, once the batch before is written: the next one is planned meanwhile.
   * @throws what ended the batch before
   */
  async flush(): Promise<void> {
    const planned = this.#planned;
    const directories = this.#directories;
    this.#planned = [];
    this.#directories = new Set();
    this.#blobCount = 0;
    await this.#running;
    if (planned.length === 0) return;
    this.#running = this.#write(planned, directories);
    // Looked at by the next flush; until then it must not count as unhandled.
    this.#running.catch(() => {});
  }

  /** Writes all that was planned. */
  async drain(): Promise<void> {
    await this.flush();
    await this.#running;
  }

  async #write(
    planned: readonly PlannedFile[],
    directories: ReadonlySet<TargetDirectory>,
  ): Promise<void> {
    const fds = new Map<TargetDirectory, number>();
    try {
      for (const directory of directories) this.#openDirectory(directory, fds);
      const open = planned.filter(({ directory }) => fds.has(directory));
      await new Batch(this.#parts, this.#pool, { fds, finished: this.finished }).run(open);
    } finally {
      for (const fd of fds.values()) closeFile(fd);
    }
  }

  /** Whether each file holds exactly what it should. */
  async compare(files: readonly PlannedFile[]): Promise<boolean[]> {
    const fds = new Map<TargetDirectory, number>();
    try {
      for (const { directory } of files) {
        if (!fds.has(directory)) this.#openDirectory(directory, fds);
      }
      const shared = { fds, finished: this.finished };
      return await new Batch(this.#parts, this.#pool, shared).areRight(files);
    } finally {
      for (const fd of fds.values()) closeFile(fd);
    }
  }

  #openDirectory(directory: TargetDirectory, fds: Map<TargetDirectory, number>): void {
    try {
      fds.set(directory, this.#parts.opener.openOwn(directory));
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.#parts.tally.problem(directory.pathOf(), error);
    }
  }
}
