import { endsWork, isHoldfastError } from '../../base/errors.ts';
import { utf8 } from '../../base/bytes.ts';
import {
  closeFile,
  openFile,
  readAt,
  renameAt,
  syncDirectory,
  syncFile,
  unlinkAt,
  writeAt,
} from '../../platform/files.ts';
import { bootId } from '../../platform/machine.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { Id } from '../../repository/id.ts';
import { temporaryName } from './temporary-name.ts';

/** Name of the mark in the target. No temporary name of a file is the same. */
export const markName: Uint8Array = utf8('.holdfast-restoring.part');

/** What is said by a mark that cannot be read. */
const unknownMark: MarkText = { boot: '', trees: ['unknown'] };

/** Some hundred trees; a longer one is damaged. */
const markSizeBytesMax = 16_384;

/** What the mark holds, as JSON. */
interface MarkText {
  /** Start of the machine at which it was made; empty where the system does not tell. */
  readonly boot: string;
  /** Root trees that were being restored. */
  readonly trees: readonly Id[];
}

/**
 * A file in the target that is there, and durable, while not all that was restored is: from before anything is written
 * until all of it was synced.
 *
 * After a power cut the size and the time of a file may have reached the disk, and its content not. Who finds the mark of
 * an earlier start of the machine must not take a file for right by its size and time. Syncing each file before its time
 * is set would do as well, and cost a wait for the disk a file; this costs two waits a restore.
 */
export class RestoreMark {
  /** False if what an earlier restore left may have the right sizes and times, and wrong content. */
  readonly trustsTimes: boolean;
  readonly #directory: number;
  /** What the mark is to hold, and to be removed for; undefined if it stays as it was found. */
  readonly #text: MarkText | undefined;

  /**
   * Looks for a mark.
   * @param directory the opened target
   * @param restored what is restored now; `isAll` if nothing of the tree is left out or left alone
   */
  constructor(directory: number, restored: { readonly tree: Id; readonly isAll: boolean }) {
    this.#directory = directory;
    const boot = bootId() ?? '';
    const found = readMark(directory);
    this.trustsTimes = !found || (found.boot !== '' && found.boot === boot);
    if (this.trustsTimes) {
      const trees = new Set([...(found?.trees ?? []), restored.tree]);
      this.#text = { boot, trees: [...trees] };
      return;
    }
    // Only a restore of all that the other one wrote looks at all that may be wrong.
    const isSame = found?.trees.every((tree) => tree === restored.tree) === true;
    this.#text = isSame && restored.isAll ? found : undefined;
  }

  /** Makes the mark, which is durable when this returns. @returns false if it cannot be made */
  make(): boolean {
    return !this.trustsTimes || !this.#text || this.#write(this.#text);
  }

  /**
   * Removes the mark, unless it is another restore's.
   * @param outcome.isDurable all that was written is on stable storage; if it may be lost, the mark says so from now on
   * @param outcome.isWhole there was no problem with any item
   * @returns false if the mark cannot be removed
   */
  end({ isDurable, isWhole }: { readonly isDurable: boolean; readonly isWhole: boolean }): boolean {
    const text = this.#text;
    if (!text || (!this.trustsTimes && !isWhole)) return true;
    if (!isDurable) return this.#write({ ...text, boot: '' });
    const found = readMark(this.#directory);
    // It may be ours.
    if (found === unknownMark) return false;
    return succeeds(() => {
      if (found && encode(found) === encode(text)) unlinkAt(this.#directory, markName);
    });
  }

  /** Never leaves half a mark: that would say nothing of what it stands for. */
  #write(text: MarkText): boolean {
    const directory = this.#directory;
    const draft = { directory, name: temporaryName(markName, 0) };
    const isWritten = succeeds(() => {
      const file = openFile(draft, { write: true, create: true, truncate: true });
      try {
        writeAt(file, utf8(encode(text)), 0);
        syncFile(file);
      } finally {
        closeFile(file);
      }
      renameAt(draft, { directory, name: markName });
    });
    if (isWritten) return succeeds(() => syncDirectory(directory));
    succeeds(() => unlinkAt(directory, draft.name));
    return false;
  }
}

function succeeds(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (endsWork(error)) throw error;
    return false;
  }
}

function encode({ boot, trees }: MarkText): string {
  return `${JSON.stringify({ boot, trees })}\n`;
}

/** The mark in a directory, undefined if there is none. One that cannot be read says nothing that could be trusted. */
function readMark(directory: number): MarkText | undefined {
  try {
    const file = openFile({ directory, name: markName });
    try {
      if (readStatusOf(file).kind !== 'file') return unknownMark;
      const bytes = new Uint8Array(markSizeBytesMax);
      let sizeBytes = 0;
      for (;;) {
        const count = readAt(file, bytes.subarray(sizeBytes), sizeBytes);
        if (count === 0) break;
        sizeBytes += count;
      }
      return decode(Buffer.from(bytes.subarray(0, sizeBytes)).toString()) ?? unknownMark;
    } finally {
      closeFile(file);
    }
  } catch (error) {
    if (endsWork(error)) throw error;
    return isHoldfastError(error, 'FILE_NOT_FOUND') ? undefined : unknownMark;
  }
}

function decode(text: string): MarkText | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('boot' in value) || !('trees' in value)) {
    return undefined;
  }
  const { boot, trees } = value;
  if (typeof boot !== 'string' || !Array.isArray(trees)) return undefined;
  if (!trees.every((tree) => typeof tree === 'string')) return undefined;
  return { boot, trees };
}
