import { endsWork } from '../../base/errors.ts';
import { closeFile } from '../../platform/files.ts';
import { moveAside, openForWriting } from './file-writer.ts';
import type { ComparedFile, FileTask } from './messages.ts';
import type { RestoreOptions } from './options.ts';
import { metadataOf, type PlannedFile } from './plan.ts';

/**
 * Existing files up to this size are written anew beside the old one. Of larger ones only what
 * differs is written, and what an interrupted run left of a new one is kept and completed.
 */
export const keptBytesMin: number = 64 << 20;

/** One file of a batch on its way. */
export class BatchFile {
  readonly planned: PlannedFile;
  task: FileTask;
  /** Numbers of the reads that bring blobs of it. */
  readonly ranges: Set<number> = new Set<number>();
  /** Bytes that are to be written; the rest was found right. */
  wantedBytes = 0;
  /** The existing file had the right content. */
  wasRight = false;
  /** A part of the content is there already, and stays. */
  isContinued = false;
  state: 'open' | 'placed' | 'failed' = 'open';
  /** Not all of its metadata could be set. */
  isIncomplete = false;

  /** @param at number in the batch, and descriptor of the directory */
  constructor(
    planned: PlannedFile,
    at: { readonly file: number; readonly directory: number },
    options: RestoreOptions,
  ) {
    const { node, directory, existing } = planned;
    this.planned = planned;
    this.task = {
      file: at.file,
      directory: at.directory,
      name: node.name,
      salt: directory.temporarySalt,
      sizeBytes: node.sizeBytes,
      mode: 'parts',
      zeros: options.sparse ? 'skipped' : 'written',
      replaces: existing !== 'none',
      isLinked: node.links > 1,
      metadata: metadataOf(node, options, existing !== 'none' || directory.existed),
    };
  }

  /**
   * Decides what of the content that is there is kept.
   * @returns one byte a blob, 1 if it need not be written
   */
  keep(compared: ComparedFile | undefined, options: RestoreOptions): Uint8Array | undefined {
    const { existing } = this.planned;
    if (!compared?.matches.includes(1) || this.task.sizeBytes <= keptBytesMin) return undefined;
    const kept: Partial<FileTask> = { zeros: options.sparse ? 'punched' : 'written' };
    if (existing === 'regular') this.task = { ...this.task, ...kept, mode: 'update' };
    else if (existing === 'none') this.task = { ...this.task, ...kept };
    else return undefined;
    if (this.#canBeWritten()) {
      this.isContinued = true;
      return compared.matches;
    }
    // A running program, a file that is read-only for us: a new file takes its place.
    this.task = { ...this.task, mode: 'parts', zeros: options.sparse ? 'skipped' : 'written' };
    return undefined;
  }

  #canBeWritten(): boolean {
    try {
      if (this.task.mode === 'update') moveAside(this.task);
      else closeFile(openForWriting(this.task));
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      return false;
    }
  }
}
