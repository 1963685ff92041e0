import { assert } from '../../base/assert.ts';
import type { SourceEntry } from '../../sources/source.ts';
import type { ListedFile } from './file-reader.ts';
import type { TreeNode } from '../../repository/tree.ts';
import {
  type FileBatch,
  fileStatFields as field,
  fileStatStride,
  identityStride,
} from './messages.ts';
import type { NodeDraft } from './node.ts';
import type { TreeFrame } from './tree-frame.ts';

/** Limits of one batch: enough work to make a message worth it, small enough to share it out evenly. */
const batchFilesMax = 512;
const batchBytesMax = 4 << 20;

/** A file on its way through a worker, and where its node belongs. */
export interface QueuedFile {
  readonly entry: SourceEntry;
  readonly path: Uint8Array;
  readonly node: NodeDraft;
  readonly previous: TreeNode | undefined;
  readonly frame: TreeFrame;
  readonly slot: number;
}

/** Collects files into batches for the workers. */
export class FileBatches {
  #files: QueuedFile[] = [];
  #bytes = 0;
  readonly #send: (files: readonly QueuedFile[]) => void;

  constructor(send: (files: readonly QueuedFile[]) => void) {
    this.#send = send;
  }

  add(file: QueuedFile): void {
    this.#files.push(file);
    this.#bytes += file.entry.status.sizeBytes;
    if (this.#files.length >= batchFilesMax || this.#bytes >= batchBytesMax) this.flush();
  }

  flush(): void {
    if (this.#files.length === 0) return;
    const files = this.#files;
    this.#files = [];
    this.#bytes = 0;
    this.#send(files);
  }
}

/** What the listing said of a file, and where. */
export function listedFileOf({ entry: { status }, path, frame }: QueuedFile): ListedFile {
  const { mtime, ctime, inode, device, sizeBytes } = status;
  return {
    path,
    inode,
    device,
    directory: frame.entry?.status,
    sizeBytes,
    mtimeSeconds: mtime.seconds,
    mtimeNanoseconds: mtime.nanoseconds,
    ctimeSeconds: ctime.seconds,
    ctimeNanoseconds: ctime.nanoseconds,
  };
}

/** The message that makes a worker read `files`. */
export function encodeBatch(files: readonly QueuedFile[]): FileBatch {
  const count = files.length;
  assert(count > 0, 'a batch has files');
  const paths = new Uint8Array(files.reduce((sum, file) => sum + file.path.byteLength, 0));
  const pathEnds = new Uint32Array(count);
  const stats = new Float64Array(count * fileStatStride);
  const identities = new Float64Array(count * identityStride);
  let end = 0;
  let isExact = true;
  files.forEach(({ entry: { status }, path, frame }, i) => {
    paths.set(path, end);
    end += path.byteLength;
    pathEnds[i] = end;
    const at = i * fileStatStride;
    stats[at + field.size] = status.sizeBytes;
    stats[at + field.mtimeSeconds] = status.mtime.seconds;
    stats[at + field.mtimeNanoseconds] = status.mtime.nanoseconds;
    stats[at + field.ctimeSeconds] = status.ctime.seconds;
    stats[at + field.ctimeNanoseconds] = status.ctime.nanoseconds;
    const directory = frame.entry?.status;
    const identity = i * identityStride;
    const { inode, device } = status;
    const { inode: below = 0, device: belowDevice = 0 } = directory ?? {};
    isExact &&=
      typeof inode === 'number' &&
      typeof device === 'number' &&
      typeof below === 'number' &&
      typeof belowDevice === 'number';
    identities[identity] = Number(inode);
    identities[identity + 1] = Number(device);
    identities[identity + 2] = Number(below);
    identities[identity + 3] = Number(belowDevice);
  });
  const exact = isExact ? identities : bigIdentities(files);
  return { type: 'files', paths, pathEnds, stats, identities: exact };
}

/** What `FileBatch.identities` holds where numbers are not exact. */
function bigIdentities(files: readonly QueuedFile[]): BigUint64Array<ArrayBuffer> {
  const all = files.flatMap(({ entry: { status }, frame }) => {
    const directory = frame.entry?.status;
    return [status.inode, status.device, directory?.inode ?? 0, directory?.device ?? 0];
  });
  return BigUint64Array.from(all, BigInt);
}
