import { endsWork, HoldfastError } from '../../base/errors.ts';
import { closeFile } from '../../platform/files.ts';
import { assertUpdatable, moveAside, moveBack, openForWriting, writePlace } from './file-writer.ts';
import type { ComparedFile, FileTask } from './messages.ts';
import type { RestoreOptions } from './options.ts';
import { metadataOf, type PlannedFile } from './plan.ts';
import type { TemporaryKind } from './temporary-name.ts';

/**
 * Existing files up to this size are written anew beside the old one. Of larger ones only what
 * differs is written, and what an interrupted run left of a new one is kept and completed.
 */
export const keptBytesMin: number = 64 << 20;

/** What is there of the content of a file. */
export interface FoundContent {
  readonly compared: ComparedFile;
  /** It is not under the final name, but what an interrupted run left. */
  readonly leftover?: TemporaryKind;
}

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
  /** A file that is updated has its temporary name. */
  isAside = false;
  /** Something was written into a file that is updated, by this run or one before. */
  isChanged = false;
  /** Why a file that is to be updated is not. */
  failure: unknown;

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
      linkCount: planned.canStay ? planned.linkCount : 1,
      metadata: metadataOf(node, options, existing !== 'none' || directory.existed),
    };
  }

  /**
   * Decides what of the content that is there is kept.
   * @returns one byte a blob, 1 if it need not be written
   */
  keep(found: FoundContent | undefined, options: RestoreOptions): Uint8Array | undefined {
    const { existing } = this.planned;
    if (!found?.compared.matches.includes(1)) return undefined;
    if (this.task.sizeBytes <= keptBytesMin) return undefined;
    const kept: Partial<FileTask> = { zeros: options.sparse ? 'punched' : 'written' };
    const isHalf = found.leftover === 'half';
    if (existing === 'regular' || isHalf) this.task = { ...this.task, ...kept, mode: 'update' };
    else if (existing === 'none') this.task = { ...this.task, ...kept };
    else return undefined;
    this.isAside = isHalf;
    this.isChanged = isHalf;
    if (this.#canBeWritten()) {
      this.isContinued = true;
      return found.compared.matches;
    }
    // A running program, a file that is read-only for us: a new file takes its place.
    this.isAside = false;
    this.task = { ...this.task, mode: 'parts', zeros: options.sparse ? 'skipped' : 'written' };
    return undefined;
  }

  #canBeWritten(): boolean {
    try {
      if (this.task.mode === 'update' && !this.isAside) assertUpdatable(this.task);
      else closeFile(openForWriting(this.task));
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      return false;
    }
  }

  /**
   * Call it before anything is written: an existing file that is updated leaves its name for the time.
   * @throws what keeps it from leaving
   */
  prepare(): void {
    if (this.task.mode !== 'update' || this.isAside) return;
    moveAside(this.task);
    this.isAside = true;
  }

  /**
   * Call it when nobody writes any more: gives a file that is not updated its name back, if it still holds what it did.
   * @returns the error of a file that is not updated; undefined if there is nothing to say
   */
  endUpdate(): unknown {
    if (this.task.mode !== 'update' || this.state === 'placed') return undefined;
    if (!this.isAside) return this.failure;
    if (!this.isChanged && this.#isBack()) return this.failure;
    const name = Buffer.from(writePlace(this.task).name).toString();
    return new HoldfastError('TARGET_FAILED', {
      message: `it is updated in part, and kept beside its place as ${name} until a restore of this file completes it`,
      cause: this.failure,
    });
  }

  #isBack(): boolean {
    try {
      moveBack(this.task);
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      return false;
    }
  }
}
