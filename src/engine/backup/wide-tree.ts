import { defined } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { localZone } from '../../repository/time-format.ts';
import {
  decodeTree,
  treeBegin,
  type TreeBytes,
  treeEnd,
  TreeEncoder,
  type TreeNode,
  TreeWindow,
} from '../../repository/tree.ts';
import { type StoredTree, TreeStream, type TreeStreamParts } from './tree-stream.ts';

/** Bytes of the parent's tree that are copied at once. */
const copyBytes = 1 << 20;
/** Parts that may wait to be written before the walk waits for them. */
const partsAheadMax = 4;
const comma = Uint8Array.of(0x2c);

/** A range of the parent's tree, from behind a node to behind another. */
export interface TreeRange {
  readonly start: number;
  readonly end: number;
}

/** The nodes of one part of a directory, done with all that is below them. */
export type DonePart =
  /** As the parent's tree has them. */
  | { readonly type: 'same'; readonly range: TreeRange }
  /** As the parent's tree has them, but for the directories, by their number in the part; undefined: left out. */
  | {
      readonly type: 'patched';
      readonly range: TreeRange;
      readonly directories: ReadonlyMap<number, TreeNode | undefined>;
    }
  /** Encoded, with commas between them; may be empty. */
  | { readonly type: 'nodes'; readonly bytes: Uint8Array };

/** The tree of the parent that a directory is compared with. */
export interface PreviousTree {
  readonly id: Uint8Array;
  readonly tree: TreeBytes;
}

/**
 * Puts the tree of a large directory together from its parts.
 *
 * Parts may be done in any order and are written in theirs. As long as they are what the parent's tree holds nothing
 * is written; if one is not, what came before it is taken over from there as bytes.
 */
export class WideTree {
  readonly #parts: TreeStreamParts;
  readonly #previous: PreviousTree | undefined;
  readonly #encoder = new TreeEncoder(localZone);
  /** Done before one that comes first, by number. */
  readonly #done = new Map<number, DonePart>();
  #written = 0;
  #partCount = 0;
  #isWriting = false;
  /** Nothing comes any more; whether the last part also was the last of the parent's tree. */
  #ending:
    | { readonly endsAlike: boolean; readonly finish: (stored: StoredTree) => void }
    | undefined;
  #stream: TreeStream | undefined;
  #hasNodes = false;
  /** Up to here the directory is as in the parent's tree. */
  #sameEnd = treeBegin.byteLength;
  /** Shows the parent's tree from start to end, for what is taken over. */
  #window: TreeWindow | undefined;
  #wake: (() => void)[] = [];

  constructor(parts: TreeStreamParts, previous: PreviousTree | undefined) {
    this.#parts = parts;
    this.#previous = previous;
  }

  /** The number of the next part. */
  addPart(): number {
    return this.#partCount++;
  }

  /** Part `number` is done. */
  finishPart(number: number, part: DonePart): void {
    this.#done.set(number, part);
    this.#write();
  }

  /** All parts are done. @param finish hears how the tree was stored, later */
  end(endsAlike: boolean, finish: (stored: StoredTree) => void): void {
    this.#ending = { endsAlike, finish };
    this.#write();
  }

  /** Resolves when few parts wait to be written; also when the backup has failed. */
  async ready(): Promise<void> {
    const { pipeline } = this.#parts;
    while (this.#isWriting && this.#done.size > partsAheadMax && !pipeline.hasFailed) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Writes what can be written, beside everything else. */
  #write(): void {
    if (this.#isWriting || (!this.#done.has(this.#written) && !this.#ending)) return;
    this.#isWriting = true;
    this.#parts.pipeline.spawn(async () => {
      try {
        for (;;) {
          const part = this.#done.get(this.#written);
          if (!part) break;
          this.#done.delete(this.#written++);
          await this.#writePart(part);
          this.#notify();
        }
      } finally {
        this.#isWriting = false;
        this.#notify();
      }
      const ending = this.#ending;
      if (ending) ending.finish(await this.#end(ending.endsAlike));
    });
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  async #end(endsAlike: boolean): Promise<StoredTree> {
    if (!this.#stream && endsAlike && this.#previous) {
      return { id: this.#previous.id, addedBytes: 0 };
    }
    const stream = await this.#startStream();
    await stream.write(treeEnd);
    return stream.end();
  }

  async #writePart(part: DonePart): Promise<void> {
    const isSame = part.type === 'same' && !this.#stream && part.range.start === this.#sameEnd;
    if (isSame) {
      this.#sameEnd = part.range.end;
      return;
    }
    const isEmpty = part.type === 'nodes' && part.bytes.byteLength === 0;
    if (isEmpty && !this.#previous) return;
    // Also if nothing is left of the part: the parent's tree may have more, and ends alike all the same.
    await this.#startStream();
    if (part.type === 'same') await this.#copy(part.range);
    else await this.#add(part.type === 'nodes' ? part.bytes : this.#patch(part));
  }

  /** Begins to write, with what is as in the parent's tree. */
  async #startStream(): Promise<TreeStream> {
    if (this.#stream) return this.#stream;
    const stream = new TreeStream(this.#parts);
    this.#stream = stream;
    await stream.write(treeBegin);
    if (this.#sameEnd > treeBegin.byteLength) {
      await this.#copy({ start: treeBegin.byteLength, end: this.#sameEnd });
    }
    return stream;
  }

  async #copy({ start, end }: TreeRange): Promise<void> {
    for (let at = start; at < end; at += copyBytes) {
      const bytes = this.#read({ start: at, end: Math.min(end, at + copyBytes) });
      if (at === start) await this.#add(withoutComma(bytes));
      else await this.#stream?.write(bytes);
    }
  }

  /** Adds nodes behind those before. */
  async #add(nodes: Uint8Array): Promise<void> {
    if (nodes.byteLength === 0) return;
    const stream = await this.#startStream();
    if (this.#hasNodes) await stream.write(comma);
    this.#hasNodes = true;
    await stream.write(nodes);
  }

  #patch(part: Extract<DonePart, { type: 'patched' }>): Uint8Array {
    const { range, directories } = part;
    const tree = concatBytes([treeBegin, withoutComma(this.#read(range)), treeEnd]);
    let slot = 0;
    let count = 0;
    for (const node of decodeTree(tree)) {
      const kept = directories.has(slot) ? directories.get(slot) : node;
      slot++;
      if (!kept) continue;
      this.#encoder.add(kept);
      count++;
    }
    return count > 0 ? this.#encoder.finishPart() : new Uint8Array(0);
  }

  /** Bytes of the parent's tree; ranges come in ascending order. Valid until the next call. */
  #read({ start, end }: TreeRange): Uint8Array {
    const { tree } = defined(this.#previous, 'what is taken over has a tree that it is taken from');
    this.#window ??= new TreeWindow(tree);
    this.#window.reach(start, end - start);
    const at = start - this.#window.start;
    return this.#window.bytes.subarray(at, at + end - start);
  }
}

/** The nodes of a range: the comma before the first is for whoever writes it. */
function withoutComma(range: Uint8Array): Uint8Array {
  return range[0] === comma[0] ? range.subarray(1) : range;
}
