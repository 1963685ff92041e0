import { usefulThreadCount, workerModule } from '../../base/worker-module.ts';
import { idSizeBytes } from '../../repository/id.ts';
import { endsWork } from '../../base/errors.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import { Batch } from './batch.ts';
import { compareFiles, type FileToCompare, type RestorePool } from './comparison.ts';
import type { TargetDirectory } from './directories.ts';
import type {
  ComparedFile,
  RestoreEvent,
  RestoreRequest,
  RestoreResponse,
  RestoreWorkerData,
} from './messages.ts';
import type { RestoreParts } from './parts.ts';
import type { PlannedFile } from './plan.ts';
import { StopFlag } from './stop-flag.ts';

/** Limits of one batch: what is planned before it is written. Bounds memory and open directories. */
const batchFilesMax = 8_000;
const batchDirectoriesMax = 400;
const batchBlobsMax = 200_000;

const moduleAddress = workerModule('./worker.ts', import.meta.url);

/** Writes the content of files, in batches, each pack read once a batch. In a dry run it only compares. */
export class ContentWriter {
  readonly #parts: RestoreParts;
  /** Comes up while the first files are planned. */
  readonly #starting: Promise<RestorePool>;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new StopFlag();
  readonly #onAbort = (): void => this.#stop.set();
  #planned: PlannedFile[] = [];
  #directories = new Set<TargetDirectory>();
  #blobCount = 0;
  #running: Promise<void> = Promise.resolve();
  /** Descriptors of a batch that failed: threads may use them until the pool is closed. */
  readonly #abandoned: number[] = [];
  /** Files that are as they should be now: what further names may be linked to. */
  readonly finished: Set<PlannedFile> = new Set<PlannedFile>();
  /** Files to read back at the end. */
  readonly toVerify: FileToCompare[] = [];

  constructor(parts: RestoreParts) {
    const { indexed, options, context } = parts;
    this.#parts = parts;
    const workerData: RestoreWorkerData = {
      index: indexed.index.share(),
      masterKey: indexed.repository.masterKey,
      stop: this.#stop.words,
    };
    this.#signal = context.signal;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.#onAbort();
    const size = options.workerCount ?? usefulThreadCount();
    const { environment } = context;
    this.#starting = WorkerPool.start<RestoreRequest, RestoreResponse, RestoreEvent>(
      moduleAddress,
      {
        size,
        workerData,
        environment,
      },
    );
    // Its failure is met where the pool is needed first.
    this.#starting.catch(() => {});
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
    const [pool] = await Promise.allSettled([this.#starting]);
    if (pool.status === 'fulfilled') await pool.value.close();
    await Promise.allSettled([this.#running]);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    for (const fd of this.#abandoned.splice(0)) this.#parts.opener.release(fd);
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
    this.#running = this.#withDirectories(directories, async (fds) => {
      const { finished, toVerify } = this;
      const pool = await this.#starting;
      const isReachable = ({ directory }: PlannedFile): boolean =>
        fds.has(directory) || !directory.isThere;
      const batch = new Batch({ ...this.#parts, pool, fds, finished, toVerify });
      await batch.run(planned.filter(isReachable));
    });
    // Looked at by the next flush; until then it must not count as unhandled.
    this.#running.catch(() => {});
  }

  /** Writes all that was planned. */
  async drain(): Promise<void> {
    await this.flush();
    await this.#running;
  }

  /**
   * Compares restored files with what they should hold.
   * @returns in the order of `files`, undefined for those whose directory cannot be opened
   */
  async compare(files: readonly FileToCompare[]): Promise<(ComparedFile | undefined)[]> {
    const directories = new Set(files.map(({ directory }) => directory));
    const result = new Map<FileToCompare, ComparedFile>();
    await this.#withDirectories(directories, async (fds) => {
      const reachable = files.filter(({ directory }) => fds.has(directory));
      const compared = await compareFiles(await this.#starting, reachable, fds);
      for (const [i, file] of reachable.entries()) {
        const found = compared[i];
        if (found) result.set(file, found);
      }
    });
    return files.map((file) => result.get(file));
  }

  async #withDirectories(
    directories: ReadonlySet<TargetDirectory>,
    work: (fds: ReadonlyMap<TargetDirectory, number>) => Promise<void>,
  ): Promise<void> {
    const fds = new Map<TargetDirectory, number>();
    let isDone = false;
    try {
      for (const directory of directories) this.#openDirectory(directory, fds);
      await work(fds);
      isDone = true;
    } finally {
      if (isDone) for (const fd of fds.values()) this.#parts.opener.release(fd);
      else this.#abandoned.push(...fds.values());
    }
  }

  #openDirectory(directory: TargetDirectory, fds: Map<TargetDirectory, number>): void {
    // A dry run makes none.
    if (!directory.isThere) return;
    try {
      fds.set(directory, this.#parts.opener.openOwn(directory));
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#parts.tally.problem(directory.pathOf(), error);
    }
  }
}
