import { endsWork, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { serializeError } from '../../base/serialized-errors.ts';
import type { Sealer } from '../../kernels/seal.ts';
import { Decompressor } from '../../kernels/zstd.ts';
import { closeFile, openFile } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { type BlobTools, openBlob } from '../../repository/blob-open.ts';
import { BlobScratch } from '../../repository/blob-scratch.ts';
import { type PackBytes, PackContents } from '../packs/pack-content.ts';
import {
  discardFile,
  finishFile,
  isZeros,
  openForWriting,
  withFile,
  writeContent,
} from './file-writer.ts';
import { applyMetadata } from './metadata.ts';
import type {
  FileFailure,
  FileTask,
  FinishFiles,
  PackPart,
  PlainWrite,
  RestoreEvent,
  SetMetadata,
  WriteResponse,
} from './messages.ts';
import type { StopFlag } from './stop-flag.ts';

const plainBytes = 8 << 20;
/** What is written of one message until something is said of it: of zeros, one may be of many gibibytes. */
const bytesToldMin = 16 << 20;

/** Opens blobs and writes them into files. One per thread. */
export class PartWriter {
  readonly #index: BlobIndex;
  readonly #tools: BlobTools;
  readonly #contents = new PackContents();
  readonly #stop: StopFlag;

  constructor(index: BlobIndex, sealer: Sealer, stop: StopFlag) {
    this.#index = index;
    this.#stop = stop;
    this.#tools = {
      sealer,
      decompressor: new Decompressor(),
      target: new BlobScratch(plainBytes),
      scratch: new BlobScratch(plainBytes),
    };
  }

  /**
   * Writes the wanted blobs of one part of a pack, and finishes the files that are whole with it.
   * @param onEvent hears while it goes on how much was written
   * @returns undefined, and nothing is written, if the part is a file that cannot be opened
   * @throws CANCELLED once nobody wants the work any more
   */
  writePart(part: PackPart, onEvent: (event: RestoreEvent) => void): WriteResponse | undefined {
    return this.#contents.with(part.content, (bytes) => this.#writeBlobs(part, bytes, onEvent));
  }

  #writeBlobs(
    part: PackPart,
    bytes: PackBytes,
    onEvent: (event: RestoreEvent) => void,
  ): WriteResponse {
    const files = new OpenTasks(part);
    let bytesTold = 0;
    const damagedEntries: number[] = [];
    try {
      for (const { entry, targets } of part.blobs) {
        const plain = this.#open(bytes, entry);
        if (!plain) {
          damagedEntries.push(entry);
          for (const { task } of targets) files.hold(task);
          continue;
        }
        // A hole of a large file is one blob with very many targets: look at it once.
        const isHole = targets.length > 1 && isZeros(plain);
        for (const { task, offset } of targets) {
          this.#stop.throwIfSet();
          files.write(task, { plain, isHole }, offset);
          if (files.bytesWritten - bytesTold < bytesToldMin) continue;
          onEvent({ bytesWritten: files.bytesWritten - bytesTold });
          bytesTold = files.bytesWritten;
        }
      }
      files.finishEmpty();
    } finally {
      files.closeAll();
    }
    const { failures, bytesWritten, changed } = files;
    return {
      type: 'written',
      failures,
      damagedEntries,
      bytesWritten: bytesWritten - bytesTold,
      changed: [...changed],
    };
  }

  writePlain({ task, bytes, offset }: PlainWrite): WriteResponse {
    const failures: FileFailure[] = [];
    guard(task, failures, () =>
      withFile(task, (fd) => writeContent(fd, bytes, { offset, zeros: task.zeros })),
    );
    return answer(failures, [task], bytes.byteLength);
  }

  finish({ tasks }: FinishFiles): WriteResponse {
    const failures: FileFailure[] = [];
    for (const task of tasks) {
      guard(task, failures, () =>
        noteMetadata(
          task,
          failures,
          withFile(task, (fd) => finishFile(fd, task)),
        ),
      );
    }
    return answer(failures, tasks);
  }

  setMetadata({ tasks }: SetMetadata): WriteResponse {
    const failures: FileFailure[] = [];
    for (const task of tasks) {
      guard(task, failures, () => noteMetadata(task, failures, setMetadata(task)));
    }
    return answer(failures, []);
  }

  /** The plain bytes, valid until the next call; undefined if this copy is damaged or cannot be read. */
  #open(bytes: PackBytes, entry: number): Uint8Array | undefined {
    const index = this.#index;
    const start = index.offsetOf(entry);
    const sealed = bytes.at(start, start + index.lengthOf(entry));
    if (!sealed) return undefined;
    const id = index.idOf(entry);
    const uncompressedLength = index.uncompressedLengthOf(entry);
    try {
      return openBlob(sealed, { type: 'data', id, uncompressedLength }, this.#tools);
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_DAMAGED')) throw error;
      return undefined;
    }
  }
}

/** @param touched files that are not as they were */
function answer(
  failures: readonly FileFailure[],
  touched: readonly FileTask[],
  bytesWritten = 0,
): WriteResponse {
  const changed = touched.filter(({ mode }) => mode === 'update').map(({ file }) => file);
  return { type: 'written', failures, damagedEntries: [], bytesWritten, changed };
}

/** Sets the metadata of a file that is in place already. */
function setMetadata(task: FileTask): readonly unknown[] {
  const place = { directory: task.directory, name: task.name };
  let fd: number;
  try {
    fd = openFile(place);
  } catch (error) {
    // Its owner may not even read it: then by name, which follows no link either.
    if (!isHoldfastError(error, 'PERMISSION_DENIED')) throw error;
    return applyMetadata(place, task.metadata, 'file');
  }
  try {
    const { kind, links } = readStatusOf(fd);
    if (kind === 'file' && links === task.linkCount) {
      return applyMetadata(fd, task.metadata, 'file');
    }
  } finally {
    closeFile(fd);
  }
  throw new HoldfastError('TARGET_FAILED', {
    message: 'somebody else changed the file while it was being restored',
  });
}

/** The files of one message. Each is open from its first blob to its last: few at a time. */
class OpenTasks {
  readonly failures: FileFailure[] = [];
  bytesWritten = 0;
  /** Numbers of the files of mode `update` that are not as they were. */
  readonly changed = new Set<number>();
  readonly #tasks: readonly FileTask[];
  /** Blobs of each task that are still to come in this message. */
  readonly #remaining: Int32Array;
  /** Tasks without any blob. */
  readonly #empty: readonly number[];
  readonly #fds = new Map<number, number>();
  /** Tasks that cannot be written. */
  readonly #failed = new Set<number>();
  /** Tasks that wait for a blob from elsewhere: not to be finished here. */
  readonly #held = new Set<number>();

  constructor(part: PackPart) {
    this.#tasks = part.tasks;
    this.#remaining = new Int32Array(part.tasks.length);
    for (const { targets } of part.blobs) {
      for (const { task } of targets) this.#remaining[task] = (this.#remaining[task] ?? 0) + 1;
    }
    this.#empty = [...part.tasks.keys()].filter((task) => this.#remaining[task] === 0);
  }

  write(
    task: number,
    { plain, isHole }: { readonly plain: Uint8Array; readonly isHole: boolean },
    offset: number,
  ): void {
    const file = this.#tasks[task];
    if (!file) return;
    if (!this.#failed.has(task)) {
      const written = guard(file, this.failures, () => {
        const fd = this.#open(task, file);
        if (file.mode === 'update') this.changed.add(file.file);
        if (isHole && file.zeros === 'skipped') return;
        writeContent(fd, plain, { offset, zeros: file.zeros });
      });
      if (written) this.bytesWritten += plain.byteLength;
      else this.#failed.add(task);
    }
    this.#settle(task);
  }

  /** A blob of the task is not readable here: it will come another way, into a file that is there. */
  hold(task: number): void {
    const file = this.#tasks[task];
    if (!file) return;
    this.#held.add(task);
    if (!this.#failed.has(task)) {
      const isOpen = guard(file, this.failures, () => void this.#open(task, file));
      if (!isOpen) this.#failed.add(task);
    }
    this.#settle(task);
  }

  /** Makes the files that have no content. */
  finishEmpty(): void {
    for (const task of this.#empty) {
      if (this.#tasks[task]?.mode === 'whole') this.#finish(task);
      this.#close(task);
    }
  }

  closeAll(): void {
    for (const fd of this.#fds.values()) closeFile(fd);
    this.#fds.clear();
  }

  #settle(task: number): void {
    const remaining = (this.#remaining[task] ?? 0) - 1;
    this.#remaining[task] = remaining;
    if (remaining > 0) return;
    const isComplete = !this.#held.has(task) && !this.#failed.has(task);
    if (this.#tasks[task]?.mode === 'whole' && isComplete) this.#finish(task);
    this.#close(task);
  }

  #close(task: number): void {
    const fd = this.#fds.get(task);
    this.#fds.delete(task);
    if (fd !== undefined) closeFile(fd);
  }

  #finish(task: number): void {
    const file = this.#tasks[task];
    if (!file) return;
    guard(file, this.failures, () => {
      noteMetadata(file, this.failures, finishFile(this.#open(task, file), file));
    });
  }

  #open(task: number, file: FileTask): number {
    const open = this.#fds.get(task);
    if (open !== undefined) return open;
    const fd = openForWriting(file);
    this.#fds.set(task, fd);
    return fd;
  }
}

/** Runs `action`; on failure the file is discarded and the failure noted. */
function guard(task: FileTask, failures: FileFailure[], action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (endsWork(error)) throw error;
    failures.push({ file: task.file, fatal: true, error: serializeError(error) });
    discardFile(task);
    return false;
  }
}

function noteMetadata(task: FileTask, failures: FileFailure[], errors: readonly unknown[]): void {
  for (const error of errors) {
    failures.push({ file: task.file, fatal: false, error: serializeError(error) });
  }
}
